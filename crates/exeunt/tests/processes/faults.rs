//! Programs that go wrong, and what becomes of them: each test runs a scenario of the example `program_probe`.

use crate::program::{Ended, Program, Running, To};
use rustix::process::Signal;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

fn probe(scenario: &str) -> Program {
    Program::example("program_probe").argument(scenario)
}

fn ready(scenario: &str) -> Running {
    let mut running = probe(scenario).start();
    running.wait_for("ready");
    running
}

fn terminated(scenario: &str) -> Ended {
    let running = ready(scenario);
    running.send(Signal::TERM, To::Process);
    running.end()
}

#[test]
fn a_clean_stop_says_nothing() {
    let ended = terminated("plain");
    ended.status_is(0);
    ended.closed_in_reverse_order();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_clean_stop_is_told_to_whom_asks() {
    let ended = terminated("always-tell");
    ended.status_is(0);
    ended.complains(&["stopped in ", "SIGTERM from process ", "exit status 0"]);
}

#[test]
fn a_failed_start_says_why() {
    let ended = probe("fails").start().end();
    ended.status_is(1);
    ended.complains(&["main failed: there is no shop", "exit status 1"]);
}

#[test]
fn a_panic_in_the_body_says_where_and_why() {
    for scenario in ["panics", "panicking-job"] {
        let ended = probe(scenario).start().end();
        ended.status_is(1);
        ended.complains(&["program_probe.rs", "main failed: panicked: no such shop"]);
    }
}

#[test]
fn a_panic_in_a_task_stops_the_program_and_everything_closes() {
    let ended = probe("failing-task").start().end();
    ended.status_is(1);
    ended.closed_in_reverse_order();
    ended.complains(&["reindex failed: panicked: the index is gone"]);
}

#[test]
fn l14_exit_statuses_of_ones_own() {
    let clean = terminated("own-status-clean");
    clean.status_is(0);
    assert_eq!(clean.stderr, "");
    let cut = terminated("own-status-cut");
    cut.status_is(75);
    cut.complains(&["exit status 75"]);
    // Trouble is told, whatever its status.
    let failed = probe("own-status-failed").start().end();
    failed.status_is(0);
    failed.complains(&["main failed: there is no shop", "exit status 0"]);
    for (signal, status) in [(Signal::INT, 76), (Signal::TERM, 77)] {
        let forced = ready("own-status-cut-for-long").forced(signal);
        forced.status_is(status);
        forced.complains(&["(forced by ", &format!("exit status {status}")]);
    }
    terminated("own-status-blocked").status_is(75);
}

#[test]
fn a_variable_that_cannot_be_used_is_an_error_at_the_start() {
    let ended = probe("plain").variable("EXEUNT_GRACE", "soon").start().end();
    ended.status_is(2);
    assert!(ended.lines.is_empty(), "{}", ended.story());
    ended.complains(&[
        "error: the environment variable EXEUNT_GRACE=\"soon\" cannot be used",
        "EXEUNT_GRACE=25s",
    ]);
}

#[test]
fn the_report_is_written_where_the_operator_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    // The last one ends from another thread, since its own is stuck.
    for (scenario, status) in [("plain", 0), ("stubborn-task", 3), ("blocked-body", 3)] {
        let mut running = probe(scenario).variable("EXEUNT_REPORT", file.to_str().unwrap()).start();
        running.wait_for("ready");
        running.send(Signal::TERM, To::Process);
        running.end().status_is(status);
        let report = std::fs::read_to_string(&file).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["exit_status"], status, "{scenario}: {report}");
        assert_eq!(report["cause"]["signal"]["signal"], "SIGTERM", "{scenario}: {report}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_told_though_all_went_well() {
    let mut running = probe("plain").variable("EXEUNT_REPORT", "/nowhere/report.json").start();
    running.wait_for("ready");
    running.send(Signal::TERM, To::Process);
    let ended = running.end();
    ended.status_is(0);
    ended.complains(&["/nowhere/report.json"]);
}

#[test]
fn the_operator_has_the_last_word() {
    // The program itself says 1 s.
    let mut running = probe("tells-its-grace").variable("EXEUNT_GRACE", "1h").start();
    running.wait_for("ready");
    running.send(Signal::TERM, To::Process);
    let left: u64 = running.wait_for("left ").parse().unwrap();
    assert!((3_000..3_600).contains(&left), "{left} s");
    running.end().status_is(0);
}

#[test]
fn l3_a_hung_start_is_given_up_and_what_had_started_closes() {
    for scenario in ["hung-start", "hung-blocking-start"] {
        let mut running = probe(scenario).start();
        running.wait_for("starting inner");
        running.send(Signal::TERM, To::Process);
        let ended = running.end();
        ended.closed_in_reverse_order();
        ended.status_is(1);
        assert!(!ended.lines.contains(&"opened never".to_owned()), "{}", ended.story());
        ended.complains(&["inner: did not start in time", "outer: closed"]);
    }
}

#[test]
fn a_hung_body_is_cut() {
    let mut running = probe("hung-body").start();
    running.wait_for("waiting");
    running.send(Signal::TERM, To::Process);
    let ended = running.end();
    ended.status_is(3);
    ended.complains(&["cut: start-up main", "program_probe.rs"]);
}

#[test]
fn l19_a_body_that_blocks_its_thread_does_not_keep_the_program() {
    for scenario in ["blocked-body", "blocked-job"] {
        let ended = terminated(scenario);
        ended.status_is(3);
        ended.complains(&["main: 1 in flight at the stop", "1 left behind"]);
    }
}

#[test]
fn l19_a_library_ends_the_process_only_for_whom_asks() {
    let (forced, notified) = (terminated("stuck-with-force"), terminated("stuck-with-notice"));
    forced.status_is(0);
    assert_eq!(forced.lines, ["ready", "stopped true"], "{}", forced.story());
    notified.status_is(0);
    assert_eq!(notified.lines, ["ready", "stopped true", "still here"], "{}", notified.story());
    assert_eq!(forced.stderr + &notified.stderr, "", "a library says nothing");
}

#[test]
fn l19_last_words_that_never_end_do_not_keep_the_program() {
    terminated("stuck-with-endless-words").status_is(0);
}

#[test]
fn l19_a_program_that_has_noticed_its_end_is_not_ended_from_outside() {
    let ended = probe("slow-follower").start().end();
    ended.status_is(0);
    assert_eq!(ended.lines, ["closed 0", "still here"], "{}", ended.story());
}

#[test]
fn l19_stderr_that_somebody_holds_does_not_keep_the_program() {
    terminated("held-stderr").status_is(3);
    let forced = ready("held-stderr-for-long").forced(Signal::TERM);
    forced.status_is(128 + 15);
    assert_eq!(forced.stderr, "", "it could not say anything");
}

#[test]
fn l19_stderr_that_nobody_reads_does_not_keep_the_program() {
    for (scenario, status) in [("fails", 1), ("blocked-body", 3)] {
        let (unread, mut full) = std::io::pipe().unwrap();
        full.write_all(&vec![b'.'; rustix::pipe::fcntl_getpipe_size(&full).unwrap()]).unwrap();
        let mut running = probe(scenario).start_saying_to(full.into());
        if scenario != "fails" {
            running.wait_for("ready");
            running.send(Signal::TERM, To::Process);
        }
        running.end().status_is(status);
        drop(unread);
    }
}

#[test]
fn l19_stdout_that_nobody_reads_does_not_keep_the_program() {
    for (scenario, status) in [("unflushed", 0), ("unflushed-and-stuck", 3), ("unflushed-with-force", 0)] {
        let (unread, mut full) = std::io::pipe().unwrap();
        full.write_all(&vec![b'.'; rustix::pipe::fcntl_getpipe_size(&full).unwrap()]).unwrap();
        let ended = probe(scenario).end_saying_to(full.into());
        assert_eq!(ended.code(), Some(status), "{scenario}");
        drop(unread);
    }
}

#[test]
fn l4_a_hung_close_does_not_keep_the_others_from_closing() {
    let ended = terminated("hung-close");
    assert_eq!(
        ended.lines,
        [
            "opened outer",
            "opened hung",
            "opened last",
            "ready",
            "closed last",
            "closing hung",
            "closed outer"
        ]
    );
    assert_ne!(ended.status.code(), Some(0), "{}", ended.story());
    ended.complains(&["hung"]);
}

#[test]
fn l12_a_thread_that_never_ends_is_named_and_the_rest_closes() {
    for scenario in ["endless-thread", "endless-blocking"] {
        let ended = terminated(scenario);
        ended.status_is(3);
        ended.closed_in_reverse_order();
        ended.complains(&["endless", "program_probe.rs"]);
    }
}

#[test]
fn l12_a_task_that_does_not_listen_is_aborted_and_named() {
    let ended = terminated("stubborn-task");
    ended.status_is(3);
    ended.closed_in_reverse_order();
    ended.complains(&["cut: task stubborn", "program_probe.rs"]);
}

#[test]
fn l19_a_blocking_job_that_never_returns_does_not_keep_the_program() {
    let ended = terminated("untracked-blocking");
    ended.status_is(0);
    ended.closed_in_reverse_order();
}

#[test]
fn l9_the_third_signal_ends_it_whatever_hangs() {
    for scenario in [
        "hung-close-for-long",
        "endless-thread-for-long",
        "blocked-body-for-long",
        "blocked-job-for-long",
        "shielded-job-for-long",
    ] {
        for signal in [Signal::TERM, Signal::INT] {
            let ended = ready(scenario).forced(signal);
            ended.status_is(128 + signal.as_raw());
            ended.complains(&["forced by ", "attempt 3"]);
        }
    }
}

#[test]
fn l9_a_hook_that_hangs_does_not_keep_the_program() {
    let ended = terminated("hung-hook");
    ended.closed_in_reverse_order();
    assert_eq!(ended.lines.last().map(String::as_str), Some("hook"), "{}", ended.story());
    ended.status_is(0);
}

#[test]
fn a_signal_that_comes_when_all_is_done_does_not_spoil_it() {
    let mut running = ready("lingers");
    running.send(Signal::TERM, To::Process);
    running.wait_for("over");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::TERM, Signal::TERM] {
        running.send(signal, To::Group);
    }
    running.end().status_is(0);
}

#[test]
fn l14_re_raise_ends_by_the_signal_itself() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let running = ready("re-raise");
        running.send(signal, To::Process);
        let ended = running.end();
        assert_eq!(ended.status.signal(), Some(signal.as_raw()), "{}", ended.story());
        ended.closed_in_reverse_order();
    }
}

#[test]
fn l11_nohup_keeps_it_alive() {
    let program = probe("always-tell");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("trap '' HUP INT; exec \"$0\" \"$@\"").arg(program.path());
    let mut running = program.start_by(shell);
    running.wait_for("ready");
    for signal in [Signal::HUP, Signal::INT, Signal::HUP, Signal::INT, Signal::INT] {
        running.send(signal, To::Group);
    }
    // Had one of them not been ignored, it would have come first, and be the cause.
    running.send(Signal::TERM, To::Process);
    let ended = running.end();
    ended.status_is(0);
    ended.closed_in_reverse_order();
    ended.complains(&["stopped in ", "SIGTERM from process "]);
}

#[test]
fn l2_a_program_that_slept_over_its_deadline_still_closes_in_order() {
    // Once awake it has a tenth of a second for each, which a machine that does much else may take from it.
    let closed = (0..10).any(|_| {
        let mut running = ready("slow-close");
        let asked = Instant::now();
        running.send(Signal::TERM, To::Process);
        running.wait_for("closing slow");
        running.send(Signal::STOP, To::Process);
        // Its grace is 1 s.
        running.until("its deadline has passed", || asked.elapsed() > Duration::from_millis(1_300));
        running.send(Signal::CONT, To::Process);
        let ended = running.end();
        ended.lines.iter().any(|line| line == "closed outer")
    });
    assert!(closed, "it was given no time to close in ten of ten trials");
}

/// The program of the README, as it stands there: on port 8000, so in a network of its own.
#[test]
fn the_program_of_the_readme() {
    let program = Program::example("design");
    let shown = Command::new("unshare").args(["--user", "--map-root-user", "--net", "true"]).output();
    if !shown.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: the_program_of_the_readme, since no network namespace can be made here");
        return;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--net", "env", "--default-signal"]).arg(program.path());
    let mut running = program.start_by(unshare);
    running.wait_for("opened database");
    // 0.0.0.0:8000, listening.
    let table = format!("/proc/{}/net/tcp", running.id());
    running.until("it listens", || {
        std::fs::read_to_string(&table).is_ok_and(|table| table.contains("00000000:1F40"))
    });
    running.send(Signal::TERM, To::Group);
    let ended = running.end();
    ended.status_is(0);
    ended.closed_in_reverse_order();
    assert_eq!(ended.stderr, "");
}
