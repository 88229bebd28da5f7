//! What has children, and is watched from outside.

use super::{FOR_EVER, alone, die_with_the_test, finish, threads};
use exeunt_lifecycle::{ChildExit, Config, Lifecycle, Readiness};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn run(scenario: &str) -> ExitCode {
    die_with_the_test();
    match scenario {
        "status" => status(),
        "parent" => parent(),
        "rounds" => rounds(),
        other => panic!("no scenario {other:?}"),
    }
}

/// Says what signals are to us, and to a child.
fn status() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default()).expect("a lifecycle");
    println!("{}", std::fs::read_to_string("/proc/self/status").expect("a status"));
    let mut cat = Command::new("cat");
    cat.arg("/proc/self/status");
    let child = lifecycle.child("cat", cat).start().expect("a child");
    assert_eq!(child.wait(), Ok(ChildExit::Code(0)));
    drop(lifecycle);
    ExitCode::SUCCESS
}

/// Two children that should not outlive us, and one that may.
fn parent() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default()).expect("a lifecycle");
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    };
    let plain = lifecycle.child("plain", shell("exec sleep 3600")).start().expect("a child");
    let stubborn = lifecycle.child("stubborn", shell("trap '' TERM INT HUP; while :; do sleep 0.1; done"));
    let stubborn = stubborn.start().expect("a child");
    let outlives = lifecycle.child("outlives", shell("exec sleep 3600")).outlives_parent();
    let outlives = outlives.start().expect("a child");
    println!("{} {} {}", plain.id(), stubborn.id(), outlives.id());
    thread::sleep(FOR_EVER);
    finish(lifecycle)
}

/// Starts and stops children, and looks at what that leaves.
fn rounds() -> ExitCode {
    let rounds: u32 = std::env::var("ROUNDS").expect("rounds").parse().expect("a number");
    let begun = || {
        for round in 0..8 {
            some(round);
        }
    };
    begun();
    let (descriptors, memory) = (descriptors(), memory());
    for round in 0..rounds / 8 {
        some(round);
    }
    wait_until(|| self::descriptors() <= descriptors);
    assert!(self::descriptors() <= descriptors, "{} descriptors, not {descriptors}", self::descriptors());
    let more = self::memory().saturating_sub(memory);
    assert!(more < 4096, "{more} KiB of memory more");
    assert_eq!(zombies(), 0, "zombies");
    // The main thread, and the one that watches children.
    wait_until(|| threads() == 2);
    assert!(!alone_now() && threads() == 2, "{} threads", threads());
    let used = processor();
    thread::sleep(Duration::from_secs(1));
    let used = processor() - used;
    assert!(used < Duration::from_millis(5), "{used:?} of processor time in an idle second");
    println!("no descriptor, no zombie, no thread, no memory");
    ExitCode::SUCCESS
}

/// Eight children, of all sorts.
fn some(round: u32) {
    let lifecycle = Lifecycle::install(Config::default()).expect("a lifecycle");
    let children: Vec<_> = (0..8)
        .map(|number| {
            let script = match number {
                0 => "exit 0",
                1 => "trap '' TERM; echo well >&2; while :; do sleep 0.01; done",
                2 => "echo oh >&2; exit 3",
                _ => "exec sleep 3600",
            };
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            let child = lifecycle.child(format!("{round}.{number}"), command).capture_stderr();
            let child = if number == 2 { child.ready(Readiness::Notify) } else { child };
            child.stop_timeout(Duration::from_millis(20)).start()
        })
        .collect();
    assert_eq!(children.iter().filter(|child| child.is_err()).count(), 1);
    let report = lifecycle.close();
    assert!(matches!(report.exit_status(), 0 | 3), "{report}");
    for child in children.into_iter().flatten() {
        assert!(child.exit().is_some(), "{child:?} is left");
    }
}

fn alone_now() -> bool {
    threads() == 1 && alone()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("descriptors").count()
}

/// Resident, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

fn zombies() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("tasks");
    let children = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).ok();
    tasks.filter_map(|task| children(task.expect("a task"))).map(|list| list.split_whitespace().count()).sum()
}

fn processor() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(spent).expect("a time")
}

fn wait_until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() && begun.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(1));
    }
}
