//! Strangers (C9), and life as the first process of a PID namespace.

use crate::probe::{self, Running, contains};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Command;

#[test]
fn c9_a_subreaper_kills_and_reaps_what_left_the_group_and_leaves_the_programs_own_alone() {
    let (said, status) = Running::start("children", "reaping").finish();
    assert!(status.success(), "{said}");
    assert_eq!(
        said,
        "brief is gone\nbrief is gone\ndaemon is gone\nleft is there\nleft is gone\nown [Some(5), Some(6)]\n"
    );
}

#[test]
fn c9_pid_1_hears_signals_and_reaps_what_others_leave() {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    if !command.arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!(
            "SKIPPED: c9_pid_1_hears_signals_and_reaps_what_others_leave needs root, to make a PID namespace"
        );
        return;
    }
    for (scenario, left, own) in
        [("first", "left 3", "own Ok(Some(5))"), ("first-and-all", "left 2", "own Err(Some(10))")]
    {
        first(scenario, left, own);
    }
}

/// `left`: we and the child, and the program's own, if that is told from a stranger.
fn first(scenario: &str, left: &str, own: &str) {
    let mut command = Command::new("env");
    command.args(["--default-signal", "unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    command.arg(probe::program()).args(["children", scenario]);
    let mut probe = Running::spawn(&mut command);
    assert_eq!(probe.line(), left);
    probe.wait_for("ready");
    let unshare = probe.child.id();
    let children = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap();
    let first = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
    kill_process(first, Signal::TERM).unwrap();
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["SIGTERM", "exit status 0", own]);
}
