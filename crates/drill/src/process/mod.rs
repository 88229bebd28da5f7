//! The program under judgement: started, watched, ended, and nothing of it left behind.

mod exit;
mod family;
mod output;

pub(crate) use exit::Exit;
pub use exit::ExitStatus;
pub use family::Process;

use crate::error::Error;
use exit::Watcher;
use family::Family;
use output::Tail;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// SIGKILL works at once or, for a process in an uninterruptible sleep, nobody knows when.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// A running server. Dropped, it ends the whole family of processes and reaps what is ours.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pid: Pid,
    family: Family,
    output: Tail,
    watcher: Watcher,
}

impl Server {
    /// Starts the program in a process group of its own, stdin empty, output kept.
    pub(crate) fn start(program: &OsString, args: &[OsString]) -> Result<Self, Error> {
        let io = |source| Error::CannotStart { program: program.to_string_lossy().into_owned(), source };
        let (output, writer) = Tail::new().map_err(io)?;
        let (family, mark) = Family::expected();
        let child = Command::new(program)
            .args(args)
            .env(mark.0, mark.1)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(io)?)
            .stderr(writer)
            .process_group(0)
            .spawn()
            .map_err(io)?;
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid, family: family.led_by(pid), output, watcher: Watcher::new(pid) })
    }

    pub(crate) fn exit(&self) -> Option<Exit> {
        self.watcher.exit()
    }

    /// Waits for the end of the leader. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Exit {
        self.watcher.ended().await
    }

    /// A way to signal the leader, or its whole group, from another thread while the server lives.
    ///
    /// The leader stays unreaped until the server is dropped, so the id cannot have gone to another process.
    pub(crate) fn signaller(&self, signal: Signal, to_group: bool) -> impl FnOnce() + Send + 'static {
        let pid = self.pid;
        move || {
            // ESRCH: it has ended by itself, which the watcher tells better.
            _ = if to_group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
        }
    }

    /// Processes of the family that still live, the leader apart.
    pub(crate) fn left_over(&self) -> Vec<Process> {
        self.family.members()
    }

    /// The last of what it printed.
    pub(crate) fn output(&self) -> String {
        self.output.text()
    }

    /// Kills the family and waits until it is gone.
    pub(crate) async fn end(&mut self) {
        let patience = Instant::now() + KILL_PATIENCE;
        while !self.kill() && Instant::now() < patience {
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// One round of killing; answers whether nobody is left.
    fn kill(&mut self) -> bool {
        // The zombie of the leader keeps its group's number from being given away.
        _ = kill_process_group(self.pid, Signal::KILL);
        let nobody = self.family.kill();
        nobody && self.watcher.exit().is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let patience = Instant::now() + KILL_PATIENCE;
        while !self.kill() {
            if Instant::now() > patience {
                return; // not even SIGKILL ends it: waiting for it would only hang us as well
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.watcher.join();
        _ = self.child.wait();
    }
}
