//! What a child begins with (C1), and that nothing of ours reaches it.

use crate::{LONG, install, probe, shell};
use exeunt_lifecycle::{ChildExit, Config};
use std::io::Read as _;
use std::process::{Command, Stdio};

#[test]
fn c1_dispositions_are_default_and_nothing_is_blocked() {
    // The probe is started with SIGHUP ignored and SIGUSR1 blocked, and starts `cat /proc/self/status`.
    let script = "trap '' HUP USR2; exec env --block-signal=USR1 \"$0\" children status";
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(probe::program());
    let (said, status) = probe::Running::spawn(&mut command).finish();
    assert!(status.success(), "{said}");
    let of = |field: &str| {
        let lines = said.lines().filter_map(|line| line.strip_prefix(field)).map(str::trim);
        lines.map(|mask| u64::from_str_radix(mask, 16).unwrap()).collect::<Vec<_>>()
    };
    // First the probe's own, as a control; then the child's.
    for (field, control) in [("SigBlk:", 1 << 9), ("SigIgn:", 1 | 1 << 11), ("SigCgt:", 1 << 14)] {
        let masks = of(field);
        assert_eq!(masks.len(), 2, "{said}");
        assert_eq!((masks[0] & control, masks[1]), (control, 0), "{field} in {said}");
    }
}

#[test]
fn c1_a_child_has_a_group_of_its_own_or_ours() {
    let lifecycle = install(Config::default());
    for own in [true, false] {
        let mut command = shell("cut -d' ' -f1,5 /proc/self/stat; exec cut -d' ' -f1,5 /proc/$$/stat");
        command.stdout(Stdio::piped());
        let builder = lifecycle.child("group", command);
        let builder = if own { builder } else { builder.same_group() };
        let mut child = builder.start().unwrap();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let ours = rustix::process::getpgrp().as_raw_pid().to_string();
        let expected = if own { child.id().to_string() } else { ours };
        for line in said.lines() {
            assert_eq!(line.split(' ').nth(1), Some(&*expected), "{said}");
        }
        assert_eq!(child.wait_timeout(LONG), Ok(Some(ChildExit::Code(0))));
    }
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn c1_no_descriptor_of_ours_reaches_a_child() {
    let lifecycle = install(Config::default());
    // Others are there, with all that the thread has of them.
    let other = || lifecycle.child("other", shell("sleep 3600")).capture_stderr().start().unwrap();
    let _others = [other(), other()];
    let mut command = Command::new("ls");
    command.args(["-l", "/proc/self/fd"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = lifecycle.child("ls", command).ready(exeunt_lifecycle::Readiness::Exec).capture_stderr();
    let mut child = child.start().unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    for ours in ["eventpoll", "eventfd", "pidfd", "socket:", "inotify"] {
        // What the test itself was started with is none of ours.
        assert!(!said.contains(ours) || inherited(ours), "{ours} in {said}");
    }
    let pipes = said.lines().filter(|line| line.contains("pipe:") && number(line) > 2).count();
    assert!(pipes == 0 || inherited("pipe:"), "{said}");
    assert_eq!(lifecycle.close().exit_status(), 0);
}

fn number(line: &str) -> u32 {
    line.split(" -> ").next().and_then(|left| left.rsplit(' ').next()).unwrap().parse().unwrap()
}

/// Whether a descriptor of that kind would reach any program that we start.
fn inherited(kind: &str) -> bool {
    let mut command = Command::new("ls");
    let said = command.args(["-l", "/proc/self/fd"]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    said.lines().any(|line| line.contains(kind) && number(line) > 2)
}

#[test]
fn c1_our_own_manager_is_not_the_childs() {
    let mut command = Command::new(probe::program());
    command
        .args(["children", "status"])
        .env("NOTIFY_SOCKET", "@nobody/listens")
        .env("WATCHDOG_USEC", "60000000");
    let (said, status) = probe::Running::spawn(&mut command).finish();
    assert!(status.success(), "{said}");
    assert!(said.ends_with("manager none 7\n"), "but for what the command says itself: {said}");
}
