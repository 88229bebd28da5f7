//! What happened in the stop (L15).

mod display;
#[cfg(feature = "report-file")]
mod file;
#[cfg(feature = "report-file")]
mod last_stop;
mod plain;

pub(crate) use display::Span;
#[cfg(feature = "report-file")]
pub(crate) use file::ReportFile;
#[cfg(feature = "report-file")]
pub use last_stop::{LastStop, LastStopError};
pub(crate) use plain::Plain;

use crate::cause::{Cause, Failure};
use crate::component::ComponentReport;
use crate::core::{Core, ScopeEntry, State};
use crate::kept::MOST_KEPT;
use crate::machine::{Phase, ScopeId, Verdict};
use crate::scope::CutWork;
use crate::shield::ShieldReport;
use crate::signal::Signal;
use crate::work::{Account, LiveWork};
use std::time::Duration;

/// What happened in the stop: why, how long, and what became of the work.
///
/// `Display` is for people, a few lines without a newline at the end; what names and errors have in them that would
/// begin a line or move a cursor is escaped. With the feature `serde` it is for machines: durations are in seconds, as
/// fractions.
///
/// Of each list are kept the first thousand entries of the time before the stop and of the stop, and of all scopes' work
/// together ten thousand names; the fields that are called `left_out` say how many more there were.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let lifecycle = Lifecycle::on_runtime(Config::default())?;
/// let tasks = lifecycle.tasks("mail");
/// tasks.spawn("a@example.org", async |_| std::future::pending::<()>().await);
/// lifecycle.stop().request_stop("the example is over");
/// let report = lifecycle.finished().await;
/// assert_eq!(report.scopes[0].cut[0].name, "a@example.org");
/// assert!(report.to_string().contains("cut: task a@example.org"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// Why the program stopped; `None` only in a forked child.
    pub cause: Option<Cause>,
    /// The time in each phase, in order; without `Stopped`, which has no end.
    pub phases: Vec<PhaseTime>,
    /// From the stop request to the end.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub took: Duration,
    /// What became of the work of each scope that was busy when the stop was requested, or later, or that had work
    /// cut before. Where there are too many, those with trouble come first.
    pub scopes: Vec<ScopeReport>,
    /// How many scopes more there were.
    pub scopes_left_out: u64,
    /// What became of each component and of exit work, in the order in which they were over. Not of those that
    /// closed well with their group before the stop; of those that did otherwise, the first thousand.
    pub components: Vec<ComponentReport>,
    /// How many components more there were.
    pub components_left_out: u64,
    /// Shields that did not end by themselves.
    pub shields: Vec<ShieldReport>,
    /// How many of them more there were.
    pub shields_left_out: u64,
    /// The shield that held the stop up longest, however it ended; `None` if none was live at the stop or later.
    pub longest_shield: Option<ShieldReport>,
    /// How far shields moved the hard deadline, counted from the stop request; `None` if they did not. The stop may
    /// have been over sooner.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_seconds"))]
    pub extended: Option<Duration>,
    /// Everything that failed, in the order in which it did.
    pub failures: Vec<Failure>,
    /// How many failures more there were.
    pub failures_left_out: u64,
    /// Hooks that failed, panicked or did not return, and panics of what else was told of the stop (`on_progress`,
    /// `on_change`, a subscriber: `tracing`) or was dropped; they change neither the verdict nor the exit status.
    pub hook_failures: Vec<Failure>,
    /// How many failures of hooks more there were.
    pub hook_failures_left_out: u64,
    /// Why it is not in its file, if it should be and is not.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub not_written: Option<String>,
    /// Stop signals that counted (L9).
    pub attempts: u32,
    /// How it ended.
    pub verdict: Verdict,
    /// In its file it stands beside the report.
    #[cfg_attr(feature = "serde", serde(skip))]
    exit_status: u8,
    /// The signal that the process should end by ([`Signal::end_process`](crate::Signal::end_process)), where
    /// [`Config::re_raise`](crate::Config::re_raise) asks for it: the one that forced the end, or the one that caused
    /// it if nothing failed.
    pub ends_by: Option<Signal>,
}

/// How long a phase lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PhaseTime {
    /// Which phase.
    pub phase: Phase,
    /// How long; zero if it was only passed through.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub time: Duration,
}

/// What became of a scope's work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ScopeReport {
    /// Its name.
    pub name: String,
    /// Work in flight when the stop was requested.
    pub in_flight_at_stop: u64,
    /// Work finished after the stop request; more than was in flight if some began after it.
    pub finished: u64,
    /// Work that failed after the stop request: by an error, or a panic.
    pub failed: u64,
    /// Work that was given back to whoever brought it, because the drain had begun.
    pub refused: u64,
    /// Queued work that was not begun, and was given back to the queue's owner (L13).
    pub handed_back: Vec<LiveWork>,
    /// How much of it more there was.
    pub handed_back_left_out: u64,
    /// Work that was cut, even before the stop.
    pub cut: Vec<CutWork>,
    /// How much of it more there was.
    pub cut_left_out: u64,
    /// Work that was neither finished nor cut by name when the stop was over.
    pub left: u64,
    /// That of it which has a name, the oldest first: threads that could not be ended, say.
    pub left_behind: Vec<LiveWork>,
    /// From the stop request until the scope had no work and would get none; `None` if that never came.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_seconds"))]
    pub held: Option<Duration>,
}

impl Report {
    /// The exit status for the process: 0 clean, 1 something failed, 3 something was cut, 128 + signal forced (L14),
    /// unless [`Config::exit_statuses`](crate::Config::exit_statuses) says otherwise.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Verdict};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// lifecycle.stop().fail("database", "the disk is full");
    /// let report = lifecycle.close();
    /// assert_eq!((report.verdict, report.exit_status()), (Verdict::Failed, 1));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        self.exit_status
    }

    /// The time in `phase`; zero if it was only passed through.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// lifecycle.ready();
    /// tokio::time::sleep(Duration::from_secs(60)).await;
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.time_in(Phase::Running).as_secs(), 60);
    /// assert_eq!(report.time_in(Phase::LameDuck), Duration::ZERO);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn time_in(&self, phase: Phase) -> Duration {
        self.phases.iter().find(|entry| entry.phase == phase).map_or(Duration::ZERO, |entry| entry.time)
    }

    /// The scope that held the stop up longest: one that never had done, or else the last to have done. Of shields,
    /// [`longest_shield`](Self::longest_shield) is the one.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let slow = lifecycle.scope("slow");
    /// drop(lifecycle.scope("quick"));
    /// lifecycle.stop().request_stop("the example is over");
    /// tokio::time::sleep(Duration::from_secs(1)).await;
    /// drop(slow);
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.held_up_by().unwrap().name, "slow");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn held_up_by(&self) -> Option<&ScopeReport> {
        self.scopes.iter().max_by_key(|scope| scope.held.unwrap_or(Duration::MAX))
    }

    /// The report of a stop that is over, once everybody has been told everything.
    pub(crate) fn last(core: &Core) -> Self {
        core.flush();
        #[cfg_attr(not(feature = "report-file"), expect(unused_mut, reason = "a file may change it"))]
        let mut report = Self::of(core);
        #[cfg(feature = "report-file")]
        if let (Some(file), false) = (core.report_file(), core.is_forked()) {
            report.not_written = file.write(&report, core.follow());
        }
        #[cfg(feature = "metrics")]
        core.follow().contained("metrics", || crate::metrics::report(&report));
        report
    }

    pub(crate) fn of(core: &Core) -> Self {
        match core.state() {
            Some(state) => {
                let mut report = Self::build(&state);
                drop(state);
                (report.hook_failures, report.hook_failures_left_out) = core.hooks().failures();
                report.hook_failures.extend(core.follow().failures());
                report.ends_by = report.ending_signal().filter(|_| core.hooks().re_raise());
                report
            }
            None => Self::inert(),
        }
    }

    fn ending_signal(&self) -> Option<Signal> {
        match (self.verdict, &self.cause) {
            (Verdict::Forced { signal }, _) => Some(Signal::new(signal)),
            (Verdict::Clean | Verdict::Cut, Some(Cause::Signal(received))) => Some(received.signal),
            _ => None,
        }
    }

    fn build(state: &State) -> Self {
        let log: Vec<_> = state.machine.log().iter().collect();
        let phases = log.iter().zip(log.iter().skip(1));
        let phases =
            phases.map(|((phase, begun), (_, over))| PhaseTime { phase: *phase, time: over.since(*begun) });
        let took =
            log.last().zip(state.machine.requested()).map(|((_, over), requested)| over.since(requested));
        let verdict = state.verdict.unwrap_or(Verdict::Clean);
        let settled = state.settled.as_ref();
        Self {
            cause: state.cause.clone(),
            phases: phases.collect(),
            took: took.unwrap_or_default(),
            scopes: settled.map(|settled| settled.scopes.clone()).unwrap_or_default(),
            scopes_left_out: settled.map(|settled| settled.scopes_left_out).unwrap_or_default(),
            components: state.component_reports.kept().to_vec(),
            components_left_out: state.component_reports.left_out(),
            shields: state.shield_reports.kept().to_vec(),
            shields_left_out: state.shield_reports.left_out(),
            longest_shield: state.longest_shield.clone(),
            extended: state
                .extended
                .zip(state.machine.requested())
                .map(|(at, requested)| at.since(requested)),
            failures: state.failures.kept().to_vec(),
            failures_left_out: state.failures.left_out(),
            not_written: None,
            attempts: state.machine.attempts(),
            verdict,
            exit_status: state.exit_statuses.of(verdict),
            hook_failures: Vec::new(),
            hook_failures_left_out: 0,
            ends_by: None,
        }
    }

    /// What a forked child gets: nothing happened here.
    fn inert() -> Self {
        Self {
            cause: None,
            phases: Vec::new(),
            took: Duration::ZERO,
            scopes: Vec::new(),
            scopes_left_out: 0,
            components: Vec::new(),
            components_left_out: 0,
            shields: Vec::new(),
            shields_left_out: 0,
            longest_shield: None,
            extended: None,
            failures: Vec::new(),
            failures_left_out: 0,
            not_written: None,
            attempts: 0,
            verdict: Verdict::Clean,
            exit_status: 0,
            hook_failures: Vec::new(),
            hook_failures_left_out: 0,
            ends_by: None,
        }
    }
}

/// Of all scopes together, this many pieces of work are named, since a report is read by people, and at a start.
const MOST_NAMED: usize = 10 * MOST_KEPT;

impl ScopeReport {
    /// Of so many, those with trouble first; and how many more there were.
    pub(crate) fn all(state: &State) -> (Vec<(ScopeId, Self)>, u64) {
        let mut entries: Vec<_> = state.scopes.iter().collect();
        if entries.len() > MOST_KEPT {
            let is_well = |entry: &ScopeEntry| entry.idle_since.is_some() && entry.cut.is_empty();
            entries.sort_by_key(|(_, entry)| is_well(entry));
        }
        let left_out = count(entries.get(MOST_KEPT..).unwrap_or_default());
        let mut room = MOST_NAMED;
        let kept = entries.into_iter().take(MOST_KEPT);
        let kept = kept.map(|(id, entry)| (*id, Self::build(entry, state, &mut room)));
        (kept.collect(), left_out + state.scopes_left_out)
    }

    fn build(entry: &ScopeEntry, state: &State, room: &mut usize) -> Self {
        let mut named = |work: usize| {
            let named = work.min(*room);
            *room -= named;
            named
        };
        // What begins in a scope that was found idle, and has not been found busy, is after the end.
        let is_busy = entry.idle_since.is_none();
        // Named work is counted: looked at in this order, no name is left that is not counted.
        let mut left_behind = if is_busy { entry.shared.live(MOST_KEPT) } else { Vec::new() };
        left_behind.truncate(named(left_behind.len()));
        let now = entry.shared.totals();
        let Account { failed, refused, turned_away, handed_back } = &entry.account;
        let ended = now.ended.saturating_sub(entry.at_stop.ended);
        let cut_in_the_stop = entry.cut.count() - entry.cut_before;
        let otherwise = failed + refused + handed_back.count() + cut_in_the_stop;
        let cut: Vec<_> = entry.cut.kept().iter().take(named(entry.cut.kept().len())).cloned().collect();
        let back = handed_back.kept();
        let back: Vec<_> = back.iter().take(named(back.len())).cloned().collect();
        let held = entry.idle_since.zip(state.machine.requested());
        Self {
            name: entry.shared.name.clone(),
            in_flight_at_stop: entry.at_stop.in_flight(),
            finished: ended.saturating_sub(otherwise),
            failed: *failed,
            refused: refused + turned_away,
            handed_back_left_out: handed_back.count() - count(&back),
            handed_back: back,
            cut_left_out: entry.cut.count() - count(&cut),
            cut,
            left: if is_busy { now.in_flight() } else { 0 },
            left_behind,
            held: held.map(|(idle, requested)| idle.since(requested)),
        }
    }

    /// What was left behind is cut after all; false: it was not among that.
    pub(crate) fn cut_late(&mut self, what: &CutWork) -> bool {
        let is_it = |left: &LiveWork| {
            Some(left.site) == what.site && left.kind == what.kind && left.name == what.name
        };
        match self.left_behind.iter().position(is_it) {
            Some(index) => _ = self.left_behind.remove(index),
            None if self.left > count(&self.left_behind) => {}
            None => return false,
        }
        self.left = self.left.saturating_sub(1);
        if self.cut.len() < MOST_KEPT {
            self.cut.push(what.clone());
        } else {
            self.cut_left_out += 1;
        }
        true
    }
}

pub(crate) fn count<T>(work: &[T]) -> u64 {
    u64::try_from(work.len()).unwrap_or(u64::MAX)
}

#[cfg(feature = "serde")]
pub(crate) fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(feature = "serde")]
fn optional_seconds<S: serde::Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&duration.map(|duration| duration.as_secs_f64()), serializer)
}
