//! Runs the example programs, sends them signals, and looks at what they leave.

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Beyond this a program hangs, on however busy a machine.
const LIMIT: Duration = Duration::from_secs(60);

/// An example program, not yet started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: &'static str,
    pub(crate) arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

/// A program that runs, in a process group of its own. The whole group is killed when a test leaves it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    lines: Vec<String>,
    stderr: thread::JoinHandle<String>,
    program: Program,
    what: String,
}

/// A program that has ended, and left nothing behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it said on stdout.
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
    /// What it was started with.
    pub(crate) program: Program,
    what: String,
}

/// Whom a signal is sent to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    Process,
    Group,
}

/// A signal at some point of a program's life, and perhaps once more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blow {
    pub(crate) after: Duration,
    pub(crate) signal: Signal,
    pub(crate) to: To,
    pub(crate) again_after: Option<Duration>,
}

impl Program {
    pub(crate) fn example(name: &'static str) -> Self {
        Self { name, arguments: Vec::new(), variables: Vec::new() }
    }

    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Where cargo has built it.
    pub(crate) fn path(&self) -> PathBuf {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        path.push("examples");
        path.push(self.name);
        assert!(path.exists(), "{} is not built; run `cargo build -p exeunt --examples`", path.display());
        path
    }

    pub(crate) fn start(&self) -> Running {
        self.start_saying_to(Stdio::piped())
    }

    /// With this stderr.
    pub(crate) fn start_saying_to(&self, stderr: Stdio) -> Running {
        // Whoever runs the tests in the background has SIGINT ignored, and so would the program.
        let mut command = Command::new("env");
        command.arg("--default-signal").arg(self.path());
        self.spawn(command, stderr)
    }

    /// Runs it to its end with this stdout, and without stderr.
    #[track_caller]
    pub(crate) fn end_saying_to(&self, stdout: Stdio) -> ExitStatus {
        let mut command = Command::new(self.path());
        command.args(&self.arguments).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null());
        let (mut child, begun) = (command.spawn().unwrap(), Instant::now());
        // Its own copy of what it says it to.
        drop(command);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if begun.elapsed() > LIMIT {
                child.kill().unwrap();
                panic!("{} {:?} hangs", self.name, self.arguments);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// By another program, such as a shell that ignores a signal first.
    pub(crate) fn start_by(&self, command: Command) -> Running {
        self.spawn(command, Stdio::piped())
    }

    fn spawn(&self, mut command: Command, stderr: Stdio) -> Running {
        for variable in exeunt::VARIABLES {
            command.env_remove(variable.name);
        }
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            stderr.map(|mut stderr| stderr.read_to_string(&mut text).unwrap());
            text
        });
        let what = format!("{} {}", self.name, self.arguments.join(" "));
        Running { child, stdout, lines: Vec::new(), stderr, program: self.clone(), what }
    }

    /// Starts it, strikes it, and waits for its end.
    pub(crate) fn struck(&self, blow: Blow) -> Ended {
        let mut running = self.start();
        running.what = format!("{} under {blow:?}", running.what);
        thread::sleep(blow.after);
        running.send(blow.signal, blow.to);
        if let Some(pause) = blow.again_after {
            thread::sleep(pause);
            running.send(blow.signal, blow.to);
        }
        running.end()
    }
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn send(&self, signal: Signal, to: To) {
        // It has not been waited for, so that its id is nobody else's.
        match to {
            To::Process => kill_process(self.pid(), signal).unwrap(),
            To::Group => kill_process_group(self.pid(), signal).unwrap(),
        }
    }

    /// The next line that it says; `None` when it says no more.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| {
            self.lines.push(line.trim_end().to_owned());
            line.trim_end().to_owned()
        })
    }

    /// Waits until it says a line that begins so, and answers the rest of the line.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, beginning: &str) -> String {
        loop {
            let Some(line) = self.line() else {
                panic!("{} ended without saying {beginning:?}: {:?}", self.what, self.lines)
            };
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for a condition.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(self.runs(), "{} ended before {what}", self.what);
            assert!(begun.elapsed() < LIMIT, "{} ran for {LIMIT:?}, and not yet: {what}", self.what);
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends it a signal until it ends: of three at the very same time, the kernel may make one.
    #[track_caller]
    pub(crate) fn forced(mut self, signal: Signal) -> Ended {
        let begun = Instant::now();
        while self.runs() {
            assert!(begun.elapsed() < LIMIT, "{} survives {signal:?}", self.what);
            self.send(signal, To::Process);
            thread::sleep(Duration::from_millis(20));
        }
        self.end()
    }

    /// Waits for its end, and sees that nothing is left of it.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let status = self.status();
        while self.line().is_some() {}
        let group = test_kill_process_group(self.pid());
        assert!(group.is_err(), "{} has left processes behind", self.what);
        let stderr = std::mem::replace(&mut self.stderr, thread::spawn(String::new)).join().unwrap();
        let (lines, program, what) =
            (std::mem::take(&mut self.lines), self.program.clone(), self.what.clone());
        Ended { status, lines, stderr, program, what }
    }

    #[track_caller]
    fn status(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "{} hangs; it said {:?}", self.what, self.lines);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            _ = kill_process_group(self.pid(), Signal::KILL);
        }
        _ = self.child.wait();
    }
}

impl Ended {
    /// The signal came before the program had begun to handle any, when it had not done anything either.
    pub(crate) fn before_it_began(&self) -> bool {
        self.status.signal().is_some() && self.lines.is_empty()
    }

    #[track_caller]
    pub(crate) fn status_is(&self, code: i32) {
        assert_eq!(self.status.code(), Some(code), "{}", self.story());
    }

    /// What was opened was closed, each once, the last first.
    #[track_caller]
    pub(crate) fn closed_in_reverse_order(&self) {
        let mut opened = Vec::new();
        for line in &self.lines {
            if let Some(name) = line.strip_prefix("opened ") {
                opened.push(name);
            } else if let Some(name) = line.strip_prefix("closed ") {
                assert_eq!(opened.pop(), Some(name), "closed out of order or twice: {}", self.story());
            }
        }
        assert!(opened.is_empty(), "{opened:?} is still open: {}", self.story());
    }

    /// What was begun was finished, each once.
    #[track_caller]
    pub(crate) fn all_finished(&self) {
        let (begun, finished) = (self.those("began "), self.those("finished "));
        assert_eq!(begun, finished, "{}", self.story());
    }

    /// What is said behind lines that begin so; each at most once.
    #[track_caller]
    pub(crate) fn those(&self, beginning: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for rest in self.lines.iter().filter_map(|line| line.strip_prefix(beginning)) {
            assert!(found.insert(rest), "{beginning}{rest} twice: {}", self.story());
        }
        found
    }

    #[track_caller]
    pub(crate) fn says(&self, beginning: &str) -> &str {
        let found = self.lines.iter().find_map(|line| line.strip_prefix(beginning));
        found.unwrap_or_else(|| panic!("{beginning:?} is missing: {}", self.story()))
    }

    #[track_caller]
    pub(crate) fn complains(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing on stderr: {}", self.story());
        }
    }

    pub(crate) fn story(&self) -> String {
        let Self { status, lines, stderr, what, .. } = self;
        format!("{what}: {status}\n{}\nstderr:\n{stderr}", lines.join("\n"))
    }
}
