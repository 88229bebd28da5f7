//! The stop (C5), and what is left behind (C7): nothing.

use crate::probe::{self, contains};
use crate::{LONG, install, is_dead, numbers, probe_that, shell, state_of, wait_until};
use exeunt_lifecycle::{ChildExit, Config, Readiness, Signal};
use rustix::process::Signal as Raw;
use std::process::Stdio;
use std::time::Duration;

const TERMINATED: ChildExit = ChildExit::Signal { signal: Signal::TERMINATE, core_dumped: false };
const KILLED: ChildExit = ChildExit::Signal { signal: Signal::new(9), core_dumped: false };

/// Told once, by its signal, and awaited.
#[test]
fn c5_a_child_is_told_and_awaited_and_counted() {
    let lifecycle = install(Config::default());
    let script = "trap 'echo told; sleep 0.2; echo gone; exit 0' INT; \"$0\" say READY=1; while :; do sleep 0.01; done";
    let mut command = shell(script);
    command.stdout(Stdio::piped());
    let child = lifecycle.child("polite", command).ready(Readiness::Notify).stop_signal(Signal::INTERRUPT);
    let mut child = child.start().unwrap();
    let report = lifecycle.close();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut said).unwrap();
    assert_eq!((said.as_str(), child.exit()), ("told\ngone\n", Some(ChildExit::Code(0))));
    assert_eq!(report.exit_status(), 0, "{report}");
    let scope = report.scopes.iter().find(|scope| scope.name == "polite").unwrap();
    assert_eq!((scope.in_flight_at_stop, scope.finished, scope.left), (1, 1, 0));
}

#[test]
fn c5_one_that_ignores_the_signal_is_killed_at_the_drain_deadline_and_named() {
    let lifecycle = install(Config::default().grace(Duration::from_secs(5)));
    let mut command = shell("trap '' TERM; sleep 3600 & echo $!; \"$0\" say READY=1; wait");
    command.stdout(Stdio::piped());
    let mut child = lifecycle.child("stubborn", command).ready(Readiness::Notify).start().unwrap();
    let line = line!() - 1;
    let grandchild = numbers(&mut child)[0];
    let report = lifecycle.close();
    assert_eq!((report.exit_status(), child.exit()), (3, Some(KILLED)), "{report}");
    assert_eq!(state_of(child.id()), None, "it is reaped");
    wait_until("its group is dead", || is_dead(grandchild));
    let cut = &report.scopes[0].cut[0];
    assert_eq!((cut.name.clone(), cut.kind), (format!("stubborn (pid {})", child.id()), "child process"));
    assert_eq!(cut.site.unwrap().line(), line);
    assert!(cut.age >= Duration::from_secs(4), "{report}");
}

#[test]
fn c5_its_own_time_to_stop_may_be_shorter() {
    let lifecycle = install(Config::default());
    let command = shell("trap '' TERM; exec \"$0\" say READY=1 hang");
    let child = lifecycle.child("stubborn", command).ready(Readiness::Notify);
    let child = child.stop_timeout(Duration::from_millis(200)).start().unwrap();
    let report = lifecycle.close();
    assert_eq!((report.exit_status(), child.exit()), (3, Some(KILLED)), "{report}");
    assert!(report.took < Duration::from_secs(20), "{report}");
}

#[test]
fn c5_one_that_is_stopped_hears_it_all_the_same() {
    let lifecycle = install(Config::default());
    let child = lifecycle.child("sleeper", probe_that(["hang"])).start().unwrap();
    child.signal(Signal::new(Raw::STOP.as_raw())).unwrap();
    wait_until("it is stopped", || state_of(child.id()) == Some('T'));
    let report = lifecycle.close();
    assert_eq!((report.exit_status(), child.exit()), (0, Some(TERMINATED)), "{report}");
}

#[test]
fn c5_what_is_left_of_its_group_is_killed_when_it_has_ended() {
    let lifecycle = install(Config::default());
    // A daemon that keeps the group: forks twice, ignores the signal, and its parents are gone.
    let script = "(trap '' TERM; sleep 3600 & echo $!) ; \"$0\" say READY=1; exec sleep 3600";
    let mut command = shell(script);
    command.stdout(Stdio::piped());
    let mut child = lifecycle.child("daemons", command).ready(Readiness::Notify).start().unwrap();
    let daemon = numbers(&mut child)[0];
    assert!(!is_dead(daemon));
    let report = lifecycle.close();
    assert_eq!((report.exit_status(), child.exit()), (0, Some(TERMINATED)), "{report}");
    wait_until("the daemon is dead", || is_dead(daemon));
}

#[test]
fn c5_a_key_on_the_terminal_is_heard_once() {
    let mut command = std::process::Command::new("script");
    // `exec`: a shell that stayed as its parent would die of the key itself, and dash(1) stays.
    let probe = format!("exec {} children terminal", probe::program().display());
    let mut probe = probe::Running::spawn(command.args(["-qefc", &probe, "/dev/null"]));
    let mut here = 0;
    let mut is_ready = false;
    while here < 2 || !is_ready {
        match &*probe.line() {
            "here" => here += 1,
            "ready" => is_ready = true,
            other => panic!("{other:?}"),
        }
    }
    std::io::Write::write_all(probe.child.stdin.as_mut().unwrap(), b"\x03").unwrap();
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["SIGINT from the terminal", "same 1\r\n", "own 1\r\n", "exit status 0"]);
}

#[test]
fn c5_a_dropped_lifecycle_kills_at_once() {
    let lifecycle = install(Config::default());
    let command = shell("trap '' TERM; exec \"$0\" say READY=1 hang");
    let child = lifecycle.child("left", command).ready(Readiness::Notify).start().unwrap();
    drop(lifecycle);
    assert_eq!(child.wait_timeout(LONG), Ok(Some(KILLED)));
}

#[test]
fn c6_a_handle_stops_kills_and_waits() {
    let lifecycle = install(Config::default());
    let child = lifecycle.child("one", probe_that(["hang"])).start().unwrap();
    assert_eq!(child.wait_timeout(Duration::from_millis(1)), Ok(None));
    assert_eq!(child.stop(), Ok(TERMINATED));
    assert_eq!(child.stop(), Ok(TERMINATED), "again");
    assert_eq!(child.signal(Signal::TERMINATE).unwrap_err().to_string(), "the child has ended");
    let command = shell("trap '' TERM; exec \"$0\" say READY=1 hang");
    let child = lifecycle.child("two", command).ready(Readiness::Notify);
    let child = child.stop_timeout(Duration::from_millis(50)).start().unwrap();
    assert_eq!(child.stop(), Ok(KILLED));
    let child = lifecycle.child("three", probe_that(["hang"])).start().unwrap();
    child.kill();
    assert_eq!(child.wait(), Ok(KILLED));
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 0, "what its owner kills is not cut: {report}");
}

#[test]
fn c6_dropping_the_handle_changes_nothing() {
    let lifecycle = install(Config::default());
    let child = lifecycle.child("owned", probe_that(["hang"])).start().unwrap();
    let pid = child.id();
    drop(child);
    assert!(!is_dead(pid));
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 0, "{report}");
    assert_eq!(state_of(pid), None);
}

#[test]
fn c7_nobody_outlives_a_parent_that_is_killed() {
    let mut probe = probe::Running::start("children", "parent");
    let pids: Vec<u32> = probe.line().split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|pid| !is_dead(*pid)));
    probe.kill(Raw::KILL);
    for pid in &pids[..2] {
        wait_until("it is dead", || is_dead(*pid));
    }
    // The third was told to outlive its parent.
    assert!(!is_dead(pids[2]));
    rustix::process::kill_process(rustix::process::Pid::from_raw(pids[2].cast_signed()).unwrap(), Raw::KILL)
        .unwrap();
}

#[test]
fn c7_starts_and_stops_leave_nothing() {
    let rounds = if std::env::var_os("EXEUNT_SOAK").is_some() { "1000" } else { "200" };
    let mut command = std::process::Command::new(probe::program());
    command.args(["children", "rounds"]).env("ROUNDS", rounds);
    let (said, status) = probe::Running::spawn(&mut command).finish();
    assert!(status.success(), "{said}");
    contains(&said, &["no descriptor, no zombie, no thread, no memory"]);
}

/// Whoever has the program's last word must not be faster than its children's end.
#[test]
fn c5_nothing_is_left_of_a_group_however_the_lifecycle_ends() {
    for scenario in ["dropped", "forced"] {
        for _ in 0..8 {
            let mut probe = probe::Running::start("children", scenario);
            let pids: Vec<u32> = (0..8).map(|_| probe.line().parse().unwrap()).collect();
            if scenario == "forced" {
                probe.wait_for("ready");
                _ = probe.kill_until_it_ends(Raw::TERM);
            }
            _ = probe.finish();
            // Killed is not yet dead.
            let all_dead = || pids.iter().all(|pid| is_dead(*pid));
            for _ in 0..2000 {
                if all_dead() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            let left: Vec<_> = pids.into_iter().filter(|pid| !is_dead(*pid)).collect();
            for pid in &left {
                let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
                rustix::process::kill_process(pid, Raw::KILL).unwrap();
            }
            assert!(left.is_empty(), "{scenario}: {} left", left.len());
        }
    }
}
