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
use crate::machine::{GroupId, Input, Phase};
#[cfg(target_os = "linux")]
use crate::process::Reaping;
use crate::report::Report;
use crate::scope::Scope;
use crate::service::{Service, ServiceError};
use crate::signal::Signal;
use crate::stdin;
use crate::stop::Stop;
use crate::work::Outcome;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The end of a program, from the first wish to the report.
///
/// [`close`](Self::close) or [`finished`](Self::finished) see the stop through, and restore the signals. Dropping
/// the lifecycle instead ends the stop at once: work is told that it is cut, components that are not closed stay so,
/// waits complete, the signals are restored, and nobody gets a report.
///
/// Any number of lifecycles may live in a process; each sees every signal that it asked for (L18). In a forked child
/// it is inert: nothing is requested, nothing waits, dropping it does nothing (L17).
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle};
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let stop = lifecycle.stop();
/// let work = lifecycle.scope("work");
/// lifecycle.ready();
/// let worker = std::thread::spawn(move || {
///     while !work.stop().is_requested() {
///         let _piece = work.begin();
///         // …
///     }
/// });
/// stop.request_stop("the example is over"); // or SIGTERM, or Ctrl-C
/// let report = lifecycle.close();
/// assert_eq!((report.exit_status(), report.scopes[0].left), (0, 0));
/// # worker.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "dropping a lifecycle ends it at once"]
#[derive(Debug)]
pub struct Lifecycle {
    // Dropped in this order: no signal and no tick comes any more when the threads end that are told of it, and the
    // core is dropped by whoever drops the lifecycle.
    driver: Driver,
    #[expect(dead_code, reason = "held for its drop")]
    runners: Runners,
    core: Arc<Core>,
}

/// The threads for foreign code; they end when this is dropped.
#[derive(Debug)]
struct Runners(Arc<Core>);

#[derive(Debug)]
enum Driver {
    Hub {
        membership: Membership,
        #[expect(dead_code, reason = "held for its drop")]
        stdin: Option<stdin::Watch>,
        last_resort: Option<LastResort>,
        /// Behind the membership, which has SIGCHLD.
        #[cfg(target_os = "linux")]
        #[expect(dead_code, reason = "held for its drop")]
        reaping: Option<Reaping>,
    },
    #[cfg(feature = "tokio")]
    Task(#[expect(dead_code, reason = "held for its drop")] crate::runtime::Task),
}

impl Lifecycle {
    /// Handles the configured signals, and keeps the deadlines by a thread of its own: neither depends on a runtime
    /// or on the main thread, however stuck they are (L10).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
    /// assert!(Lifecycle::install(Config::default()).is_ok());
    ///
    /// let unheard_of = Config::default().signals([Signal::new(9)]);
    /// let error = Lifecycle::install(unheard_of).unwrap_err();
    /// assert_eq!(error.to_string(), "SIGKILL cannot be handled; leave it out of the configured signals");
    /// ```
    ///
    /// # Errors
    ///
    /// A configuration that cannot be, a signal that cannot be handled, no descriptors or threads left, or a forked
    /// child of a process that has done this. Nothing is left behind then.
    pub fn install(config: Config) -> Result<Self, InstallError> {
        config.validate()?;
        let service = if config.notify { Service::of_process(config.waits)? } else { None };
        let wishes = Wishes {
            handled: config.handled(),
            stopping: config.stopping(),
            chain: config.chain,
            on_main: config.on_main,
            logoff: config.terminate_on_logoff,
        };
        #[cfg(target_os = "linux")]
        let (reaps, reap_all) = (config.reaps(), config.reap_all);
        let core = Core::new(
            config.limits(service.is_some()),
            config.exit_statuses,
            Clock::system(),
            Alarm::Hub,
            Hooks::new(config.hooks),
        );
        #[cfg(feature = "report-file")]
        if let Some(path) = config.report_file {
            core.write_report_to(path);
        }
        if let Some(waits) = config.waits {
            core.is_waited_for(waits);
        }
        let runners = Runners(Arc::clone(&core));
        let installed = || {
            core.follow().start().map_err(InstallError::Thread)?;
            core.hooks().start().map_err(InstallError::Thread)?;
            if let Some(service) = service {
                core.tell_service(service);
            }
            let membership = hub::join(Arc::clone(&core), wishes)?;
            if core.service().is_some() {
                // It may have been there before, and knows of no watchdog.
                hub::wake();
            }
            let stdin = config.stdin.then(|| stdin::watch(&core)).transpose()?;
            let last_resort = LastResort::watch(&core, config.force).map_err(InstallError::Thread)?;
            #[cfg(target_os = "linux")]
            let reaping =
                reaps.then(|| Reaping::begin(reap_all)).transpose().map_err(InstallError::Thread)?.flatten();
            Ok(Driver::Hub {
                membership,
                stdin,
                last_resort,
                #[cfg(target_os = "linux")]
                reaping,
            })
        };
        match installed() {
            Ok(driver) => Ok(Self { driver, runners, core }),
            Err(error) => {
                core.hooks().dismiss();
                Err(error)
            }
        }
    }

    /// Handles no signals, and keeps the deadlines on the clock of the present tokio runtime, which tests can pause.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// // Inside #[tokio::test(start_paused = true)], say:
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let scope = lifecycle.scope("stubborn");
    /// let _work = scope.begin();
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await; // 25 s, in no time
    /// assert_eq!((report.took.as_secs(), report.exit_status()), (25, 3));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A configuration that cannot be; no runtime here, or one without a timer.
    #[cfg(feature = "tokio")]
    pub fn on_runtime(config: Config) -> Result<Self, InstallError> {
        config.validate()?;
        let runtime = crate::runtime::with_timer()?;
        let alarm = Alarm::Task(tokio::sync::Notify::new());
        let limits = config.limits(false);
        let hooks = Hooks::new(config.hooks);
        let core = Core::new(limits, config.exit_statuses, Clock::of(runtime.clone()), alarm, hooks);
        if let Some(waits) = config.waits {
            core.is_waited_for(waits);
        }
        #[cfg(feature = "report-file")]
        if let Some(path) = config.report_file {
            core.write_report_to(path);
        }
        if let Err(error) = core.hooks().start() {
            core.hooks().dismiss();
            return Err(InstallError::Thread(error));
        }
        let task = crate::runtime::Task::spawn(&runtime, Arc::clone(&core));
        Ok(Self { driver: Driver::Task(task), runners: Runners(Arc::clone(&core)), core })
    }

    /// A handle to ask, to wait and to request.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let stop = lifecycle.stop();
    /// std::thread::spawn(move || stop.request_stop("the example is over"));
    /// lifecycle.stop().wait()?;
    /// assert_eq!(lifecycle.close().cause.unwrap().to_string(), "the example is over");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop::new(Arc::clone(&self.core))
    }

    /// Everything that was to start has started: `Running` begins, unless a stop came first.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// assert_eq!(lifecycle.stop().phase(), Phase::Starting);
    /// lifecycle.ready();
    /// assert_eq!(lifecycle.stop().phase(), Phase::Running);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn ready(&self) {
        self.core.apply(Input::Ready, |_| {});
    }

    /// The program's own start-up is over. If it went well, that implies [`ready`](Self::ready); if not, it is the
    /// cause of a stop, with exit status 1. After a stop request an error is taken for what it commonly is, a
    /// start-up that was told to give up (L3).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// fn start_up() -> Result<(), String> {
    ///     Err("there is no database".to_owned())
    /// }
    ///
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// lifecycle.body_ended(start_up());
    /// let report = lifecycle.close();
    /// assert_eq!(report.cause.unwrap().to_string(), "main failed: there is no database");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn body_ended(&self, outcome: Result<(), impl Into<Box<dyn Error + Send + Sync>>>) {
        let error = outcome.err().map(Into::into);
        self.core.blame(error.as_deref());
        let failure = error.map(|error| Failure::new("main".to_owned(), &*error));
        self.core.apply(Input::BodyEnded { well: failure.is_none() }, |state| {
            if let (Some(failure), None) = (failure, &state.cause) {
                state.failures.push(failure.clone());
                state.cause = Some(Cause::Failure(failure));
            }
        });
    }

    /// Takes over what may still change while the program runs: the limits ([`grace`](Config::grace),
    /// [`lame_duck`](Config::lame_duck), [`max_attempts`](Config::max_attempts), [`hard_limit`](Config::hard_limit)),
    /// [`terminate_on_hup`](Config::terminate_on_hup) and [`terminate_on_logoff`](Config::terminate_on_logoff). All else
    /// stays as it was installed. Once a stop is requested only `max_attempts` is taken: its times are fixed (L2).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// lifecycle.adjust(&Config::default().grace(Duration::from_secs(10)))?;
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.stop().time_left(), Some(Duration::from_secs(8)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A configuration that cannot be. Nothing has changed then.
    pub fn adjust(&self, config: &Config) -> Result<(), ConfigError> {
        config.validate()?;
        match &self.driver {
            Driver::Hub { membership, .. } => {
                membership.change(config.stopping(), config.terminate_on_logoff);
            }
            #[cfg(feature = "tokio")]
            Driver::Task(_) => {}
        }
        self.core.limit(config.limits);
        Ok(())
    }

    /// Blocks until every signal that was delivered before has been taken note of, `timeout` at most; true if it has. For
    /// whoever is called by a handler of its own for the same signal, and wants to see what has come of it: that takes
    /// microseconds. Without the signal thread ([`on_runtime`](Self::on_runtime)), on it and in a forked child: false.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use rustix::process::{Signal as Raw, getpid, kill_process};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// kill_process(getpid(), Raw::TERM)?;
    /// assert!(lifecycle.settle(Duration::from_secs(10)));
    /// assert!(lifecycle.stop().is_requested());
    /// # assert_eq!(lifecycle.close().attempts, 1);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn settle(&self, timeout: Duration) -> bool {
        matches!(self.driver, Driver::Hub { .. }) && hub::settle(timeout)
    }

    /// Puts our handler of `signal` back over one that somebody has put over it since; true if it had to. For a handler
    /// that does not call ours, as with [`chain_on_main_thread`](Config::chain_on_main_thread). What came meanwhile is not
    /// known here.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
    /// let lifecycle = Lifecycle::install(Config::default().chain_on_main_thread(true))?;
    /// assert!(!lifecycle.renew(Signal::TERMINATE)?);
    /// # assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The system refuses it; nothing has changed then. A forked child.
    pub fn renew(&self, signal: Signal) -> Result<bool, InstallError> {
        match &self.driver {
            Driver::Hub { membership, .. } => membership.renew(signal),
            #[cfg(feature = "tokio")]
            Driver::Task(_) => Ok(false),
        }
    }

    /// The outermost group of components; clone it to hand it on.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Group, Lifecycle, StartError};
    /// /// Of some library.
    /// fn open_journal(group: &Group) -> Result<(), StartError> {
    ///     let open = || Ok::<_, std::io::Error>(());
    ///     group.component_blocking("journal", open, |()| {}).start()
    /// }
    ///
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// open_journal(&lifecycle.components())?;
    /// assert_eq!(lifecycle.close().components[0].name, "journal");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn components(&self) -> Group {
        Group::root(Arc::clone(&self.core))
    }

    /// A group of components that closes before those of the outermost group. See [`Group`].
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # let open = || Ok::<_, std::io::Error>(());
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let tenant = lifecycle.group("tenant");
    /// tenant.component_blocking("cache", open, |()| {}).start()?;
    /// lifecycle.component_blocking("database", open, |()| {}).start()?;
    ///
    /// let closed = lifecycle.close().components;
    /// let names: Vec<_> = closed.iter().map(|component| &*component.name).collect();
    /// assert_eq!(names, ["tenant/cache", "database"]);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn group(&self, name: impl AsRef<str>) -> Group {
        self.components().group(name)
    }

    /// A component of the outermost group; see [`Group::component`].
    ///
    /// ```
    /// # use exeunt_lifecycle::{ComponentOutcome, Config, Lifecycle};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # type Failure = std::io::Error;
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let connect = async { Ok::<_, Failure>("a connection") };
    /// let connection = lifecycle.component("database", connect, async |_connection| {}).await?;
    /// assert_eq!(connection, "a connection");
    /// # lifecycle.stop().request_stop("the example is over");
    /// # assert_eq!(lifecycle.finished().await.components[0].outcome, ComponentOutcome::Closed);
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// ```
    /// # use exeunt_lifecycle::{ComponentOutcome, Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let open = || Ok::<_, std::io::Error>("a file");
    /// let file = lifecycle.component_blocking("journal", open, |_file| {}).start()?;
    /// assert_eq!(file, "a file");
    /// # assert_eq!(lifecycle.close().components[0].outcome, ComponentOutcome::Closed);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
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
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let scope = lifecycle.scope("mail");
    /// let letter = scope.begin();
    /// lifecycle.stop().request_stop("the example is over");
    /// tokio::spawn(async move {
    ///     tokio::time::sleep(Duration::from_secs(7)).await;
    ///     drop((letter, scope)); // sent
    /// });
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.scopes[0].held.unwrap().as_secs(), 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scope(&self, name: impl Into<String>) -> Scope {
        Scope::new(Arc::clone(&self.core), name.into(), GroupId::ROOT)
    }

    /// Adds a hook for a signal, as [`Config::on_signal`] does: for hooks that need what did not exist before. It is
    /// gone with the lifecycle, and should hold no [`Lifecycle`] itself.
    ///
    /// False if the signal was ignored at our start, and so stays ignored (L11).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
    /// # use rustix::process::{Signal as Raw, getpid, kill_process};
    /// # use std::sync::mpsc::channel;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let (say, hear) = channel();
    /// lifecycle.on_signal(Signal::USER2, move |received, _| say.send(received.signal))?;
    /// kill_process(getpid(), Raw::USR2)?;
    /// assert_eq!(hear.recv()?, Signal::USER2);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
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
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.json");
    /// let config = Config::default().report_file(path);
    /// drop(Lifecycle::install(config.clone())?.close());
    ///
    /// let lifecycle = Lifecycle::install(config)?; // the next start
    /// let last = lifecycle.last_stop().expect("there was one");
    /// assert_eq!((last.exit_status, last.cut), (0, 0));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[cfg(feature = "report-file")]
    #[must_use]
    pub fn last_stop(&self) -> Option<&crate::report::LastStop> {
        self.core.report_file()?.last()
    }

    /// The configured signals that were ignored at our start, and stay so (L11).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// for signal in lifecycle.ignored_signals() {
    ///     println!("{signal} is ignored, as it was before"); // SIGHUP, under nohup(1)
    /// }
    /// # assert!(!lifecycle.ignored_signals().contains(&exeunt_lifecycle::Signal::TERMINATE));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
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
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// lifecycle.task("work", async |stop| {
    ///     tokio::time::sleep(Duration::from_secs(60)).await;
    ///     stop.request_stop("all is done");
    /// });
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.cause.unwrap().to_string(), "all is done");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping this future drops the lifecycle.
    #[cfg(feature = "tokio")]
    pub async fn finished(self) -> Report {
        self.stop().reached(Phase::Stopped).await;
        self.core.hooks().over().await;
        self.has_noticed();
        Report::last(&self.core)
    }

    /// Blocks until the program has stopped, and tells how. Requests nothing, and keeps the signals, so that one that
    /// comes late does not make a clean stop look like a crash: for programs that are over then.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// lifecycle.thread("work", |stop| {
    ///     stop.request_stop("all is done");
    /// });
    /// assert_eq!(lifecycle.wait().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use = "the report has the exit status"]
    pub fn wait(&self) -> Report {
        self.core.wait_for(Phase::Stopped, None);
        self.core.hooks().wait();
        self.has_noticed();
        Report::last(&self.core)
    }

    /// Requests the stop if nobody has, blocks until the program has stopped, and tells how. The signals are
    /// restored then.
    ///
    /// Returns at once when the end is forced, whatever is still busy (exit work has 1 s then); at the hard deadline
    /// at the latest. Not for async code, where it would block a thread of the runtime: there, use
    /// [`finished`](Self::finished).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// lifecycle.thread("work", |stop| stop.wait());
    /// let report = lifecycle.close();
    /// assert_eq!(report.exit_status(), 0);
    /// assert_eq!(report.cause.unwrap().to_string(), "the program closed its lifecycle");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use = "the report has the exit status"]
    pub fn close(self) -> Report {
        self.core.request(Cause::Call { why: "the program closed its lifecycle".to_owned() });
        self.core.wait_for(Phase::Stopped, None);
        self.core.hooks().wait();
        self.has_noticed();
        Report::last(&self.core)
    }

    /// The program knows that the stop is over, and ends by itself. Before it is told everything, which takes a while
    /// where a follower or a disk is slow, and is bounded.
    fn has_noticed(&self) {
        if let Driver::Hub { last_resort: Some(last_resort), .. } = &self.driver {
            last_resort.dismiss();
        }
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

impl Drop for Runners {
    fn drop(&mut self) {
        self.0.close_runners();
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
    /// What the service manager says in the environment cannot be used.
    #[error(transparent)]
    Service(#[from] ServiceError),
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
