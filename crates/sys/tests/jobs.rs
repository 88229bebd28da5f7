//! Children in jobs: what they cost us, and that telling one tells nobody else.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{ChildExit, Config, Lifecycle};
use exeunt_sys::child::{Birth, send_break, spawn};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{GetHandleInformation, HANDLE};

const LONG: Duration = Duration::from_secs(60);

fn exits_with(status: i32) -> Command {
    let mut command = Command::new("cmd");
    command.args(["/c", "exit", &status.to_string()]).stdin(Stdio::null());
    command
}

/// By asking for each value that a handle of a small process may have: wine does not count them
/// (`GetProcessHandleCount` says 0).
fn handles() -> usize {
    // SAFETY: takes any value, writes to a number that it has room for, and says 0 where there is no such handle.
    let is_open = |value: usize| unsafe { GetHandleInformation(value as HANDLE, &mut 0) } != 0;
    (4..16_384).step_by(4).filter(|value| is_open(*value)).count()
}

/// The only test in its process that starts something, so that the handles are its own.
#[test]
fn c10_fifty_starts_leave_no_handles() {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let start = || {
        let child = lifecycle.child("brief", exits_with(3)).capture_stderr().start().unwrap();
        assert_eq!(child.wait_timeout(LONG), Ok(Some(ChildExit::Code(3))));
    };
    (0..5).for_each(|_| start());
    let before = handles();
    (0..50).for_each(|_| start());
    // The threads of the last may have yet to end.
    let begun = Instant::now();
    while handles() > before + 10 {
        assert!(begun.elapsed() < LONG, "{before} handles have become {}", handles());
        thread::sleep(Duration::from_millis(10));
    }
    // As a control: what is kept is counted.
    let kept: Vec<_> = (0..20).map(|_| std::io::pipe().unwrap()).collect();
    assert!(handles() >= before + 40 - 10, "{before} handles, 40 more, make {}", handles());
    drop(kept);
    assert_eq!(lifecycle.close().exit_status(), 0);

    // All of them, which would be us, is refused; so is a start that fails, with nothing left.
    assert_eq!(send_break(0).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    assert!(spawn(&mut Command::new("C:\\no\\such.exe"), Birth::default()).is_err());
    let (mut child, job) = spawn(&mut exits_with(7), Birth { own_group: true, outlives: false }).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    drop(job);
}
