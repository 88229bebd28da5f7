//! A probe in a process of its own, and what a test does to it.

#![allow(dead_code, reason = "each test uses its part")]

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

pub(crate) struct Running {
    pub(crate) child: Child,
    says: BufReader<ChildStdout>,
}

/// The example that all scenarios are in.
pub(crate) fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push("lifecycle_probe");
    assert!(path.exists(), "{} is not built; run `cargo build --examples` first", path.display());
    path
}

impl Running {
    pub(crate) fn start(module: &str, scenario: &str) -> Self {
        // Whoever runs the tests in the background has SIGINT ignored, and so would we.
        Self::spawn(Command::new("env").arg("--default-signal").arg(program()).args([module, scenario]))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Self { child, says }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn wait_for(&mut self, line: &str) {
        loop {
            match self.line().as_str() {
                said if said == line => return,
                "" => panic!("it ended without saying {line:?}"),
                _ => {}
            }
        }
    }

    pub(crate) fn kill(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// A standard signal that is still pending swallows the next, so three that are sent need not be three.
    pub(crate) fn kill_until_it_ends(&mut self, signal: Signal) -> ExitStatus {
        for _ in 0..3_000 {
            self.kill(signal);
            thread::sleep(Duration::from_millis(20));
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
        }
        panic!("it survived a minute of {signal:?}");
    }

    /// The rest of what it says, and how it ended.
    pub(crate) fn finish(mut self) -> (String, ExitStatus) {
        let mut rest = String::new();
        self.says.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}
