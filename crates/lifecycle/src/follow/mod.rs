//! Following a stop while it lasts: tracing events, a span for each phase, and whoever else asked (L15).

mod spans;
mod telling;

pub(crate) use telling::{Follow, Item, PATIENCE};

use crate::cause::Cause;
use crate::component::ComponentReport;
use crate::lifecycle::Lifecycle;
use crate::machine::{Phase, Verdict};
use crate::report::{Plain, Span as Time};
use crate::scope::CutWork;
use crate::shield::ShieldReport;
use crate::work::LiveWork;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
    /// It runs on a thread for that, beside the stop: one that blocks holds up whatever else is to be told and logged,
    /// and the report for a second, and nothing else. (With [`on_runtime`](Self::on_runtime) it runs on whichever
    /// thread moves the stop on, and holds that up: there, it must not block.) A panic in it is caught, and among the
    /// report's [`hook_failures`](crate::Report::hook_failures). It may call whatever it likes; what comes of that is
    /// told afterwards. It is let go of with the lifecycle.
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
            stop.core().follow().add(Arc::new(follow));
        }
    }
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
