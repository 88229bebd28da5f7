//! Signals and hooks in real processes: each test runs a scenario of `hooks` in the example `lifecycle_probe`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod probe;

use probe::{Running, contains, program};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

fn start(scenario: &str) -> Running {
    let mut probe = Running::start("hooks", scenario);
    probe.wait_for("ready");
    probe
}

#[test]
fn l9_each_of_the_four_signals_stops_and_the_end_hook_runs_once() {
    for (signal, name) in [
        (Signal::INT, "SIGINT"),
        (Signal::TERM, "SIGTERM"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::HUP, "SIGHUP"),
    ] {
        let probe = start("hooks");
        probe.kill(signal);
        let (said, status) = probe.finish();
        assert_eq!(status.code(), Some(0), "{said}");
        contains(&said, &[&format!("{name} from process {}\n", std::process::id())]);
        assert_eq!(said.matches("ending Clean, 0 hooks failed\n").count(), 1, "{said}");
    }
}

#[test]
fn l16_before_hup_runs_and_then_sighup_stops() {
    let mut probe = start("hooks");
    probe.kill(Signal::HUP);
    assert_eq!(probe.line(), "SIGHUP false", "before the stop is requested");
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["stopping\n", "SIGHUP from process"]);
}

#[test]
fn l16_sighup_need_not_stop() {
    let mut probe = start("hup-stays");
    for _ in 0..3 {
        probe.kill(Signal::HUP);
        assert_eq!(probe.line(), "SIGHUP false");
    }
    probe.kill(Signal::TERM);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["SIGTERM from process"]);
}

#[test]
fn l16_a_hook_that_never_returns_holds_sighup_up_for_a_while_and_other_signals_not_at_all() {
    let mut probe = start("hup-hangs");
    probe.kill(Signal::HUP);
    probe.wait_for("hup hangs");
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["SIGHUP from process", "\n  before_hup failed: did not return in time\n"]);
    contains(&said, &["ending Clean, 1 hooks failed\n"]);
    assert_eq!(said.matches("did not return").count(), 1, "{said}");

    let mut probe = start("hup-hangs");
    probe.kill(Signal::HUP);
    probe.wait_for("hup hangs");
    probe.kill(Signal::TERM);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["SIGTERM from process", "\n  before_hup failed: did not return in time\n"]);
}

#[test]
fn l2_a_process_that_slept_over_its_deadlines_in_a_hook_looks_once_more() {
    let mut probe = start("hup-sleeps");
    probe.kill(Signal::HUP);
    probe.wait_for("hup sleeps");
    probe.kill(Signal::STOP);
    // The grace is 1 s from the delivery: both deadlines pass, the hook's too.
    thread::sleep(Duration::from_millis(2_200));
    probe.child.stdin.as_mut().unwrap().write_all(b"go on\n").unwrap();
    probe.kill(Signal::CONT);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    // The clock started at the delivery.
    contains(&said, &["stopped in 2."]);
    contains(
        &said,
        &["SIGHUP from process", "reader: 1 in flight at the stop, 1 finished after it, 0 cut\n"],
    );
}

#[test]
fn hooks_run_in_the_order_of_deliveries_and_stop_nothing() {
    let mut probe = start("hooks");
    for (signal, lines) in [
        (Signal::USR1, &["SIGUSR1 running"] as &[&str]),
        (Signal::USR2, &["SIGUSR2", "SIGUSR2 again"]),
        (Signal::USR1, &["SIGUSR1 running"]),
    ] {
        probe.kill(signal);
        lines.iter().for_each(|line| assert_eq!(probe.line(), *line));
    }
    probe.kill(Signal::TERM);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["SIGTERM too\n", "stopping\n"]);
}

#[test]
fn hooks_run_while_closing() {
    let mut probe = start("closing");
    probe.kill(Signal::TERM);
    probe.wait_for("closing");
    probe.kill(Signal::USR1);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(3), "{said}");
    contains(&said, &["SIGUSR1 closing\n", "ending Cut, 0 hooks failed\n"]);
}

#[test]
fn a_hook_may_stop_the_program() {
    let probe = start("hook-stops");
    probe.kill(Signal::USR1);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["first true\n", ": the hook of SIGUSR1\n", "ending Clean, 0 hooks failed\n"]);
}

#[test]
fn a_hook_that_never_returns_delays_no_stop_signal_and_is_named() {
    let mut probe = start("hook-hangs");
    probe.kill(Signal::USR1);
    probe.wait_for("usr1 hangs");
    probe.kill(Signal::USR1);
    probe.kill(Signal::TERM);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    // It did not wait for the other.
    contains(&said, &["ending Clean, 0 hooks failed\n"]);
    contains(&said, &["\n  on_signal SIGUSR1 failed: did not return in time\n"]);
    assert_eq!(said.matches("did not return").count(), 1, "{said}");
}

#[test]
fn hooks_that_panic_and_fail_are_named_and_the_next_runs() {
    let mut probe = start("hooks-panic");
    for said in ["panics", "failed", "well"] {
        probe.kill(Signal::USR1);
        assert_eq!(probe.line(), said);
    }
    probe.kill(Signal::HUP);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["SIGHUP from process", "\n  on_signal SIGUSR1 failed: panicked: at the first\n"]);
    contains(&said, &["\n  on_signal SIGUSR1 failed: no disk\n"]);
    contains(&said, &["\n  before_hup failed: panicked: at the hang-up\n"]);
    contains(
        &said,
        &["\n  before_termination failed: panicked: at the end\n", "ending Clean, 4 hooks failed\n"],
    );
}

#[test]
fn l9_the_end_hook_runs_on_every_path_to_the_end() {
    let mut probe = start("busy");
    let status = probe.kill_until_it_ends(Signal::QUIT);
    let said = probe.finish().0;
    assert_eq!(status.code(), Some(131), "{said}");
    assert_eq!(said.matches("ending Forced { signal: 3 }, 0 hooks failed\n").count(), 1, "{said}");

    let probe = start("busy-shortly");
    probe.kill(Signal::TERM);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(3), "{said}");
    contains(&said, &["ending Cut, 0 hooks failed\n"]);

    let (said, status) = Running::start("hooks", "dropped").finish();
    assert_eq!((said.as_str(), status.code()), ("ending Cut, 0 hooks failed\ndropped\n", Some(0)));
}

#[test]
fn l19_an_end_hook_that_never_returns_does_not_keep_the_program() {
    let mut probe = start("ending-hangs");
    probe.kill(Signal::TERM);
    probe.wait_for("ending hangs");
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["\n  before_termination failed: did not return in time\n"]);
}

#[test]
fn l10_every_delivery_of_a_real_time_signal_is_one_call() {
    let mut probe = start("counts");
    // As a child of ours it may send what we cannot name.
    let script = "i=0; while [ $i -lt 700 ]; do kill -37 $0; i=$((i+1)); done";
    let sent = Command::new("sh").args(["-c", script, &probe.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    // SIGTERM would overtake what is still pending (signal(7)).
    probe.wait_for("700");
    probe.kill(Signal::TERM);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["calls 700\n"]);
}

#[test]
fn l10_a_storm_of_another_signal_hides_no_stop_signal() {
    let mut probe = start("counts");
    let pid = Pid::from_child(&probe.child);
    let storm = thread::spawn(move || (0..50_000).all(|_| kill_process(pid, Signal::USR1).is_ok()));
    probe.kill(Signal::TERM);
    // Said beside "stopping", in either order.
    probe.wait_for("ending");
    // The child is not waited for yet, so the process is there to send to.
    assert!(storm.join().unwrap());
    let (said, status) = probe.finish();
    // Once the lifecycle is over, SIGUSR1 is as it was.
    assert!(status.code() == Some(0) || status.signal() == Some(10), "{status} {said}");
}

#[test]
fn l11_each_signal_that_was_ignored_stays_ignored() {
    for (name, number, signal) in [
        ("HUP", 1, Signal::HUP),
        ("INT", 2, Signal::INT),
        ("QUIT", 3, Signal::QUIT),
        ("USR1", 10, Signal::USR1),
        ("TERM", 15, Signal::TERM),
    ] {
        let shell = format!("trap '' {name}; exec \"$0\" hooks hooks");
        let mut command = Command::new("env");
        command.args(["--default-signal", "sh", "-c", &shell]).arg(program());
        let mut probe = Running::spawn(&mut command);
        assert_eq!(probe.line(), format!("ignored [Signal({number})]"));
        probe.wait_for("ready");
        for _ in 0..5 {
            probe.kill(signal);
        }
        let other = if signal == Signal::TERM { Signal::INT } else { Signal::TERM };
        probe.kill(other);
        let (said, status) = probe.finish();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains(&format!("SIG{name}")), "{name} was seen:\n{said}");
    }
}

#[test]
fn l11_nohup_means_it() {
    let mut command = Command::new("env");
    command.args(["--default-signal", "nohup"]).arg(program()).args(["hooks", "hooks"]);
    let mut probe = Running::spawn(&mut command);
    assert_eq!(probe.line(), "ignored [Signal(1)]");
    probe.wait_for("ready");
    probe.kill(Signal::HUP);
    probe.kill(Signal::USR1);
    assert_eq!(probe.line(), "SIGUSR1 running");
    probe.kill(Signal::TERM);
    assert_eq!(probe.finish().1.code(), Some(0));
}

#[test]
fn l14_re_raise_ends_by_the_signal_itself() {
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        let probe = start("re-raise");
        probe.kill(signal);
        let (said, status) = probe.finish();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status} {said}");
        contains(&said, &["ending Clean", "exit status 0"]);
    }
    let mut probe = start("re-raise-busy");
    let status = probe.kill_until_it_ends(Signal::INT);
    assert_eq!(status.signal(), Some(2), "{status}");

    let probe = start("re-raise-failed");
    probe.kill(Signal::TERM);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(1), "what failed says more: {said}");
}

#[test]
fn l18_several_lifecycles_have_signals_and_hooks_of_their_own() {
    let mut probe = start("several");
    probe.kill(Signal::USR1);
    let mut both = [probe.line(), probe.line()];
    both.sort_unstable();
    assert_eq!(both, ["one", "other"]);
    probe.kill(Signal::TERM);
    let mut both = [probe.line(), probe.line()];
    both.sort_unstable();
    assert_eq!(both, ["0", "other hears"]);
    probe.kill(Signal::USR1);
    assert_eq!(probe.line(), "other");
    probe.kill(Signal::HUP);
    assert_eq!((probe.line().as_str(), probe.line().as_str()), ("other hangs up", "0"));
    probe.wait_for("nothing is left");
    probe.kill(Signal::USR1);
    assert_eq!(probe.finish().1.signal(), Some(10), "as it was");
}

#[test]
fn l11_what_cannot_be_handled_is_an_error_and_leaves_nothing_behind() {
    for signal in [Signal::USR1, Signal::HUP] {
        let mut probe = Running::start("hooks", "refused");
        probe.wait_for("nothing is left");
        probe.kill(signal);
        assert_eq!(probe.finish().1.signal(), Some(signal.as_raw()));
    }
}

#[test]
fn hooks_can_be_added_later() {
    let mut probe = Running::start("hooks", "later");
    assert_eq!(probe.line(), "handled true");
    probe.wait_for("ready");
    probe.kill(Signal::USR1);
    assert_eq!(probe.line(), "SIGUSR1");
    assert_eq!(probe.line(), "status 0", "the second hook stops");
    probe.wait_for("nothing is left");
    probe.kill(Signal::USR1);
    assert_eq!(probe.finish().1.signal(), Some(10), "as it was");
}

#[test]
fn a_signal_that_cannot_be_handled_later_costs_the_others_nothing() {
    let probe = start("later-refused");
    probe.kill(Signal::TERM);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &["SIGTERM from process"]);
}

#[test]
fn l16_the_end_of_stdin_is_a_cause_if_asked_for() {
    let mut probe = start("stdin");
    let mut stdin = probe.child.stdin.take().unwrap();
    stdin.write_all(b"thrown away\n").unwrap();
    drop(stdin);
    let (said, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{said}");
    contains(&said, &[": stdin ended\n"]);

    let mut command = Command::new(program());
    let output = command.args(["hooks", "stdin"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    contains(&String::from_utf8(output.stdout).unwrap(), &[": stdin ended\n"]);

    let mut probe = start("stdin-twice");
    drop(probe.child.stdin.take());
    let (said, status) = probe.finish();
    assert_eq!((said.as_str(), status.code()), ("stdin ended\nstdin ended\nstdin ended\n", Some(0)));
}

#[test]
fn l16_stdin_is_left_alone_after_the_lifecycle_and_where_nobody_asked() {
    for scenario in ["stdin-left", "stdin-unasked"] {
        let mut probe = start(scenario);
        let mut stdin = probe.child.stdin.take().unwrap();
        if scenario == "stdin-unasked" {
            stdin.write_all(b"a line\n").unwrap();
        }
        probe.kill(Signal::TERM);
        if scenario == "stdin-left" {
            probe.wait_for("read on");
            stdin.write_all(b"a line\n").unwrap();
        }
        probe.wait_for("a line");
        let (said, status) = probe.finish();
        assert_eq!(status.code(), Some(0), "{scenario}: {said}");
    }
}
