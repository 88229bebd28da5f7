use crate::signal::signal_name;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use serde::Serialize;
use std::fmt;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::watch;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => write!(f, "ended by {}", signal_name(*number)),
        }
    }
}

/// The end of the leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    pub(crate) at: Instant,
    pub(crate) status: ExitStatus,
}

/// A thread that does nothing but wait for the exit, so that its instant is exact however busy the load is.
#[derive(Debug)]
pub(super) struct Watcher {
    exit: watch::Receiver<Option<Exit>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(super) fn new(pid: Pid) -> Self {
        let (sender, exit) = watch::channel(None);
        let thread = std::thread::spawn(move || {
            _ = sender.send(Some(wait(pid)));
        });
        Self { exit, thread: Some(thread) }
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    pub(super) async fn ended(&mut self) -> Exit {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or_else(|| Exit { at: Instant::now(), status: ExitStatus::Code(-1) }),
            // The thread always sends before it ends.
            Err(_) => std::future::pending().await,
        }
    }

    pub(super) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

/// Waits without reaping: the process id stays taken while others may still signal it (waitid(2), WNOWAIT).
fn wait(pid: Pid) -> Exit {
    loop {
        let ended = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let at = Instant::now();
        match ended {
            Ok(Some(status)) => return Exit { at, status: exit_status(&status) },
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            // ECHILD: SIGCHLD is ignored in this process and the kernel reaped for us; it is over all the same.
            Err(_) => return Exit { at, status: ExitStatus::Code(-1) },
        }
    }
}

fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (_, Some(signal)) => ExitStatus::Signal(signal),
        (code, None) => ExitStatus::Code(code.unwrap_or(-1)),
    }
}
