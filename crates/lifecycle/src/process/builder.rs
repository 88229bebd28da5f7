//! How a child is to start.

use super::child::Child;
use super::engine::{Engine, Order};
use super::error::ChildError;
use super::family::Family;
use super::launch::{self, Answer, Launch, Terms};
use crate::lifecycle::Lifecycle;
use crate::machine::{GroupId, Notice};
use crate::scope::{OnNotice, Scope};
use crate::signal::Signal;
use crate::site::Site;
use crate::stop::Stop;
use crate::work::OnFailure;
use std::fmt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// When a child counts as started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Readiness {
    /// As soon as its program is executed.
    #[default]
    Exec,
    /// When it says `READY=1` to the socket in its variable `NOTIFY_SOCKET` (`sd_notify(3)`), as programs do that were
    /// written for systemd's `Type=notify`, and those that Exeunt starts and stops. Not on Windows
    /// ([`ChildError::NoNotify`]).
    Notify,
}

/// A child process that has yet to start. See [`Lifecycle::child`].
#[must_use = "it does not start by itself"]
pub struct ChildBuilder {
    pub(super) stop: Stop,
    pub(super) name: String,
    pub(super) command: Command,
    pub(super) options: Options,
}

/// What a child is given, but for its program.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) readiness: Readiness,
    pub(super) ready_within: Duration,
    pub(super) stop_signal: Signal,
    pub(super) stop_timeout: Option<Duration>,
    pub(super) own_group: bool,
    pub(super) outlives: bool,
    pub(super) capture: bool,
    pub(super) on_failure: Option<OnFailure>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readiness: Readiness::Exec,
            ready_within: Duration::from_secs(60),
            stop_signal: Signal::TERMINATE,
            stop_timeout: None,
            own_group: true,
            outlives: false,
            capture: false,
            on_failure: None,
        }
    }
}

impl Lifecycle {
    /// A child process: started, watched, told to stop when the drain begins, awaited until the drain deadline, then
    /// killed with its group; counted and reported as work; and gone with this process, even if that is killed.
    ///
    /// It begins with default signal dispositions and nothing blocked (L11), in a process group of its own, and without
    /// the [variables](crate::service::VARIABLES) by which it would speak for us; all else is as `command` says. Linux
    /// and Windows alone; on Windows the command's `creation_flags` are replaced (rule C10 in `docs/semantics.md`).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Readiness};
    /// # use std::process::Command;
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let mut broken = Command::new("sh");
    /// broken.args(["-c", "echo no such table >&2; exit 3"]);
    /// let started = lifecycle.child("importer", broken).ready(Readiness::Notify).capture_stderr().start();
    /// let error = started.unwrap_err().to_string();
    /// assert_eq!(error, "importer ended before it was ready: exit status 3; it said: no such table");
    /// # assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn child(&self, name: impl Into<String>, command: Command) -> ChildBuilder {
        ChildBuilder { stop: self.stop(), name: name.into(), command, options: Options::default() }
    }
}

impl ChildBuilder {
    /// When it counts as started: as soon as it is executed, unless told otherwise.
    pub fn ready(mut self, readiness: Readiness) -> Self {
        self.options.readiness = readiness;
        self
    }

    /// How long it may take to get ready; 60 s unless told otherwise, and more if it asks for it
    /// (`EXTEND_TIMEOUT_USEC`). Then it is ended.
    pub fn ready_within(mut self, within: Duration) -> Self {
        self.options.ready_within = within;
        self
    }

    /// The signal that asks it to stop; SIGTERM unless told otherwise. Behind it comes SIGCONT, for a child that is
    /// stopped. On Windows it is Ctrl-Break, whatever this says.
    pub fn stop_signal(mut self, signal: Signal) -> Self {
        self.options.stop_signal = signal;
        self
    }

    /// How long it may take to stop, before it is killed: in the program's stop until the drain deadline, which this may
    /// shorten and nothing extends; by [`Child::stop`] 10 s, unless told otherwise.
    pub fn stop_timeout(mut self, timeout: Duration) -> Self {
        self.options.stop_timeout = Some(timeout);
        self
    }

    /// It stays in our process group: for one that uses the terminal. Ctrl-C reaches it then as it does us, and it is not
    /// told a second time; what it starts is not killed with it. On Windows it is, and nothing can tell such a child but
    /// the terminal.
    pub fn same_group(mut self) -> Self {
        self.options.own_group = false;
        self
    }

    /// It goes on if this process is killed. The program's own stop ends it all the same.
    pub fn outlives_parent(mut self) -> Self {
        self.options.outlives = true;
        self
    }

    /// Its stderr is read, and the last 4 KiB of it kept, for errors and [`Child::stderr_tail`]; however much it says, it
    /// is never held up by that. Takes the place of what the command was told. Otherwise it has the command's: ours.
    pub fn capture_stderr(mut self) -> Self {
        self.options.capture = true;
        self
    }

    /// That it ends by itself other than with status 0, while no stop is requested, is a failure of the program, in the
    /// report and the exit status; with [`OnFailure::Stop`] also the cause of a stop. Unless told so, how it ends is for
    /// whoever asks.
    pub fn on_failure(mut self, then: OnFailure) -> Self {
        self.options.on_failure = Some(then);
        self
    }

    /// Starts it, and blocks until it is ready or will never be.
    ///
    /// # Errors
    ///
    /// [`ChildError`] says which; nothing is left of it then. After a stop request none starts; a start that was under
    /// way is finished (L3), and the child told to stop.
    #[track_caller]
    pub fn start(self) -> Result<Child, ChildError> {
        let site = Site::here();
        launch::wait(self.name.clone(), |answer| self.launch(site, answer))
    }

    /// [`start`](Self::start) for async code.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// Once polled, the child starts and runs whether or not anybody waits; who drops this has no handle of it.
    #[cfg(feature = "tokio")]
    #[track_caller]
    pub fn start_async(self) -> impl Future<Output = Result<Child, ChildError>> {
        let site = Site::here();
        launch::wait_async(self.name.clone(), move |answer| self.launch(site, answer))
    }

    fn launch(self, site: Site, answer: Answer) -> Result<(), ChildError> {
        let Self { stop, name, command, options } = self;
        let (engine, scope, family) = household(&stop, &name, |_| {})?;
        let terms = Terms { note: None, scope, family, site, answer, on_end: None };
        let launch = Launch { name, command, options, terms };
        engine.order(Order::Start(Box::new(launch)));
        Ok(())
    }
}

/// A scope of its own for one or more children, who hear of the stop together.
pub(super) fn household(
    stop: &Stop,
    name: &str,
    told: impl Fn(Notice) + Send + Sync + 'static,
) -> Result<(&'static Engine, Arc<Scope>, Family), ChildError> {
    let core = stop.core();
    if core.is_forked() {
        return Err(ChildError::Forked { name: name.to_owned() });
    }
    let engine = match Engine::of_this_process() {
        Ok(Some(engine)) => engine,
        Ok(None) => return Err(ChildError::Forked { name: name.to_owned() }),
        Err(source) => return Err(ChildError::Watch { name: name.to_owned(), source }),
    };
    let scope = Scope::new(Arc::clone(core), name.to_owned(), GroupId::ROOT);
    let family = engine.family();
    let id = family.id;
    let members = Arc::clone(&family.members);
    let act: OnNotice = Arc::new(move |notice| {
        if notice == Notice::Cut {
            // At once: the process may end before the thread gets to it.
            members.kill();
        }
        engine.order(Order::Notice { family: id, notice });
        told(notice);
    });
    scope.shared().on_notice(&act);
    Ok((engine, Arc::new(scope), family))
}

impl fmt::Debug for ChildBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ChildBuilder");
        debug.field("name", &self.name).field("command", &self.command).field("options", &self.options);
        debug.finish_non_exhaustive()
    }
}
