//! A program of its own.

use crate::support::LIMIT;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The example `probe`, with what it says. Killed when a test leaves it.
pub(crate) struct Probe {
    child: Child,
    #[allow(dead_code, reason = "not each of its users asks")]
    pub(crate) lines: Receiver<String>,
}

impl Probe {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        // Whoever runs the tests in the background has SIGINT ignored, and so would the program.
        let mut command = Command::new("env");
        command.arg("--default-signal").arg(example("probe")).args(arguments);
        Self::of(command)
    }

    /// Any program.
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (say, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { child, lines }
    }

    pub(crate) fn serve(arguments: &[&str]) -> (Self, SocketAddr) {
        Self::start(&[&["serve"], arguments].concat()).with_address()
    }

    /// Once it says where it serves.
    pub(crate) fn with_address(self) -> (Self, SocketAddr) {
        let address = self.line().strip_prefix("serving ").unwrap().parse().unwrap();
        (self, address)
    }

    #[allow(dead_code, reason = "not each of its users asks")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line")
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends it a signal until it ends: of three at the very same time, the kernel may make one.
    #[allow(dead_code, reason = "not each of its users asks")]
    pub(crate) fn forced(mut self, signal: Signal) -> (ExitStatus, String) {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < LIMIT, "it survives {signal:?}");
            self.send(signal);
            std::thread::sleep(Duration::from_millis(50));
        }
        self.end()
    }

    /// Waits for its end; with the rest of what it said.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let said: Vec<_> = self.lines.iter().collect();
        (self.child.wait().unwrap(), said.join("\n"))
    }
}

/// Where that example is.
pub(crate) fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    let hint = "run `cargo build -p exeunt-manager --examples`";
    assert!(path.exists(), "{} is not built; {hint}", path.display());
    path
}

impl Drop for Probe {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
