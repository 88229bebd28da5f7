//! Following a stop while it lasts: tracing events, a span for each phase, and whoever else asked (L15).
//!
//! 1. News is queued under the core's lock, so that it is in the order in which it happened.
//! 2. It is told by one thread at a time and without that lock: whoever finds somebody telling leaves the rest to
//!    them, so that nobody waits, and followers may call what they like.

use crate::cause::Cause;
use crate::component::ComponentReport;
use crate::lifecycle::Lifecycle;
use crate::machine::{Phase, Verdict};
use crate::report::{Plain, Span as Time};
use crate::scope::{CutWork, ScopeShared};
use crate::shield::ShieldReport;
use crate::work::LiveWork;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use tracing::Span;

/// What happens in a stop, as it happens.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle, Progress};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let lifecycle = Lifecycle::on_runtime(Config::default())?;
/// # use std::sync::{Arc, Mutex};
/// let notices = Arc::new(Mutex::new(Vec::new()));
/// let seen = Arc::clone(&notices);
/// lifecycle.on_progress(move |progress| {
///     if let Progress::HeldUp(held_up) = progress {
///         seen.lock().unwrap().push(held_up.scopes[0].oldest[0].name.clone());
///     }
/// });
/// lifecycle.task("slow", async |_stop| tokio::time::sleep(Duration::from_secs(12)).await);
/// lifecycle.stop().request_stop("the example is over");
/// lifecycle.finished().await;
/// assert_eq!(*notices.lock().unwrap(), ["slow"]); // after 5 s, and not yet after 15
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Progress {
    /// The stop was requested.
    Requested(Cause),
    /// Shields have moved the end.
    Extended {
        /// How long the stop may last from now on.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::report::seconds"))]
        left: Duration,
    },
    /// A shield did not end by itself.
    Shield(ShieldReport),
    /// A component, or exit work, is over: in the stop, or before it with its group.
    Component(ComponentReport),
    /// A phase has begun.
    Phase(Phase),
    /// The stop has been waiting: 5 s after the request, then every 10 s.
    HeldUp(HeldUp),
    /// A piece of work was ended before it was finished.
    Cut {
        /// The scope's name.
        scope: String,
        /// What was cut.
        work: CutWork,
    },
    /// It is over; the report follows.
    Stopped {
        /// How it ended.
        verdict: Verdict,
        /// The exit status that goes with it, by [`Config::exit_statuses`](crate::Config::exit_statuses).
        exit_status: u8,
    },
}

/// Who holds a stop up.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HeldUp {
    /// In which phase.
    pub phase: Phase,
    /// For how long: since the stop request.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::report::seconds"))]
    pub since: Duration,
    /// Scopes that are busy.
    pub scopes: Vec<HeldScope>,
    /// Whatever else is waited for, in words: components that start or close, shields.
    pub others: Vec<String>,
}

/// A scope that holds a stop up.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HeldScope {
    /// Its name.
    pub name: String,
    /// How much of its work is in flight; 0 where only its handle is kept.
    pub in_flight: u64,
    /// The oldest ten of it that have names, oldest first.
    pub oldest: Vec<LiveWork>,
}

impl Lifecycle {
    /// Calls `follow` with everything that happens in the stop, in order, beside the `tracing` events that tell the
    /// same (target `exeunt::lifecycle`, each in the span of its phase).
    ///
    /// It runs on whichever thread moves the stop on, be it one of a runtime, and holds that up: it must not block.
    /// (Never on the one that takes signals.) The report waits a second for one that does. A panic in it is caught. It may call whatever it likes; what comes of that is told afterwards.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Progress};
    /// # use std::sync::{Arc, Mutex};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let last = Arc::new(Mutex::new(None));
    /// let seen = Arc::clone(&last);
    /// lifecycle.on_progress(move |progress| *seen.lock().unwrap() = Some(progress.to_string()));
    /// _ = lifecycle.close();
    /// assert_eq!(last.lock().unwrap().as_deref(), Some("stopped, exit status 0"));
    /// # Ok::<(), exeunt_lifecycle::InstallError>(())
    /// ```
    pub fn on_progress(&self, follow: impl Fn(&Progress) + Send + Sync + 'static) {
        let stop = self.stop();
        if !stop.core().is_forked() {
            lock(&stop.core().follow().followers).push(Arc::new(follow));
        }
    }
}

/// How long the report waits for followers that block, though they must not.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many pieces of work a notice names in each scope.
const NAMED: usize = 10;

type Follower = Arc<dyn Fn(&Progress) + Send + Sync>;

thread_local! {
    /// Whether this thread is telling.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// The followers, and what they have not been told yet.
pub(crate) struct Follow {
    queue: Mutex<VecDeque<Item>>,
    followers: Mutex<Vec<Follower>>,
    telling: Mutex<Spans>,
}

/// News; who holds a stop up is looked at without the core's lock, since there may be much of it.
#[derive(Debug)]
pub(crate) enum Item {
    News(Progress),
    HeldUp { phase: Phase, since: Duration, scopes: Vec<Arc<ScopeShared>>, others: Vec<String> },
}

/// The spans that are open: the stop's, and the present phase's inside it.
struct Spans {
    stop: Span,
    phase: Span,
}

impl Follow {
    pub(crate) fn new() -> Self {
        let phase = phase_span(None, Phase::Starting);
        Self {
            queue: Mutex::default(),
            followers: Mutex::default(),
            telling: Mutex::new(Spans { stop: Span::none(), phase }),
        }
    }

    /// Under the core's lock; tell it afterwards.
    pub(crate) fn push(&self, item: Item) {
        lock(&self.queue).push_back(item);
    }

    /// Without the core's lock.
    pub(crate) fn tell(self: &Arc<Self>) {
        // The signal thread is waited for by whoever drops the lifecycle, and must not wait for a follower itself.
        if crate::hub::is_signal_thread() && !lock(&self.followers).is_empty() {
            let follow = Arc::clone(self);
            let thread = std::thread::Builder::new().name("exeunt-news".to_owned());
            if thread.spawn(move || follow.tell_if_nobody_does()).is_ok() {
                return;
            }
        }
        self.tell_if_nobody_does();
    }

    fn tell_if_nobody_does(&self) {
        while !lock(&self.queue).is_empty() {
            match self.telling.try_lock() {
                Ok(mut spans) => self.tell_all(&mut spans),
                Err(TryLockError::Poisoned(poisoned)) => self.tell_all(&mut poisoned.into_inner()),
                // They look at the queue again after they have let go.
                Err(TryLockError::WouldBlock) => return,
            }
        }
    }

    /// Waits until everybody was told everything, or until a follower that blocks has had its time.
    pub(crate) fn flush(&self) {
        // A follower that closes its lifecycle must not wait for itself.
        if TELLING.try_with(Cell::get).unwrap_or(true) {
            return;
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.telling.try_lock() {
                Ok(mut spans) => return self.tell_all(&mut spans),
                Err(TryLockError::Poisoned(poisoned)) => return self.tell_all(&mut poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn tell_all(&self, spans: &mut Spans) {
        _ = TELLING.try_with(|telling| telling.set(true));
        loop {
            // Not in the loop's head, where the lock would be held all through its body.
            let next = lock(&self.queue).pop_front();
            let Some(item) = next else { break };
            let progress = item.look();
            // What a subscriber or a follower does wrong must not cost the stop.
            _ = catch_unwind(AssertUnwindSafe(|| spans.trace(&progress)));
            #[cfg(feature = "metrics")]
            crate::metrics::progress(&progress);
            let followers = lock(&self.followers).clone();
            for follower in followers {
                _ = catch_unwind(AssertUnwindSafe(|| follower(&progress)));
            }
        }
        _ = TELLING.try_with(|telling| telling.set(false));
    }
}

impl Item {
    fn look(self) -> Progress {
        let (phase, since, scopes, others) = match self {
            Self::News(progress) => return progress,
            Self::HeldUp { phase, since, scopes, others } => (phase, since, scopes, others),
        };
        let held = scopes.iter().map(|scope| HeldScope {
            name: scope.name.clone(),
            oldest: scope.live(NAMED),
            in_flight: scope.totals().in_flight(),
        });
        Progress::HeldUp(HeldUp { phase, since, scopes: held.collect(), others })
    }
}

impl Spans {
    fn trace(&mut self, progress: &Progress) {
        match progress {
            Progress::Requested(cause) => {
                self.stop = tracing::info_span!(target: "exeunt::lifecycle", parent: None, "stop", %cause);
                tracing::info!(target: "exeunt::lifecycle", parent: &self.stop, %cause, "stop requested");
            }
            Progress::Phase(phase) => {
                self.phase = phase_span(self.stop.id(), *phase);
                tracing::info!(target: "exeunt::lifecycle", parent: &self.phase, %phase, "phase");
            }
            Progress::Extended { left } => {
                let seconds = left.as_secs_f64();
                tracing::info!(target: "exeunt::lifecycle", parent: &self.phase, seconds, "shields hold the stop off");
            }
            Progress::Shield(shield) => {
                tracing::warn!(target: "exeunt::lifecycle", parent: &self.phase, "{shield}");
            }
            Progress::Component(component) => {
                let (name, outcome, took) =
                    (&component.name, &component.outcome, component.took.as_secs_f64());
                tracing::info!(target: "exeunt::lifecycle", parent: &self.phase, name, %outcome, took, "component");
            }
            Progress::HeldUp(held_up) => self.held_up(held_up),
            Progress::Cut { scope, work } => {
                let CutWork { name, kind, .. } = work;
                let (age, site) = (work.age.as_secs_f64(), work.site.map(tracing::field::display));
                tracing::warn!(target: "exeunt::lifecycle", parent: &self.phase, scope, name, kind, age, site, "cut");
            }
            Progress::Stopped { verdict, exit_status: status } => {
                tracing::info!(target: "exeunt::lifecycle", parent: &self.phase, ?verdict, status, "stopped");
                *self = Self { stop: Span::none(), phase: Span::none() };
            }
        }
    }

    fn held_up(&self, held_up: &HeldUp) {
        let (phase, since) = (held_up.phase, held_up.since.as_secs_f64());
        for scope in &held_up.scopes {
            tracing::warn!(
                target: "exeunt::lifecycle", parent: &self.phase,
                %phase, since, in_flight = scope.in_flight, by = %scope, "the stop is held up"
            );
        }
        for other in &held_up.others {
            tracing::warn!(
                target: "exeunt::lifecycle", parent: &self.phase,
                %phase, since, by = other, "the stop is held up"
            );
        }
    }
}

fn phase_span(parent: Option<tracing::span::Id>, phase: Phase) -> Span {
    tracing::info_span!(target: "exeunt::lifecycle", parent: parent, "phase", %phase)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested(cause) => write!(f, "stop requested: {cause}"),
            Self::Extended { left } => {
                write!(f, "shields keep the program from stopping, for {} at most", Time(*left))
            }
            Self::Shield(shield) => shield.fmt(f),
            Self::Component(component) => component.fmt(f),
            Self::Phase(phase) => phase.fmt(f),
            Self::HeldUp(held_up) => held_up.fmt(f),
            Self::Cut { scope, work } => write!(f, "{}: cut: {work}", Plain(scope)),
            Self::Stopped { exit_status, .. } => write!(f, "stopped, exit status {exit_status}"),
        }
    }
}

impl fmt::Display for HeldUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held up for {} in {} by", Time(self.since), self.phase)?;
        let scopes = self.scopes.iter().map(|scope| scope as &dyn fmt::Display);
        let others = self.others.iter().map(|other| other as &dyn fmt::Display);
        for (index, holder) in scopes.chain(others).enumerate() {
            write!(f, "{} {holder}", if index == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl fmt::Display for HeldScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} in flight)", Plain(&self.name), self.in_flight)?;
        for (index, work) in self.oldest.iter().enumerate() {
            write!(f, "{} {work}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}
