//! Getting ready, or not (C2, C3, C4).

use crate::{LONG, install, is_dead, probe, probe_that, shell, state_of, wait_until};
use exeunt_lifecycle::{ChildError, ChildExit, Config, OnFailure, Readiness, Signal};
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::Duration;

#[test]
fn c2_what_cannot_be_executed_is_named() {
    let lifecycle = install(Config::default());
    let error = lifecycle.child("ghost", Command::new("/nonexistent/ghost")).start().unwrap_err();
    let ChildError::Execute { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(2));
    assert!(error.to_string().starts_with("ghost: /nonexistent/ghost could not be executed"), "{error}");
    let directory = lifecycle.child("ghost", Command::new("/")).start().unwrap_err();
    let ChildError::Execute { source, .. } = &directory else { panic!("{directory}") };
    assert_eq!(source.raw_os_error(), Some(13));
    let report = lifecycle.close();
    assert_eq!((report.exit_status(), report.failures.len()), (0, 0), "{report}");
}

/// In a process of its own, which has as few descriptors as it can do with.
#[test]
fn c2_that_there_is_no_room_is_not_the_programs_fault() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" children crowded"]).arg(probe::program());
    let (said, status) = probe::Running::spawn(&mut command).finish();
    assert!(status.success(), "{said}");
    let no_room = "crowd was not started: no process, thread, pipe or socket for it is to be had; raise the limits of \
                   processes and open files: Too many open files (os error 24)\n";
    assert_eq!(said, no_room.repeat(2));
}

#[test]
fn c3_a_child_is_ready_when_it_says_so() {
    let lifecycle = install(Config::default());
    let command = probe_that(["say", "X_EXEUNT_BOOTSTRAPPED=1", "say", "STATUS=busy\\nREADY=1", "hang"]);
    let child = lifecycle.child("notifier", command).ready(Readiness::Notify).start().unwrap();
    assert_eq!(child.status().as_deref(), Some("busy"));
    assert!(child.is_alive());
    // Somebody of its group speaks for it, such as systemd-notify(1) in a script.
    let script = shell("\"$0\" say READY=1; \"$0\" say STOPPING=1; sleep 3600");
    let script = lifecycle.child("script", script).ready(Readiness::Notify).start().unwrap();
    wait_until("the script is stopping", || script.is_stopping());
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn c3_one_that_dies_first_says_why() {
    let lifecycle = install(Config::default());
    let command = probe_that(["say", "ERRNO=2", "err", "no such table\n", "exit", "3"]);
    let child = lifecycle.child("importer", command).ready(Readiness::Notify).capture_stderr();
    let error = child.start().unwrap_err();
    let ChildError::Ended { exit, errno, stderr, .. } = &error else { panic!("{error}") };
    assert_eq!((*exit, *errno, &**stderr), (ChildExit::Code(3), Some(2), "no such table\n"));
    // It is gone, and no work of anybody's.
    let report = lifecycle.close();
    assert_eq!((report.exit_status(), report.failures.len()), (0, 0), "{report}");
}

#[test]
fn c3_of_one_that_dies_first_nothing_is_left() {
    let lifecycle = install(Config::default());
    let home = tempfile::tempdir().unwrap();
    let left = home.path().join("left");
    let mut command = shell("sleep 3600 & echo $! > \"$1\"; exit 3");
    command.arg(&left);
    assert!(lifecycle.child("leaver", command).ready(Readiness::Notify).start().is_err());
    let left = std::fs::read_to_string(left).unwrap().trim().parse().unwrap();
    wait_until("what it has started is dead", || is_dead(left));
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn c3_one_that_says_so_and_ends_was_ready() {
    let lifecycle = install(Config::default());
    for _ in 0..20 {
        let command = probe_that(["say", "READY=1", "exit", "0"]);
        let child = lifecycle.child("brief", command).ready(Readiness::Notify).start().unwrap();
        assert_eq!(child.wait_timeout(LONG), Ok(Some(ChildExit::Code(0))));
    }
    assert_eq!(lifecycle.close().exit_status(), 0);
}

/// With as long a queue as systemd configures, in a network namespace of its own.
#[test]
fn c3_whatever_one_has_said_before_it_ended_is_heard() {
    let script = "echo 512 > /proc/sys/net/unix/max_dgram_qlen && exec \"$0\" children behind";
    let mut command = Command::new("unshare");
    command.arg("--net");
    if !command.arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!(
            "SKIPPED: c3_whatever_one_has_said_before_it_ended_is_heard needs root, to make a namespace"
        );
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script]).arg(probe::program());
    let mut probe = probe::Running::spawn(&mut command);
    let pid = probe.child.id();
    wait_until("it is stopped", || state_of(pid) == Some('T'));
    wait_until("its child has ended", || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let lists = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap());
        lists.collect::<String>().split_whitespace().any(|child| is_dead(child.parse().unwrap()))
    });
    probe.kill(rustix::process::Signal::CONT);
    assert_eq!(probe.line(), "Ok(Ok(Code(0)))");
    assert!(probe.finish().1.success());
}

#[test]
fn c3_one_that_is_never_ready_is_ended() {
    let lifecycle = install(Config::default());
    let command = probe_that(["say", "X_EXEUNT_BOOTSTRAPPED=1", "err", "waiting for the disk", "hang"]);
    let child = lifecycle.child("slow", command).ready(Readiness::Notify).capture_stderr();
    let error = child.ready_within(Duration::from_millis(500)).start().unwrap_err();
    let ChildError::Late { bootstrapped, exit, stderr, .. } = &error else { panic!("{error}") };
    assert_eq!(*exit, ChildExit::Signal { signal: Signal::TERMINATE, core_dumped: false });
    assert!(*bootstrapped && stderr == "waiting for the disk", "{error}");
    assert!(
        error.to_string().contains("was not ready within 500ms, though it had begun to start"),
        "{error}"
    );
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn c3_however_much_it_says_it_is_not_held_up() {
    let lifecycle = install(Config::default());
    // A pipe holds 64 KiB.
    let command = probe_that(["flood", "50000000", "err", "the end", "say", "READY=1", "exit", "0"]);
    let child = lifecycle.child("flood", command).ready(Readiness::Notify).capture_stderr().start().unwrap();
    assert_eq!(child.wait_timeout(LONG), Ok(Some(ChildExit::Code(0))));
    let tail = child.stderr_tail();
    assert!(tail.ends_with("xxxthe end") && tail.len() < 5000, "{tail}");
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn c4_nothing_starts_after_the_stop_request() {
    let lifecycle = install(Config::default());
    lifecycle.stop().request_stop("enough");
    let error = lifecycle.child("late", Command::new("sleep")).start().unwrap_err();
    assert!(matches!(error, ChildError::Stopping { .. }), "{error}");
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn c4_a_start_under_way_is_finished_and_the_child_told() {
    let lifecycle = install(Config::default());
    let (read, mut write) = std::io::pipe().unwrap();
    // Says that it is ready once it is allowed to.
    let mut command = shell("echo here >&2; read go; exec \"$0\" say READY=1 hang");
    command.stdin(read);
    let (mut hear, say) = std::io::pipe().unwrap();
    command.stderr(say);
    let child = lifecycle.child("starting", command).ready(Readiness::Notify);
    let starting = std::thread::spawn(move || child.start());
    hear.read_exact(&mut [0; 5]).unwrap();
    lifecycle.stop().request_stop("enough");
    write.write_all(b"go\n").unwrap();
    let child = starting.join().unwrap().unwrap();
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 0, "{report}");
    assert_eq!(child.exit(), Some(ChildExit::Signal { signal: Signal::TERMINATE, core_dumped: false }));
}

#[test]
fn c4_a_start_is_cut_at_the_drain_deadline() {
    let lifecycle = install(Config::default().grace(Duration::from_millis(500)));
    let (mut hear, say) = std::io::pipe().unwrap();
    let mut script = shell("trap '' TERM; echo here; while :; do sleep 1; done");
    script.stdout(say);
    let child = lifecycle.child("starting", script).ready(Readiness::Notify);
    let starting = std::thread::spawn(move || child.start());
    hear.read_exact(&mut [0; 5]).unwrap();
    let report = lifecycle.close();
    let error = starting.join().unwrap().unwrap_err();
    assert!(matches!(error, ChildError::Stopping { .. }), "{error}");
    assert_eq!(report.exit_status(), 3, "{report}");
}

#[test]
fn c6_how_it_ends_is_a_failure_where_that_was_asked_for() {
    let lifecycle = install(Config::default());
    let own = lifecycle.child("unwatched", shell("exit 4")).start().unwrap();
    assert_eq!(own.wait(), Ok(ChildExit::Code(4)));
    let needed =
        lifecycle.child("needed", shell("kill -KILL $$")).on_failure(OnFailure::Stop).start().unwrap();
    needed.wait().unwrap();
    let report = lifecycle.wait();
    assert_eq!(report.exit_status(), 1, "{report}");
    let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert_eq!(failures, [format!("needed: needed (pid {}) failed: ended by SIGKILL", needed.id())]);
    wait_until("it is gone", || is_dead(needed.id()));
}
