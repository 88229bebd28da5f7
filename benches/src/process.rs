//! A server under measurement: a process of its own, on core 0.

use crate::machine::{cpu_time, pin};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// For a server to begin, or to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server's process; ended when dropped.
pub(crate) struct Running {
    child: Child,
    /// It has processes of its own, which count, and which it ends if it is asked to end.
    has_workers: bool,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts this program with these arguments. What it does then says in its first line where it listens.
    pub(crate) fn start(arguments: impl Iterator<Item = OsString>) -> Result<Self> {
        Self::program(&std::env::current_exe()?, arguments)
    }

    /// The same with another program.
    pub(crate) fn program(program: &Path, arguments: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::piped());
        let mut running = Self::spawn(command, ([0, 0, 0, 0], 0).into())?;
        let mut line = String::new();
        BufReader::new(running.child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        running.address = line.trim().parse().with_context(|| format!("the server said {line:?}"))?;
        Ok(running)
    }

    /// Starts somebody else's server, which may have worker processes, and waits until it accepts there.
    pub(crate) fn foreign(command: Command, address: SocketAddr) -> Result<Self> {
        let mut running = Self::spawn(command, address)?;
        running.has_workers = true;
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.child.try_wait()? {
                anyhow::bail!("it ended at once: {status}");
            }
            ensure!(began.elapsed() < PATIENCE, "nobody listens at {address} after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    fn spawn(mut command: Command, address: SocketAddr) -> Result<Self> {
        // The child inherits the core that this thread has while it starts it.
        let child = std::thread::scope(|scope| {
            scope
                .spawn(|| -> Result<Child> {
                    pin(0)?;
                    Ok(command.stdin(Stdio::null()).spawn()?)
                })
                .join()
                .unwrap_or_else(|_| anyhow::bail!("the starter panicked"))
        })?;
        Ok(Self { child, has_workers: false, address })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it, and its workers, have used so far, in nanoseconds.
    pub(crate) fn cpu_time(&self) -> Result<u64> {
        let mut sum = cpu_time(self.id())?;
        if self.has_workers {
            for worker in self.workers()? {
                sum += cpu_time(worker)?;
            }
        }
        Ok(sum)
    }

    /// Its child processes (`children`, proc(5)).
    fn workers(&self) -> Result<Vec<u32>> {
        let id = self.id();
        let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        Ok(text.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    }

    /// From SIGTERM to its exit.
    pub(crate) fn stop(&mut self) -> Result<Duration> {
        let began = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended by {status}");
        Ok(began.elapsed())
    }

    /// Asks it to end, so that its workers end with it.
    fn ask_to_end(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
        let began = Instant::now();
        while began.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.has_workers {
            self.ask_to_end();
        }
        // It may have ended by itself; what counts is that it is gone.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
