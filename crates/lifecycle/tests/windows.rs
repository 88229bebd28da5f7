//! Real processes and real console events: each test runs a scenario of `console` in the example `lifecycle_probe`, and
//! has the example `console_event` of exeunt-sys deliver the event and do what Windows does after it.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// What Windows gives a program after a close, a logoff and a shutdown, in milliseconds.
const AS_WINDOWS: &str = "5000";

/// Where it would be a race between two clocks on a machine that has much to do.
const PATIENT: &str = "60000";

fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(format!("examples/{name}.exe"));
    assert!(path.exists(), "{} is not built; run `make test-windows`", path.display());
    path
}

struct Running {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Running {
    fn start(scenario: &str) -> Self {
        let mut running = Self::spawn(Command::new(example("lifecycle_probe")).args(["console", scenario]));
        running.wait_for("ready");
        running
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { says: BufReader::new(child.stdout.take().unwrap()), child }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn wait_for(&mut self, line: &str) {
        loop {
            match self.line().as_str() {
                said if said == line => return,
                "" => panic!("it ended without saying {line:?}"),
                _ => {}
            }
        }
    }

    /// Has the event delivered.
    fn event(&self, event: &str, limit: &str) -> Self {
        let pid = self.child.id().to_string();
        Self::spawn(Command::new(example("console_event")).args([&pid, event, limit]))
    }

    /// The rest of what it says, and its exit status.
    fn finish(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.says.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            panic!("{part:?} is not, or not in order, in:\n{text}")
        };
        rest = behind;
    }
}

/// The event ends the program in order, and Windows has nothing to do.
#[track_caller]
fn is_a_clean_stop(scenario: &str, event: &str, cause: &str) {
    let probe = Running::start(scenario);
    let sender = probe.event(event, AS_WINDOWS);
    let (said, status) = probe.finish();
    assert_eq!(status, Some(0), "{event}: {said}");
    contains(&said, &["lame duck\n", "draining\n", "closing\n", "stopped\n", "stopped in", cause, "running"]);
    contains(&said, &["one: ", " finished after it, 0 cut", "two: ", "exit status 0"]);
    contains(&said, &["closing\n", "cache closes\n", "database closes\n", "last words\n", "stopped in"]);
    let (handler, status) = sender.finish();
    assert_eq!(status, Some(0), "{event}: Windows had to end it, for its handler {handler}");
}

#[test]
fn l16_ctrl_c_is_a_clean_stop_with_a_report() {
    is_a_clean_stop("serve", "ctrl-c", "SIGINT from the terminal");
}

#[test]
fn l16_ctrl_break_is_a_clean_stop_with_a_report() {
    is_a_clean_stop("serve", "ctrl-break", "SIGBREAK from the terminal");
}

#[test]
fn l16_the_end_of_the_console_is_a_clean_stop_with_a_report() {
    is_a_clean_stop("serve", "close", "SIGTERM, as the console was closed");
}

#[test]
fn l16_a_logoff_is_a_clean_stop_with_a_report() {
    is_a_clean_stop("serve", "logoff", "SIGTERM, as a user logged off");
}

#[test]
fn l16_a_shutdown_is_a_clean_stop_with_a_report() {
    is_a_clean_stop("serve", "shutdown", "SIGTERM, as the system shuts down");
    is_a_clean_stop("users-come-and-go", "shutdown", "SIGTERM, as the system shuts down");
}

#[test]
fn l16_a_service_may_outlive_its_users() {
    let probe = Running::start("users-come-and-go");
    let mut sender = probe.event("logoff", PATIENT);
    assert_eq!(sender.line(), "returned");
    // Whatever the logoff did is done.
    let (_, status) = probe.event("ctrl-c", PATIENT).finish();
    assert_eq!(status, Some(0));
    let (said, status) = probe.finish();
    assert_eq!(status, Some(0));
    contains(&said, &["SIGINT from the terminal"]);
}

#[test]
fn l2_windows_gives_4_5_s_whatever_was_configured() {
    for event in ["close", "logoff", "shutdown"] {
        let probe = Running::start("busy");
        let sender = probe.event(event, PATIENT);
        let (said, status) = probe.finish();
        assert_eq!(status, Some(3), "{said}");
        contains(&said, &["lame duck\n", "draining\n", "closing\n", "stopped in ", "1 left behind"]);
        assert_eq!(sender.finish().1, Some(0), "{event}: its time was over");
    }
}

#[test]
fn l2_a_console_that_is_closed_during_a_stop_shortens_it() {
    let mut probe = Running::start("busy");
    drop(probe.event("ctrl-c", PATIENT).finish());
    probe.wait_for("lame duck");
    let sender = probe.event("close", PATIENT);
    let (said, status) = probe.finish();
    assert_eq!(status, Some(3), "{said}");
    contains(&said, &["draining\n", "closing\n", "SIGINT from the terminal", "1 left behind"]);
    assert_eq!(sender.finish().1, Some(0), "its time was over");
}

#[test]
fn l9_the_third_ctrl_c_forces_the_end() {
    let probe = Running::start("busy");
    for _ in 0..3 {
        drop(probe.event("ctrl-c", PATIENT).finish());
    }
    let (said, status) = probe.finish();
    assert_eq!(status, Some(130), "{said}");
    contains(&said, &["SIGINT", "1 left behind", "exit status 130 (forced by SIGINT, attempt 3)"]);
}

#[test]
fn l16_the_end_of_stdin_is_a_clean_stop_and_a_stdin_that_does_not_end_keeps_nobody() {
    let mut probe = Running::start("stdin");
    drop(probe.child.stdin.take());
    let (said, status) = probe.finish();
    assert_eq!(status, Some(0), "{said}");
    contains(&said, &["stopped in", "stdin", "exit status 0"]);

    let mut probe = Running::start("stdin");
    let stdin = probe.child.stdin.take();
    drop(probe.event("ctrl-c", PATIENT).finish());
    let (said, status) = probe.finish();
    assert_eq!(status, Some(0), "{said}");
    contains(&said, &["SIGINT from the terminal"]);
    drop(stdin);
}

#[test]
fn l18_every_lifecycle_sees_the_events_that_it_asked_for() {
    for (event, indifferent) in [("close", "requested true"), ("logoff", "requested false")] {
        let probe = Running::start("two");
        let sender = probe.event(event, PATIENT);
        let (said, status) = probe.finish();
        assert_eq!(status, Some(0), "{said}");
        contains(&said, &[indifferent, "exit status 0"]);
        assert_eq!(sender.finish().1, Some(0));
    }
}

#[test]
fn l11_when_the_lifecycle_has_gone_an_event_ends_the_program() {
    for scenario in ["after-close", "after-drop"] {
        let probe = Running::start(scenario);
        drop(probe.event("ctrl-c", PATIENT).finish());
        let (said, status) = probe.finish();
        // wine says 0, and Windows STATUS_CONTROL_C_EXIT.
        assert!(said.is_empty() && status != Some(99), "{said} {status:?}");
    }
}
