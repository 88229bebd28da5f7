//! The handle of a child, and what it shares with the thread that watches it.

use super::engine::{Engine, Order};
use super::exit::ChildExit;
use super::tail::Tail;
#[cfg(feature = "tokio")]
use crate::bell::Bell;
use crate::signal::Signal;
use crate::stop::Forked;
use exeunt_sys::child as sys;
use std::fmt;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A child process that runs, and that the stop of the program will end.
///
/// The lifecycle owns it: dropping this ends nothing, and changes nothing about how it is stopped, awaited, reported and
/// reaped. (Rules C1 to C10 in `docs/semantics.md`.)
///
/// ```
/// # use exeunt_lifecycle::{ChildExit, Config, Lifecycle, Signal};
/// # use std::process::Command;
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let mut sleep = Command::new("sleep");
/// sleep.arg("3600");
/// let child = lifecycle.child("sleeper", sleep).start()?;
/// assert!(child.is_alive());
///
/// let report = lifecycle.close(); // tells it, and waits for it
/// assert_eq!(report.exit_status(), 0);
/// assert_eq!(child.exit(), Some(ChildExit::Signal { signal: Signal::TERMINATE, core_dumped: false }));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub struct Child {
    shared: Arc<Shared>,
    /// The other end of its stdin, where the command was given `Stdio::piped()`.
    pub stdin: Option<ChildStdin>,
    /// The other end of its stdout, where the command was given `Stdio::piped()`.
    pub stdout: Option<ChildStdout>,
    /// The other end of its stderr, where the command was given `Stdio::piped()` and it is not captured.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    pub(super) fn new(
        shared: Arc<Shared>,
        stdin: Option<ChildStdin>,
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
    ) -> Self {
        Self { shared, stdin, stdout, stderr }
    }

    /// The name that the report uses.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The process id, which may be another's once the child has ended.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.shared.pid
    }

    /// Whether it has not ended, as far as is known here: some milliseconds may be missing.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.exit().is_none()
    }

    /// How it ended; `None` while it has not, and in a forked child (L17).
    #[must_use]
    pub fn exit(&self) -> Option<ChildExit> {
        self.shared.state()?.exit
    }

    /// Blocks until it has ended. That it has, its group may not have: see [`stop`](Self::stop).
    ///
    /// # Errors
    ///
    /// [`Forked`], at once, in a forked child, where it would never come.
    pub fn wait(&self) -> Result<ChildExit, Forked> {
        loop {
            if let Some(exit) = self.shared.wait_until(None)? {
                return Ok(exit);
            }
        }
    }

    /// Blocks until it has ended, for `timeout` at most; `None` if it has not.
    ///
    /// # Errors
    ///
    /// [`Forked`], at once, in a forked child, where it would never come.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<ChildExit>, Forked> {
        self.shared.wait_until(Instant::now().checked_add(timeout))
    }

    /// Completes when it has ended; in a forked child, where that would never come, at once with
    /// [`ChildExit::Unknown`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; waiting again after the fact completes at once.
    #[cfg(feature = "tokio")]
    pub async fn wait_async(&self) -> ChildExit {
        let ended = || self.shared.state().is_none_or(|state| state.exit.is_some());
        self.shared.bell.wait(ended).await;
        self.exit().unwrap_or(ChildExit::Unknown)
    }

    /// Sends it a signal, and no other process, even if it has ended and its id is another's by now.
    ///
    /// On Windows there is one: SIGTERM and SIGBREAK are Ctrl-Break, which reaches all of its process group that shares
    /// our console.
    ///
    /// # Errors
    ///
    /// It has ended, or runs as somebody else; there is no such signal; this is a forked child. On Windows: it is in our
    /// group, or does not share our console.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.shared.signal(signal.number())
    }

    /// Sends it its stop signal, and returns: it has its own stop timeout, or 10 s, and is killed then with its group.
    /// Does nothing if it was told already.
    pub fn request_stop(&self) {
        self.shared.order(Order::Stop(self.shared.id));
    }

    /// [`request_stop`](Self::request_stop), and blocks until it has ended. What it leaves in a group of its own is
    /// killed.
    ///
    /// # Errors
    ///
    /// [`Forked`], at once, in a forked child, where it would never come.
    pub fn stop(&self) -> Result<ChildExit, Forked> {
        self.request_stop();
        self.wait()
    }

    /// Kills it, with its group if that is its own, and returns. On Windows with all that descend from it.
    pub fn kill(&self) {
        self.shared.order(Order::Kill(self.shared.id));
    }

    /// The last 4 KiB of what it said on stderr, if that is captured.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.shared.state().map(|state| state.tail.text()).unwrap_or_default()
    }

    /// What it last said by `STATUS=`, if its readiness is [`Notify`](super::Readiness::Notify).
    #[must_use]
    pub fn status(&self) -> Option<String> {
        self.shared.state()?.status.clone()
    }

    /// Whether it said `STOPPING=1`: it ends by itself.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.state().is_some_and(|state| state.stopping)
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Child");
        debug.field("name", &self.name()).field("id", &self.id()).field("exit", &self.exit());
        debug.finish_non_exhaustive()
    }
}

/// What a handle and the thread share.
pub(super) struct Shared {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) pid: u32,
    /// It has a group of its own, of its own id.
    pub(super) own_group: bool,
    engine: &'static Engine,
    state: Mutex<State>,
    ended: Condvar,
    #[cfg(feature = "tokio")]
    bell: Bell,
}

#[derive(Default)]
pub(super) struct State {
    /// Set under the lock under which it is reaped: as long as this is `None`, its id is its own.
    pub(super) exit: Option<ChildExit>,
    /// `None` where the kernel has none, and once it is reaped.
    #[cfg(unix)]
    pub(super) pidfd: Option<OwnedFd>,
    /// `None` once it has ended.
    #[cfg(windows)]
    pub(super) job: Option<sys::Job>,
    /// It was killed by us.
    #[cfg(windows)]
    pub(super) killed: bool,
    pub(super) tail: Tail,
    pub(super) status: Option<String>,
    #[cfg(unix)]
    pub(super) errno: Option<i32>,
    #[cfg(unix)]
    pub(super) bootstrapped: bool,
    pub(super) stopping: bool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(engine: &'static Engine, id: u64, name: String, pid: u32, own_group: bool) -> Self {
        Self {
            id,
            name,
            pid,
            own_group,
            engine,
            state: Mutex::default(),
            ended: Condvar::new(),
            #[cfg(feature = "tokio")]
            bell: Bell::default(),
        }
    }

    /// Not in a forked child.
    pub(super) fn state(&self) -> Option<MutexGuard<'_, State>> {
        let state = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.engine.is_forked()).then(state)
    }

    #[cfg(unix)]
    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        let state = self.state().ok_or_else(|| io::Error::other(Forked))?;
        match &state.pidfd {
            _ if state.exit.is_some() => Err(io::Error::new(io::ErrorKind::NotFound, "the child has ended")),
            Some(pidfd) => sys::send(pidfd.as_fd(), signal),
            None => sys::send_to(self.pid, signal),
        }
    }

    /// Kills it, and its group.
    #[cfg(unix)]
    pub(super) fn kill(&self) {
        self.kill_group();
        // It may have left its group.
        _ = self.signal(super::KILL);
    }

    /// Kills whatever is in its group, if that is its own, until it is reaped: so long nobody else's group has its id.
    #[cfg(unix)]
    pub(super) fn kill_group(&self) {
        let Some(state) = self.state() else { return };
        if self.own_group && state.exit.is_none() {
            // There is none where it has moved to another, or where SIGCHLD is ignored and it is gone.
            _ = sys::send_to_group(self.pid, super::KILL);
        }
    }

    /// It has ended, or is given up.
    pub(super) fn ended(&self) {
        self.ended.notify_all();
        #[cfg(feature = "tokio")]
        self.bell.ring();
    }

    fn wait_until(&self, until: Option<Instant>) -> Result<Option<ChildExit>, Forked> {
        let mut state = self.state().ok_or(Forked)?;
        loop {
            if let Some(exit) = state.exit {
                return Ok(Some(exit));
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => return Ok(None),
                Some(left) => self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.ended.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn order(&self, order: Order) {
        self.engine.order(order);
    }
}
