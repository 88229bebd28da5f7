//! Real processes and real signals: each test runs a scenario of `lives` in the example `lifecycle_probe`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod probe;

use probe::{Running, contains, program};
use rustix::process::Signal;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

fn start(scenario: &str) -> Running {
    Running::start("lives", scenario)
}

#[test]
fn sigterm_is_a_clean_stop_with_a_report() {
    let mut probe = start("serve");
    assert_eq!(probe.line(), "ignored []");
    probe.wait_for("ready");
    probe.kill(Signal::TERM);
    let (report, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{report}");
    let sender = format!("SIGTERM from process {}\n", std::process::id());
    contains(&report, &[&sender, "starting", "running", "lame duck 0", "closing", "exit status 0"]);
    contains(&report, &["one: ", "two: ", " in flight at the stop", " finished after it, 0 cut"]);
}

#[test]
fn l9_the_third_signal_ends_what_is_busy_for_ever() {
    let mut probe = start("busy");
    probe.wait_for("ready");
    let status = probe.kill_until_it_ends(Signal::INT);
    let (report, _) = probe.finish();
    assert_eq!(status.code(), Some(130), "{report}");
    contains(&report, &["SIGINT", "1 left behind", "exit status 130 (forced by SIGINT, attempt 3)"]);
}

#[test]
fn l2_the_hard_deadline_ends_what_nothing_can_end() {
    let mut probe = start("busy-shortly");
    probe.wait_for("ready");
    probe.kill(Signal::TERM);
    let (report, status) = probe.finish();
    assert_eq!(status.code(), Some(3), "{report}");
    contains(&report, &["stubborn: 1 in flight at the stop, 0 finished after it, 0 cut, 1 left behind"]);
}

#[test]
fn l14_what_the_deadline_cut_is_named_and_shows_in_the_status() {
    let mut probe = start("cut");
    probe.wait_for("ready");
    probe.kill(Signal::TERM);
    let (report, status) = probe.finish();
    assert_eq!(status.code(), Some(3), "{report}");
    contains(&report, &["http: 2 in flight at the stop, 1 finished after it, 1 cut\n"]);
    contains(&report, &["    cut: request GET /slow for 192.0.2.1:4711, after 1.5 s\n"]);
}

#[test]
fn l14_a_failure_is_status_1_and_all_of_them_are_kept() {
    let (report, status) = start("fail").finish();
    assert_eq!(status.code(), Some(1), "{report}");
    contains(&report, &["true false\n", ": database failed: no disk\n", "\n  cache failed: gone too\n"]);
}

#[test]
fn l10_a_signal_is_seen_while_main_is_blocked() {
    let mut probe = start("blocked-main");
    probe.wait_for("ready");
    probe.kill(Signal::TERM);
    probe.wait_for("seen");
    drop(probe.child.stdin.take());
    let (report, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{report}");
}

#[test]
fn l10_deadlines_come_though_the_runtime_is_stuck() {
    let mut probe = start("stuck-runtime");
    probe.wait_for("ready");
    probe.kill(Signal::TERM);
    let (report, status) = probe.finish();
    assert_eq!(status.code(), Some(3), "{report}");
}

#[test]
fn l2_a_process_that_slept_over_its_deadline_looks_once_more_before_it_cuts() {
    let mut probe = start("stopped-process");
    probe.wait_for("ready");
    probe.kill(Signal::TERM);
    probe.wait_for("draining");
    probe.kill(Signal::STOP);
    // The grace is 1 s: both deadlines pass.
    thread::sleep(Duration::from_millis(1_200));
    probe.child.stdin.as_mut().unwrap().write_all(b"!").unwrap();
    probe.kill(Signal::CONT);
    let (report, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{report}");
    contains(&report, &["reader: 1 in flight at the stop, 1 finished after it, 0 cut\n"]);
}

#[test]
fn l11_an_ignored_signal_stays_ignored() {
    let shell = "trap '' INT; exec \"$0\" lives serve";
    let mut probe = Running::spawn(Command::new("sh").arg("-c").arg(shell).arg(program()));
    assert_eq!(probe.line(), "ignored [Signal(2)]");
    probe.wait_for("ready");
    for _ in 0..5 {
        probe.kill(Signal::INT);
    }
    probe.kill(Signal::TERM);
    let (report, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{report}");
    contains(&report, &["SIGTERM"]);
}

#[test]
fn l11_after_the_lifecycle_signals_are_as_they_were() {
    for scenario in ["after-close", "after-drop", "refused"] {
        let mut probe = start(scenario);
        probe.wait_for("nothing is left");
        probe.kill(Signal::TERM);
        assert_eq!(probe.finish().1.signal(), Some(15), "{scenario}");
    }
}

#[test]
fn l18_two_lifecycles_see_one_signal_and_one_outlives_the_other() {
    let mut probe = start("two");
    probe.wait_for("ready");
    probe.kill(Signal::TERM);
    assert_eq!((probe.line().as_str(), probe.line().as_str()), ("1", "1"));
    probe.wait_for("closed");
    let status = probe.kill_until_it_ends(Signal::INT);
    assert_eq!(status.code(), Some(130));
}
