//! How a lifecycle behaves.

use crate::cause::Received;
use crate::exit_statuses::ExitStatuses;
use crate::hooks::{HookOutcome, HookSet, end_hook, signal_hook};
use crate::last_resort::Force;
use crate::machine::Limits;
use crate::report::Report;
use crate::service::{Preset, Waits};
use crate::signal::Signal;
use crate::stop::Stop;
use std::path::PathBuf;
use std::time::Duration;

/// How long a stop may take and what starts it. Checked when the lifecycle is installed.
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
/// # use std::time::Duration;
/// let config = Config::default()
///     .grace(Duration::from_secs(60))
///     .lame_duck(Duration::from_secs(5))
///     .signals([Signal::INTERRUPT, Signal::TERMINATE]);
/// let lifecycle = Lifecycle::install(config)?;
/// assert_eq!(lifecycle.close().exit_status(), 0);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a configuration does nothing until a lifecycle is installed with it"]
pub struct Config {
    pub(crate) limits: Limits,
    pub(crate) signals: Vec<Signal>,
    pub(crate) chain: bool,
    pub(crate) on_main: bool,
    pub(crate) terminate_on_logoff: bool,
    pub(crate) terminate_on_hup: bool,
    pub(crate) stdin: bool,
    /// Written only with the feature `report-file`.
    pub(crate) report_file: Option<PathBuf>,
    pub(crate) hooks: HookSet,
    pub(crate) force: Force,
    pub(crate) exit_statuses: ExitStatuses,
    pub(crate) notify: bool,
    /// How long whoever stops us waits, where that was said.
    pub(crate) waits: Option<Waits>,
    pub(crate) subreaper: bool,
    pub(crate) reap_all: bool,
    pub(crate) admin: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits {
                grace: Duration::from_secs(25),
                lame_duck: Duration::ZERO,
                lame_duck_quiet: Duration::ZERO,
                max_attempts: 3,
                hard_limit: Duration::from_secs(90),
            },
            signals: Signal::DEFAULT.to_vec(),
            chain: false,
            on_main: false,
            terminate_on_logoff: true,
            terminate_on_hup: true,
            stdin: false,
            report_file: None,
            hooks: HookSet::default(),
            force: Force::Notify,
            exit_statuses: ExitStatuses::default(),
            notify: true,
            waits: None,
            subreaper: false,
            reap_all: false,
            admin: None,
        }
    }
}

impl Config {
    /// From the first stop request to the hard deadline. 25 s unless told otherwise: Kubernetes kills after 30.
    ///
    /// The last 20 % of it, at most 5 s, are kept for closing; what is in flight before them is cut (L2).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default().grace(Duration::from_secs(10)))?;
    /// let stop = lifecycle.stop();
    /// stop.request_stop("the example is over");
    /// assert_eq!(stop.time_left(), Some(Duration::from_secs(8))); // and 2 s to close
    /// # Ok(())
    /// # }
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// How long, after the stop request, to go on accepting while load balancers find out that we are no longer
    /// ready. 0 unless told otherwise, which is right where nobody watches our readiness. Counts towards the
    /// grace. A program that never was ready is no lame duck, and drains at once.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default().lame_duck(Duration::from_secs(5)))?;
    /// lifecycle.ready();
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.stop().phase(), Phase::LameDuck);
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.time_in(Phase::LameDuck).as_secs(), 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lame_duck(mut self, lame_duck: Duration) -> Self {
        self.limits.lame_duck = lame_duck;
        self
    }

    /// Ends the lame duck as soon as nothing new has come for so long: then the last balancer has heard, and the rest of
    /// [`lame_duck`](Self::lame_duck), which stays the most that it takes, would be waited out for nobody. Counted from
    /// the stop request or the last [`Stop::note_arrival`]. Zero, as it is unless told otherwise: not before its time.
    ///
    /// Longer than a balancer takes between two requests in quiet hours is long enough; its probes do not count.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Phase};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let seconds = Duration::from_secs;
    /// let config = Config::default().lame_duck(seconds(15)).lame_duck_quiet(seconds(3));
    /// let lifecycle = Lifecycle::on_runtime(config)?;
    /// lifecycle.ready();
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.time_in(Phase::LameDuck).as_secs(), 3); // and nobody came
    /// # Ok(())
    /// # }
    /// ```
    pub fn lame_duck_quiet(mut self, quiet: Duration) -> Self {
        self.limits.lame_duck_quiet = quiet;
        self
    }

    /// How many deliberate stop signals force the end (L9). 3 unless told otherwise: one to ask, one by
    /// impatience, one in earnest.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use rustix::process::{Signal as Raw, getpid, kill_process};
    /// # let terminate = || kill_process(getpid(), Raw::TERM);
    /// let lifecycle = Lifecycle::install(Config::default().max_attempts(1))?;
    /// let _endless = lifecycle.scope("endless");
    /// terminate()?; // by SIGTERM, as kill(1) would
    /// assert_eq!(lifecycle.wait().exit_status(), 128 + 15);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.limits.max_attempts = max_attempts;
        self
    }

    /// How far shields may move the end: from the stop request until then, and never beyond. 90 s unless told
    /// otherwise, which is how long systemd waits before it kills. Has no effect if it is shorter than the grace.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default().hard_limit(Duration::from_secs(40)))?;
    /// let stop = lifecycle.stop();
    /// let _shield = stop.shield(Duration::from_secs(60))?; // more than it gets
    /// stop.request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!((report.took.as_secs(), report.extended), (40, Some(Duration::from_secs(40))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn hard_limit(mut self, hard_limit: Duration) -> Self {
        self.limits.hard_limit = hard_limit;
        self
    }

    /// The signals that request a stop. SIGHUP, SIGINT, SIGQUIT and SIGTERM unless told otherwise: the ways in which a
    /// terminal and a service manager ask for the end. (Without SIGQUIT, Ctrl-\ dumps core as ever.) On Windows Ctrl-C,
    /// Ctrl-Break, and what ends a session, see [`Signal`]. Only
    /// [`Lifecycle::install`](crate::Lifecycle::install) handles signals.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Cause, Config, Lifecycle, Signal};
    /// # use rustix::process::{Signal as Raw, getpid, kill_process};
    /// let lifecycle = Lifecycle::install(Config::default().signals([Signal::USER1]))?;
    /// kill_process(getpid(), Raw::USR1)?;
    /// let report = lifecycle.wait();
    /// assert!(matches!(report.cause, Some(Cause::Signal(received)) if received.signal == Signal::USER1));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn signals(mut self, signals: impl IntoIterator<Item = Signal>) -> Self {
        self.signals = signals.into_iter().collect();
        self.signals.sort_unstable();
        self.signals.dedup();
        self
    }

    /// Whether a handler that was there before is called after ours (L11). Not unless told so. On Windows, where
    /// nobody can ask whether there is one, the default ends the process if there is none.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
    /// # use rustix::process::{Signal as Raw, getpid, kill_process};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # use tokio::signal::unix::{SignalKind, signal};
    /// let mut others = signal(SignalKind::user_defined1())?; // somebody else's handler
    /// let lifecycle = Lifecycle::install(Config::default().signals([Signal::USER1]).chain(true))?;
    /// kill_process(getpid(), Raw::USR1)?;
    /// others.recv().await; // has it, and so have we
    /// assert_eq!(lifecycle.finished().await.attempts, 1);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn chain(mut self, chain: bool) -> Self {
        self.chain = chain;
        self
    }

    /// Whether a handler that was there before is called after ours, as with [`chain`](Self::chain), and by the main
    /// thread alone, wherever the signal lands, so that what that thread waits in is interrupted. For hosts that run their
    /// programs' handlers there and so only (CPython): a handler that somebody has put over ours meanwhile goes below it
    /// again, and must not call ours. On systems other than Linux, by any thread.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
    /// let lifecycle = Lifecycle::install(Config::default().chain_on_main_thread(true))?;
    /// // From now on the host's own handler of SIGTERM can be made to run, to look at what has become of the stop:
    /// _ = Signal::TERMINATE.nudge();
    /// # assert_eq!(lifecycle.close().attempts, 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn chain_on_main_thread(mut self, chain: bool) -> Self {
        self.chain |= chain;
        self.on_main = chain;
        self
    }

    /// Whether the end of a user's session on Windows requests a stop, where [`Signal::TERMINATE`] does (L16). It does
    /// unless told otherwise; services outlive their users, and are the ones that hear of it. No effect elsewhere.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default().terminate_on_logoff(false))?; // a service
    /// # assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn terminate_on_logoff(mut self, terminate: bool) -> Self {
        self.terminate_on_logoff = terminate;
        self
    }

    /// Whether SIGHUP stops the program (L16), if it is among the [`signals`](Self::signals). It does unless told
    /// otherwise: the terminal is gone. If not, SIGHUP is handled all the same, and does what its hooks do.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
    /// # use rustix::process::{Signal as Raw, getpid, kill_process};
    /// # use std::sync::mpsc::channel;
    /// let (say, hear) = channel();
    /// let reload = move |_, _: &_| say.send("reloaded");
    /// let config = Config::default().terminate_on_hup(false).on_signal(Signal::HANGUP, reload);
    /// let lifecycle = Lifecycle::install(config)?;
    /// # if lifecycle.ignored_signals().contains(&Signal::HANGUP) { return Ok(()); } // by nohup(1)
    /// kill_process(getpid(), Raw::HUP)?;
    /// assert_eq!(hear.recv()?, "reloaded");
    /// assert!(!lifecycle.stop().is_requested());
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn terminate_on_hup(mut self, terminate: bool) -> Self {
        self.terminate_on_hup = terminate;
        self
    }

    /// Adds a hook that runs at every SIGHUP, before it stops the program: SIGHUP takes effect when these hooks have
    /// returned, but no later than 2 s after its delivery. Other stop signals do not wait for it.
    ///
    /// It runs as [`on_signal`](Self::on_signal) hooks do, in one order with them.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
    /// # use rustix::process::{Signal as Raw, getpid, kill_process};
    /// # use std::sync::mpsc::channel;
    /// let (say, hear) = channel();
    /// let config = Config::default().before_hup(move |_, stop| say.send(stop.is_requested()));
    /// let lifecycle = Lifecycle::install(config)?;
    /// # if lifecycle.ignored_signals().contains(&Signal::HANGUP) { return Ok(()); } // by nohup(1)
    /// kill_process(getpid(), Raw::HUP)?;
    /// lifecycle.stop().wait()?;
    /// assert_eq!(hear.recv()?, false, "the hook came first");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn before_hup<O: HookOutcome>(
        mut self,
        hook: impl Fn(Received, &Stop) -> O + Send + Sync + 'static,
    ) -> Self {
        self.hooks.before_hup.push(signal_hook(hook));
        self
    }

    /// Adds a hook that runs at every delivery of `signal`, which is handled for that. No signal that is neither
    /// named here nor among the stop signals is ever touched. A stop signal stops the program beside its hooks, and
    /// waits for none.
    ///
    /// Hooks run on a thread of the lifecycle, never in the signal handler, one after the other in the order of
    /// deliveries; they may lock, allocate, wait and stop the program. A hook that fails or panics is in the report,
    /// and the next runs. Up to 1,024 deliveries wait their turn; beyond, the last of a signal replaces the one
    /// before it, so that a hook still begins after every delivery. Hooks run in every phase; what still waits or
    /// runs at the end has 2 s.
    ///
    /// ```
    /// use exeunt_lifecycle::{Config, Signal};
    ///
    /// # #[cfg(unix)]
    /// let config = Config::default().on_signal(Signal::USER1, |_, stop| println!("{}", stop.phase()));
    /// ```
    pub fn on_signal<O: HookOutcome>(
        mut self,
        signal: Signal,
        hook: impl Fn(Received, &Stop) -> O + Send + Sync + 'static,
    ) -> Self {
        self.hooks.on_signal.push((signal, signal_hook(hook)));
        self
    }

    /// Adds a hook that runs once, at the very end, however the end came about: after a clean stop, at the hard
    /// deadline, forced, or when the lifecycle was dropped.
    ///
    /// All work is done with by then, or given up. The hooks run one after the other on a thread of their own;
    /// [`close`](crate::Lifecycle::close), [`finished`](crate::Lifecycle::finished) and the drop of the lifecycle
    /// wait for them, for 2 s together. One that fails, panics or takes longer is in the report, and changes neither
    /// the verdict nor the exit status.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::sync::mpsc::channel;
    /// let (say, hear) = channel();
    /// let config = Config::default().before_termination(move |report| say.send(report.to_string()));
    /// let lifecycle = Lifecycle::install(config)?;
    /// lifecycle.stop().fail("database", "the disk is full");
    /// _ = lifecycle.close();
    /// assert!(hear.recv()?.contains("database failed: the disk is full"));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn before_termination<O: HookOutcome>(
        mut self,
        hook: impl Fn(&Report) -> O + Send + Sync + 'static,
    ) -> Self {
        self.hooks.before_termination.push(end_hook(hook));
        self
    }

    /// Whether the end of stdin requests the stop (L16): for a program whose parent holds the other end of a pipe
    /// and should not be outlived. Not unless told so.
    ///
    /// A thread then reads stdin and throws away what it reads, so that nothing else can use it. With a stdin that
    /// has ended already (`/dev/null`) the stop comes at once. In the background of a terminal, reading stops the
    /// process (SIGTTIN). Only [`Lifecycle::install`](crate::Lifecycle::install) does this.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Cause, Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default().stop_on_stdin_end(true))?;
    /// lifecycle.stop().wait()?; // until the other end of the pipe is closed
    /// assert_eq!(lifecycle.close().cause, Some(Cause::StdinEnded));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn stop_on_stdin_end(mut self, stop: bool) -> Self {
        self.stdin = stop;
        self
    }

    /// Whether a program that a signal has ended should end by that signal and not by an exit status: then
    /// [`Report::ends_by`] names it. Not unless told so.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, Signal};
    /// # use rustix::process::{Signal as Raw, getpid, kill_process};
    /// let lifecycle = Lifecycle::install(Config::default().re_raise(true))?;
    /// kill_process(getpid(), Raw::TERM)?;
    /// let report = lifecycle.wait();
    /// assert_eq!(report.ends_by, Some(Signal::TERMINATE)); // whose `end_process` comes last of all
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn re_raise(mut self, re_raise: bool) -> Self {
        self.hooks.re_raise = re_raise;
        self
    }

    /// The exit status that goes with each verdict (L14): what [`Report::exit_status`] says, and what a process ends
    /// with that `exeunt::main` or [`Force`] ends. 0 clean, 3 cut, 1 failed, 128 + signal forced, unless told
    /// otherwise.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, ExitStatuses, Lifecycle};
    /// let statuses = ExitStatuses::default().failed(70); // EX_SOFTWARE of sysexits(3)
    /// let lifecycle = Lifecycle::install(Config::default().exit_statuses(statuses))?;
    /// lifecycle.stop().fail("database", "the disk is full");
    /// assert_eq!(lifecycle.close().exit_status(), 70);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn exit_statuses(mut self, statuses: ExitStatuses) -> Self {
        self.exit_statuses = statuses;
        self
    }

    /// What happens if the stop is over and the program does not notice (L19). Nothing unless told otherwise. Only
    /// [`Lifecycle::install`](crate::Lifecycle::install) ever forces anything.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Force, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default().force(Force::Exit))?;
    /// lifecycle.ready();
    /// // … what might hang this thread, and so no more than half a second beyond the stop …
    /// assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn force(mut self, force: Force) -> Self {
        self.force = force;
        self
    }

    /// Whether the service manager is told of this lifecycle (rules S1 to S6), if one has started us and wants to be:
    /// `NOTIFY_SOCKET` is set, as for a unit of `Type=notify`. It is unless told otherwise. Of several lifecycles in a
    /// process, the first that is installed speaks for it until it is dropped. Linux, and
    /// [`Lifecycle::install`](crate::Lifecycle::install), only.
    ///
    /// A program that is somebody's child, and has inherited the variable from a service that is not itself, should say
    /// no.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default().notify(false))?; // a worker of the service
    /// # assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn notify(mut self, notify: bool) -> Self {
        self.notify = notify;
        self
    }

    /// The [`grace`](Self::grace) that ends before whoever runs the program kills it, as [`Preset`] says. No preset is
    /// ever chosen by itself, since nothing tells for certain who waits for how long.
    ///
    /// From then on the log warns of shields that would be killed in the middle. Where the manager cannot be asked for
    /// more time, they end with the grace.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, service::Preset};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default().preset(Preset::Docker))?;
    /// let _endless = lifecycle.scope("endless");
    /// lifecycle.stop().request_stop("the example is over");
    /// assert_eq!(lifecycle.finished().await.took, Duration::from_secs(8)); // of the 10 s that Docker waits
    /// # Ok(())
    /// # }
    /// ```
    pub fn preset(mut self, preset: Preset) -> Self {
        let waits = preset.waits();
        self.waits = Some(waits);
        match waits.grace() {
            Some(grace) => self.grace(grace),
            None => self,
        }
    }

    /// The limits where the manager `can_wait` for longer, if it is asked to, or cannot.
    pub(crate) fn limits(&self, can_wait: bool) -> Limits {
        let most = self.waits.and_then(Waits::grace).filter(|_| !can_wait);
        let hard_limit = most.map_or(self.limits.hard_limit, |most| most.min(self.limits.hard_limit));
        Limits { hard_limit, ..self.limits }
    }

    /// Whether descendants of [children](crate::Lifecycle::child) that lose their parents become children of this process
    /// (`PR_SET_CHILD_SUBREAPER`, prctl(2)), so that those that left their group are killed with the child, and those
    /// that end are reaped. Not unless told so, but always as the first process of a container (PID 1), to whom that
    /// happens in any case.
    ///
    /// SIGCHLD is handled for that, beside who handled it before. Children that the program starts by other means are
    /// left to it: rule C9 in `docs/semantics.md` says how they are told apart. Linux alone, and only
    /// [`Lifecycle::install`](crate::Lifecycle::install) does this.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::process::Command;
    /// let lifecycle = Lifecycle::install(Config::default().subreaper(true))?;
    /// let mut daemons = Command::new("sh");
    /// daemons.args(["-c", "setsid sleep 3600 & sleep 3600"]);
    /// lifecycle.child("daemons", daemons).start()?;
    /// assert_eq!(lifecycle.close().exit_status(), 0); // and both are gone
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn subreaper(mut self, subreaper: bool) -> Self {
        self.subreaper = subreaper;
        self
    }

    /// Whether every child of this process that was not started by [`Lifecycle::child`](crate::Lifecycle::child) is a
    /// stranger, where strangers are [reaped](Self::subreaper) at all: for programs that start none by other means, nor
    /// any library of theirs. Not unless told so: then those that may be the program's own are left to it, and so are
    /// some strangers (a daemon that leads a session of its own, and has ended before it was noticed).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default().subreaper(true).reap_all(true))?; // a supervisor
    /// # assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn reap_all(mut self, all: bool) -> Self {
        self.reap_all = all;
        self
    }

    /// Where the program's admin listener listens, whatever address the program gives it: for `exeunt`'s `App::admin`, and
    /// opened by its `main` and `run` even if the program never asks for it. The lifecycle itself opens nothing.
    ///
    /// ```
    /// # use exeunt_lifecycle::Config;
    /// let config = Config::default().admin("127.0.0.1:9000");
    /// assert_eq!(config.admin_address(), Some("127.0.0.1:9000"));
    /// ```
    pub fn admin(mut self, address: impl Into<String>) -> Self {
        self.admin = Some(address.into());
        self
    }

    /// What [`admin`](Self::admin) was given.
    #[must_use]
    pub fn admin_address(&self) -> Option<&str> {
        self.admin.as_deref()
    }

    /// Whether strangers are reaped.
    #[cfg(target_os = "linux")]
    pub(crate) fn reaps(&self) -> bool {
        self.subreaper || std::process::id() == 1
    }

    /// The signals to be handled.
    pub(crate) fn handled(&self) -> Vec<Signal> {
        let mut signals: Vec<Signal> = self.signals.iter().copied().chain(self.hooks.signals()).collect();
        #[cfg(target_os = "linux")]
        if self.reaps() {
            signals.push(crate::process::CHILD);
        }
        signals.sort_unstable();
        signals.dedup();
        signals
    }

    /// Those of them that stop the program.
    pub(crate) fn stopping(&self) -> Vec<Signal> {
        let stays = |signal: &Signal| *signal == Signal::HANGUP && !self.terminate_on_hup;
        self.signals.iter().copied().filter(|signal| !stays(signal)).collect()
    }

    /// Checks the values against each other; installing does so as well.
    ///
    /// ```
    /// # use exeunt_lifecycle::Config;
    /// # use std::time::Duration;
    /// let config = Config::default().grace(Duration::from_secs(10)).lame_duck(Duration::from_secs(9));
    /// let error = config.validate().unwrap_err();
    /// assert!(error.to_string().contains("the drain deadline comes after 8s"), "{error}");
    /// ```
    ///
    /// # Errors
    ///
    /// The first value that cannot be, with a hint what to do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Limits { grace, lame_duck, max_attempts, hard_limit, .. } = self.limits;
        if grace < SHORTEST_GRACE || grace > LONGEST_GRACE {
            return Err(ConfigError::Grace { grace });
        }
        let drain = self.limits.drain();
        if lame_duck >= drain {
            return Err(ConfigError::LameDuck { lame_duck, grace, drain });
        }
        if hard_limit > LONGEST_GRACE {
            return Err(ConfigError::HardLimit { hard_limit });
        }
        if max_attempts == 0 {
            return Err(ConfigError::MaxAttempts);
        }
        Ok(())
    }
}

/// Below this, the deadlines are too close together to be told apart.
const SHORTEST_GRACE: Duration = Duration::from_millis(10);

/// Above this, it is a mistake in the unit.
const LONGEST_GRACE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A configuration that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The grace period is too short or too long.
    #[error("a grace period of {grace:?} is out of range; choose between {SHORTEST_GRACE:?} and 7 days")]
    Grace {
        /// What was asked for.
        grace: Duration,
    },
    /// The lame duck leaves no time to drain.
    #[error(
        "a lame duck of {lame_duck:?} leaves no time to drain: with a grace period of {grace:?} the drain \
         deadline comes after {drain:?}; shorten it, or lengthen the grace period"
    )]
    LameDuck {
        /// What was asked for.
        lame_duck: Duration,
        /// The grace period it must fit into.
        grace: Duration,
        /// From the stop request to the drain deadline.
        drain: Duration,
    },
    /// The hard limit is too far away.
    #[error("a hard limit of {hard_limit:?} is out of range; choose 7 days at most")]
    HardLimit {
        /// What was asked for.
        hard_limit: Duration,
    },
    /// No attempts at all.
    #[error(
        "max_attempts is 0, so the end would be forced before it was asked for; 1 forces it at the first signal"
    )]
    MaxAttempts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn errors_name_the_value_and_what_to_do() {
        let seconds = Duration::from_secs;
        let cases = [
            (Config::default().grace(Duration::ZERO), "grace period of 0ns"),
            (Config::default().grace(Duration::MAX), "choose between 10ms and 7 days"),
            (Config::default().lame_duck(seconds(20)), "lame duck of 20s"),
            (Config::default().lame_duck(seconds(20)), "deadline comes after 20s; shorten it"),
            (Config::default().max_attempts(0), "max_attempts is 0"),
        ];
        for (config, text) in cases {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(text), "{error:?} does not say {text:?}");
        }
        assert_eq!(Config::default().lame_duck(Duration::from_millis(19_999)).validate(), Ok(()));
    }
}
