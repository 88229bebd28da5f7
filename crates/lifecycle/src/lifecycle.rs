//! The handle of whoever is responsible for the program's end.

use crate::cause::{Cause, Failure};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::core::{Alarm, Core};
use crate::hub::{self, Membership};
use crate::machine::{Input, Phase};
use crate::report::Report;
use crate::scope::Scope;
use crate::signal::Signal;
use crate::stop::Stop;
use std::error::Error;
use std::io;
use std::sync::Arc;

/// The end of a program, from the first wish to the report.
///
/// [`close`](Self::close) or [`finished`](Self::finished) see the stop through, and restore the signals. Dropping
/// the lifecycle instead ends the stop at once: work is told that it is cut, waits complete, the signals are
/// restored, and nobody gets a report.
///
/// Any number of lifecycles may live in a process; each sees every signal that it asked for (L18). In a forked child
/// it is inert: nothing is requested, nothing waits, dropping it does nothing (L17).
#[must_use = "dropping a lifecycle ends it at once"]
#[derive(Debug)]
pub struct Lifecycle {
    core: Arc<Core>,
    driver: Driver,
}

#[derive(Debug)]
enum Driver {
    Hub(Membership),
    #[cfg(feature = "tokio")]
    Task(#[expect(dead_code, reason = "held for its drop")] crate::runtime::Task),
}

impl Lifecycle {
    /// Handles the configured signals, and keeps the deadlines by a thread of its own: neither depends on a runtime
    /// or on the main thread, however stuck they are (L10).
    ///
    /// # Errors
    ///
    /// A configuration that cannot be, a signal that cannot be handled, no descriptors or threads left, or a forked
    /// child of a process that has done this. Nothing is left behind then.
    pub fn install(config: Config) -> Result<Self, InstallError> {
        config.validate()?;
        let core = Core::new(config.limits, Clock::system(), Alarm::Hub);
        let membership =
            hub::join(Arc::clone(&core), config.signals, config.chain, config.terminate_on_logoff)?;
        Ok(Self { core, driver: Driver::Hub(membership) })
    }

    /// Handles no signals, and keeps the deadlines on the clock of the present tokio runtime, which tests can pause.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be; no runtime here, or one without a timer.
    #[cfg(feature = "tokio")]
    #[expect(clippy::needless_pass_by_value, reason = "as `install` takes it")]
    pub fn on_runtime(config: Config) -> Result<Self, InstallError> {
        config.validate()?;
        let runtime = crate::runtime::with_timer()?;
        let alarm = Alarm::Task(tokio::sync::Notify::new());
        let core = Core::new(config.limits, Clock::of(runtime.clone()), alarm);
        let task = crate::runtime::Task::spawn(&runtime, Arc::clone(&core));
        Ok(Self { core, driver: Driver::Task(task) })
    }

    /// A handle to ask, to wait and to request.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop::new(Arc::clone(&self.core))
    }

    /// Everything that was to start has started: `Running` begins, unless a stop came first.
    pub fn ready(&self) {
        self.core.apply(Input::Ready, |_| {});
    }

    /// The program's own start-up is over. If it went well, that implies [`ready`](Self::ready); if not, it is the
    /// cause of a stop, with exit status 1. After a stop request an error is taken for what it commonly is, a
    /// start-up that was told to give up (L3).
    pub fn body_ended(&self, outcome: Result<(), impl Into<Box<dyn Error + Send + Sync>>>) {
        let failure = outcome.err().map(|error| Failure::new("main".to_owned(), &*error.into()));
        self.core.apply(Input::BodyEnded { well: failure.is_none() }, |state| {
            if let (Some(failure), None) = (failure, &state.cause) {
                state.failures.push(failure.clone());
                state.cause = Some(Cause::Failure(failure));
            }
        });
    }

    /// Somebody whose work must be done before `Closing`. Busy from now until the handle and all its work are
    /// dropped. The name is the report's, and need not be unique.
    pub fn scope(&self, name: impl Into<String>) -> Scope {
        Scope::new(Arc::clone(&self.core), name.into())
    }

    /// The configured signals that were ignored at our start, and stay so (L11).
    #[must_use]
    pub fn ignored_signals(&self) -> &[Signal] {
        match &self.driver {
            Driver::Hub(membership) => membership.ignored(),
            #[cfg(feature = "tokio")]
            Driver::Task(_) => &[],
        }
    }

    /// Waits until the program has stopped, and tells how. Does not request the stop.
    ///
    /// Completes at once when the end is forced, whatever is still busy; at the hard deadline at the latest. The
    /// signals are restored then.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future drops the lifecycle.
    #[cfg(feature = "tokio")]
    pub async fn finished(self) -> Report {
        self.stop().reached(Phase::Stopped).await;
        Report::of(&self.core)
    }

    /// Requests the stop if nobody has, blocks until the program has stopped, and tells how. The signals are
    /// restored then.
    ///
    /// Returns at once when the end is forced, whatever is still busy; at the hard deadline at the latest. Not for
    /// async code, where it would block a thread of the runtime: there, use [`finished`](Self::finished).
    #[must_use = "the report has the exit status"]
    pub fn close(self) -> Report {
        self.core.request(Cause::Call { why: "the program closed its lifecycle".to_owned() });
        self.core.wait_for(Phase::Stopped, None);
        Report::of(&self.core)
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        self.core.abandon();
    }
}

/// Why a lifecycle could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A signal cannot be handled.
    #[error("{signal} cannot be handled; leave it out of the configured signals")]
    Signal {
        /// Which one.
        signal: Signal,
        /// What the system said.
        source: io::Error,
    },
    /// There are no descriptors left for the pipe that signals travel by.
    #[error("no pipe for signals could be made; raise the limit of open files")]
    Pipe(#[source] io::Error),
    /// The signal thread cannot be started.
    #[error("the signal thread could not be started")]
    Thread(#[source] io::Error),
    /// There is no tokio runtime here.
    #[error("there is no tokio runtime here; call this inside one, or use Lifecycle::install")]
    NoRuntime,
    /// The tokio runtime has no timer.
    #[error("this tokio runtime has no timer; build it with enable_time or enable_all")]
    NoTimer,
    /// This process was forked from one that handles signals.
    #[error("this process was forked from one that handles signals; install before the fork, or exec first")]
    Forked,
}
