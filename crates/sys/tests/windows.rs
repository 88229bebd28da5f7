//! Console events in real processes: each test runs a scenario of `console` in the example `signal_probe`.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(format!("examples/{name}.exe"));
    assert!(path.exists(), "{} is not built; run `make test-windows`", path.display());
    path
}

fn console(scenario: &str) -> Command {
    let mut command = Command::new(example("signal_probe"));
    command.args(["console", scenario]);
    command
}

#[track_caller]
fn passes(scenario: &str) {
    let status = console(scenario).status().unwrap();
    assert!(status.success(), "{scenario}: {status}");
}

/// A process that says something.
struct Running {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { says: BufReader::new(child.stdout.take().unwrap()), child }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn code(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Delivers the event to a probe from another process, and answers what the probe saw and what the handler did.
fn deliver(event: &str) -> (String, String) {
    let mut probe = Running::start(&mut console("report"));
    assert_eq!(probe.line(), "ready");
    let pid = probe.child.id().to_string();
    let mut sender = Running::start(Command::new(example("console_event")).args([&pid, event, "60000"]));
    let (seen, handler) = (probe.line(), sender.line());
    probe.child.stdin.as_ref().unwrap().write_all(b"\n").unwrap();
    assert_eq!(probe.code(), Some(7), "{event}: it did not end by itself");
    assert_eq!(sender.code(), Some(0), "{event}: Windows had to end it");
    (seen, handler)
}

#[test]
fn l16_ctrl_c_and_ctrl_break_are_taken() {
    assert_eq!(deliver("ctrl-c"), ("2 Kernel".to_owned(), "returned".to_owned()));
    assert_eq!(deliver("ctrl-break"), ("21 Kernel".to_owned(), "returned".to_owned()));
}

#[test]
fn l16_close_logoff_and_shutdown_do_not_return_before_the_program_has_ended() {
    assert_eq!(deliver("close"), ("15 Close".to_owned(), "held".to_owned()));
    assert_eq!(deliver("logoff"), ("15 Logoff".to_owned(), "held".to_owned()));
    assert_eq!(deliver("shutdown"), ("15 Shutdown".to_owned(), "held".to_owned()));
}

#[test]
fn what_cannot_be_registered_is_an_error() {
    passes("refused");
}

#[test]
fn l10_no_event_of_a_burst_is_lost() {
    passes("burst");
}

#[test]
fn a_wait_ends_by_an_event_a_wake_or_its_time() {
    passes("wait");
}

#[test]
fn l11_a_previous_handler_is_called_when_asked_and_only_then() {
    passes("chain");
    passes("chain-held");
}

#[test]
fn l11_the_handlers_before_are_restored() {
    passes("restore");
}

#[test]
fn l11_a_restored_default_ends_the_process() {
    let mut probe = Running::start(&mut console("restore-default"));
    assert_eq!((probe.line(), probe.line()), ("ready".to_owned(), String::new()));
    // wine says 0, and Windows STATUS_CONTROL_C_EXIT.
    assert_ne!(probe.code(), Some(101), "it panicked");
}

#[test]
fn an_event_that_is_held_stands_in_nobodys_way() {
    passes("drop-held");
}

#[test]
fn l16_a_logoff_that_is_not_to_be_taken_is_nothing() {
    passes("logoff");
}

#[test]
fn events_of_numbers_that_are_not_registered_pass_by() {
    passes("unregistered");
}

#[test]
fn the_end_can_be_that_of_the_event() {
    let status = console("end-by").status().unwrap();
    assert_eq!(status.code(), Some(0xC000_013A_u32.cast_signed()));
}
