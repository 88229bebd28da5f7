//! A server under measurement: a process of its own, on core 0.

use crate::machine::{cpu_time, pin};
use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A server's process; ended when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts this program with these arguments. What it does then says in its first line where it listens.
    pub(crate) fn start(arguments: impl Iterator<Item = OsString>) -> Result<Self> {
        let arguments: Vec<OsString> = arguments.collect();
        // The child inherits the core that this thread has while it starts it.
        let child = std::thread::scope(|scope| {
            scope
                .spawn(|| -> Result<Child> {
                    pin(0)?;
                    Ok(Command::new(std::env::current_exe()?)
                        .args(arguments)
                        .stdin(Stdio::null())
                        .stdout(Stdio::piped())
                        .spawn()?)
                })
                .join()
                .unwrap_or_else(|_| anyhow::bail!("the starter panicked"))
        })?;
        let mut running = Self { child, address: ([0, 0, 0, 0], 0).into() };
        let mut line = String::new();
        BufReader::new(running.child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        running.address = line.trim().parse().with_context(|| format!("the server said {line:?}"))?;
        Ok(running)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has used so far, in nanoseconds.
    pub(crate) fn cpu_time(&self) -> Result<u64> {
        Ok(cpu_time(self.id())?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; what counts is that it is gone.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
