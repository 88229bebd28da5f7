//! The handle of whoever is responsible for the program's end.

use crate::cause::{Cause, Failure, Received};
use crate::clock::Clock;
#[cfg(feature = "tokio")]
use crate::component::Component;
use crate::component::{BlockingComponent, Group};
use crate::config::{Config, ConfigError};
use crate::core::{Alarm, Core};
use crate::hooks::{HookOutcome, Hooks, signal_hook};
use crate::hub::{self, Membership, Wishes};
use crate::last_resort::LastResort;
use crate::machine::{Input, Phase};
use crate::report::Report;
use crate::scope::Scope;
use crate::signal::Signal;
use crate::stdin;
use crate::stop::Stop;
use crate::work::Outcome;
use std::error::Error;
use std::io;
use std::sync::Arc;

/// The end of a program, from the first wish to the report.
///
/// [`close`](Self::close) or [`finished`](Self::finished) see the stop through, and restore the signals. Dropping
/// the lifecycle instead ends the stop at once: work is told that it is cut, components that are not closed stay so,
/// waits complete, the signals are restored, and nobody gets a report.
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
    Hub {
        membership: Membership,
        #[expect(dead_code, reason = "held for its drop")]
        stdin: Option<stdin::Watch>,
        last_resort: Option<LastResort>,
    },
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
        let wishes = Wishes {
            handled: config.handled(),
            stopping: config.stopping(),
            chain: config.chain,
            logoff: config.terminate_on_logoff,
        };
        let core = Core::new(
            config.limits,
            config.exit_statuses,
            Clock::system(),
            Alarm::Hub,
            Hooks::new(config.hooks),
        );
        #[cfg(feature = "report-file")]
        if let Some(path) = config.report_file {
            core.write_report_to(path);
        }
        let installed = || {
            core.hooks().start().map_err(InstallError::Thread)?;
            let membership = hub::join(Arc::clone(&core), wishes)?;
            let stdin = config.stdin.then(|| stdin::watch(&core)).transpose()?;
            let last_resort = LastResort::watch(&core, config.force).map_err(InstallError::Thread)?;
            Ok(Driver::Hub { membership, stdin, last_resort })
        };
        match installed() {
            Ok(driver) => Ok(Self { core, driver }),
            Err(error) => {
                core.hooks().dismiss();
                Err(error)
            }
        }
    }

    /// Handles no signals, and keeps the deadlines on the clock of the present tokio runtime, which tests can pause.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be; no runtime here, or one without a timer.
    #[cfg(feature = "tokio")]
    pub fn on_runtime(config: Config) -> Result<Self, InstallError> {
        config.validate()?;
        let runtime = crate::runtime::with_timer()?;
        let alarm = Alarm::Task(tokio::sync::Notify::new());
        let hooks = Hooks::new(config.hooks);
        let core = Core::new(config.limits, config.exit_statuses, Clock::of(runtime.clone()), alarm, hooks);
        #[cfg(feature = "report-file")]
        if let Some(path) = config.report_file {
            core.write_report_to(path);
        }
        if let Err(error) = core.hooks().start() {
            core.hooks().dismiss();
            return Err(InstallError::Thread(error));
        }
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

    /// The outermost group of components; clone it to hand it on.
    #[must_use]
    pub fn components(&self) -> Group {
        Group::root(Arc::clone(&self.core))
    }

    /// A group of components that closes before those of the outermost group. See [`Group`].
    #[must_use]
    pub fn group(&self, name: impl AsRef<str>) -> Group {
        self.components().group(name)
    }

    /// A component of the outermost group; see [`Group::component`].
    #[cfg(feature = "tokio")]
    pub fn component<S, T, E, C, F>(&self, name: impl Into<String>, start: S, close: C) -> Component<S, C>
    where
        S: Future<Output = Result<T, E>>,
        T: Clone + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
        C: FnOnce(T) -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.components().component(name, start, close)
    }

    /// A component of the outermost group that may block; see [`Group::component_blocking`].
    pub fn component_blocking<S, T, E, C, R>(
        &self,
        name: impl Into<String>,
        start: S,
        close: C,
    ) -> BlockingComponent<S, C>
    where
        S: FnOnce() -> Result<T, E> + Send + 'static,
        T: Clone + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
        C: FnOnce(T) -> R + Send + 'static,
        R: Outcome,
    {
        self.components().component_blocking(name, start, close)
    }

    /// Somebody whose work must be done before `Closing`. Busy from now until the handle and all its work are
    /// dropped. The name is the report's, and need not be unique.
    pub fn scope(&self, name: impl Into<String>) -> Scope {
        Scope::new(Arc::clone(&self.core), name.into())
    }

    /// Adds a hook for a signal, as [`Config::on_signal`] does: for hooks that need what did not exist before. It is
    /// gone with the lifecycle, and should hold no [`Lifecycle`] itself.
    ///
    /// False if the signal was ignored at our start, and so stays ignored (L11).
    ///
    /// # Errors
    ///
    /// The signal cannot be handled; there are no descriptors or threads left; the lifecycle is one that handles no
    /// signals ([`on_runtime`](Self::on_runtime)), or belongs to the parent of this forked process. Nothing is left
    /// behind then.
    pub fn on_signal<O: HookOutcome>(
        &self,
        signal: Signal,
        hook: impl Fn(Received, &Stop) -> O + Send + Sync + 'static,
    ) -> Result<bool, InstallError> {
        match &self.driver {
            Driver::Hub { membership, .. } => {
                let hook = signal_hook(hook);
                self.core.hooks().add(signal, Arc::clone(&hook)).map_err(InstallError::Thread)?;
                membership.add(signal).inspect_err(|_| self.core.hooks().remove(&hook))
            }
            #[cfg(feature = "tokio")]
            Driver::Task(_) => Err(InstallError::NoSignals),
        }
    }

    /// How the program last stopped, if it wrote a report then and [`Config::report_file`] tells where.
    #[cfg(feature = "report-file")]
    #[must_use]
    pub fn last_stop(&self) -> Option<&crate::report::LastStop> {
        self.core.report_file()?.last()
    }

    /// The configured signals that were ignored at our start, and stay so (L11).
    #[must_use]
    pub fn ignored_signals(&self) -> &[Signal] {
        match &self.driver {
            Driver::Hub { membership, .. } => membership.ignored(),
            #[cfg(feature = "tokio")]
            Driver::Task(_) => &[],
        }
    }

    /// Waits until the program has stopped, and tells how. Does not request the stop.
    ///
    /// Completes at once when the end is forced, whatever is still busy (exit work has 1 s then); at the hard
    /// deadline at the latest. The signals are restored then.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future drops the lifecycle.
    #[cfg(feature = "tokio")]
    pub async fn finished(self) -> Report {
        self.stop().reached(Phase::Stopped).await;
        self.core.hooks().over().await;
        Report::last(&self.core)
    }

    /// Blocks until the program has stopped, and tells how. Requests nothing, and keeps the signals, so that one that
    /// comes late does not make a clean stop look like a crash: for programs that are over then.
    #[must_use = "the report has the exit status"]
    pub fn wait(&self) -> Report {
        self.core.wait_for(Phase::Stopped, None);
        self.core.hooks().wait();
        if let Driver::Hub { last_resort: Some(last_resort), .. } = &self.driver {
            last_resort.dismiss();
        }
        Report::last(&self.core)
    }

    /// Requests the stop if nobody has, blocks until the program has stopped, and tells how. The signals are
    /// restored then.
    ///
    /// Returns at once when the end is forced, whatever is still busy (exit work has 1 s then); at the hard deadline
    /// at the latest. Not for async code, where it would block a thread of the runtime: there, use
    /// [`finished`](Self::finished).
    #[must_use = "the report has the exit status"]
    pub fn close(self) -> Report {
        self.core.request(Cause::Call { why: "the program closed its lifecycle".to_owned() });
        self.core.wait_for(Phase::Stopped, None);
        self.core.hooks().wait();
        Report::last(&self.core)
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        self.core.abandon();
        if !hub::is_signal_thread() {
            self.core.hooks().wait();
        }
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
    /// A thread of the lifecycle cannot be started.
    #[error("a thread of the lifecycle could not be started; raise the limit of processes")]
    Thread(#[source] io::Error),
    /// There is no tokio runtime here.
    #[error("there is no tokio runtime here; call this inside one, or use Lifecycle::install")]
    NoRuntime,
    /// The tokio runtime has no timer.
    #[error("this tokio runtime has no timer; build it with enable_time or enable_all")]
    NoTimer,
    /// This lifecycle handles no signals.
    #[error("this lifecycle handles no signals; use Lifecycle::install")]
    NoSignals,
    /// This process was forked from one that handles signals.
    #[error("this process was forked from one that handles signals; install before the fork, or exec first")]
    Forked,
}
