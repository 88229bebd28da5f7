//! What the program gave the lifecycle to call, to drop or to put into words panics, blocks for ever, or calls back
//! ("Foreign code" in the semantics): each test runs a scenario of `foreign` in the example `lifecycle_probe`, most of
//! which would last for ever if they hung.

#![cfg(all(target_os = "linux", feature = "tokio"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's panic is its failure"
)]

mod probe;

use probe::{Running, contains, program};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What it said, if it ended like this.
#[track_caller]
fn said(scenario: &str, status: i32) -> String {
    let (said, ended) = Running::start("foreign", scenario).finish();
    assert_eq!(ended.code(), Some(status), "{said}");
    said
}

/// The same, of a stop that the last of three signals forced, in whichever order they were delivered.
#[track_caller]
fn forced(scenario: &str) -> String {
    let (said, ended) = Running::start("foreign", scenario).finish();
    assert!([130, 131, 143].map(Some).contains(&ended.code()), "{said}");
    contains(&said, &["(forced by ", ", attempt 3)"]);
    said
}

#[test]
fn a_subscriber_that_panics_costs_nobody_a_wake_up_nor_a_close_and_is_reported() {
    contains(&said("subscriber-panics", 0), &["closed\n", "tracing failed: panicked: nobody reads the log"]);
    contains(&said("subscriber-panics-forced", 143), &["tracing failed: panicked: nobody reads the log"]);
}

#[test]
fn l10_a_subscriber_that_blocks_delays_neither_deadlines_nor_signals_nor_event_loops() {
    contains(&said("subscriber-blocks", 3), &["SIGTERM"]);
    forced("subscriber-blocks-forced");
}

#[test]
fn l16_a_hang_up_takes_effect_though_the_log_panics_over_its_hooks() {
    contains(&said("hup", 0), &["SIGHUP", "before_hup failed: did not return in time"]);
}

#[test]
fn an_act_that_panics_costs_no_group_and_no_component_its_close() {
    let said = said("on-change-panics", 0);
    contains(&said, &["tenant clean true\n", "closed\n", "on_change failed: panicked: of an act"]);
}

#[test]
fn exit_work_that_is_refused_may_ask_the_lifecycle_when_it_is_dropped() {
    contains(&said("exit-work-refused", 0), &["refused true\n"]);
}

#[test]
fn what_a_start_gives_too_late_is_dropped_where_it_delays_nobody() {
    contains(&said("late-start", 1), &["true\n", "database failed: its start took longer than"]);
    contains(&forced("late-start-blocks"), &["dropped on exeunt-start\n"]);
}

#[test]
fn errors_may_ask_the_lifecycle_while_they_are_told() {
    let said = said("errors-ask", 1);
    let failures =
        ["closes badly failed: closing: asked", "starts badly failed: asked", "fails badly failed: asked"];
    contains(&said, &failures);
}

#[test]
fn errors_that_panic_while_they_are_told_are_told_by_that() {
    let said = said("errors-panic", 1);
    let error = "an error that cannot be told, since it panicked: while it is told";
    for failure in ["closes badly failed: closing: ", "starts badly failed: ", "fails badly failed: "] {
        contains(&said, &[&format!("{failure}{error}")]);
    }
}

#[test]
fn l9_what_blocks_when_it_is_dropped_delays_neither_a_forced_end_nor_a_neighbour() {
    let said = said("drop-blocks", 138);
    contains(&said, &["dropped on exeunt-drop\n", "the other SIGTERM from process"]);
    contains(&said, &["database: not closed"]);
}

#[test]
fn what_panics_when_it_is_dropped_costs_nobody_the_report() {
    contains(&said("drop-panics", 143), &["database: not closed"]);
}

#[test]
fn what_hooks_own_is_dropped_where_it_delays_nobody() {
    said("hooks-drop", 143);
    contains(&said("given-up-hooks-drop", 0), &["on_signal SIGUSR1 failed: did not return in time"]);
}

#[test]
fn a_waker_may_ask_the_lifecycle_when_a_start_is_given_up() {
    contains(&said("waker-asks", 0), &["woken\n"]);
}

#[test]
fn a_waker_that_panics_costs_nobody_else_a_wake_up_nor_a_close() {
    contains(&said("waker-panics", 0), &["closed\n", "a waker failed: panicked: while it wakes"]);
}

#[test]
fn l18_a_follower_may_own_another_lifecycle() {
    said("owns-another", 0);
}

#[test]
fn a_follower_is_let_go_of_with_its_lifecycle() {
    contains(&said("holds-itself", 0), &["let go true\n"]);
}

#[test]
fn l12_work_that_fails_is_a_failure_whatever_panics_over_that() {
    let said = said("work-fails", 1);
    contains(
        &said,
        &["job 2\n", "poller failed: no route", "tracing failed: panicked: nobody reads the log"],
    );
    contains(
        &said,
        &["pool: pool #1 failed: an error that cannot be told", "pool: pool #2 failed: panicked"],
    );
}

#[test]
fn what_blocks_is_closed_though_no_thread_can_be_had() {
    let mut command = Command::new(program());
    command.args(["foreign", "no-threads"]);
    // The limit is none for root, who has CAP_SYS_RESOURCE (setrlimit(2)).
    if rustix::process::getuid().is_root() {
        command.uid(65_534).gid(65_534);
        if Command::new(program()).uid(65_534).gid(65_534).arg("--help").output().is_err() {
            eprintln!("SKIPPED: nobody but root can run {}", program().display());
            return;
        }
    }
    let (said, status) = Running::spawn(&mut command).finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(
        &said,
        &["a thread false\n", "saved\n", "database closed\n", "save: closed", "database: closed"],
    );
}
