//! What has children, and is watched from outside.

use super::{FOR_EVER, alone, die_with_the_test, finish, ready, threads};
use exeunt_lifecycle::{ChildExit, Config, Lifecycle, Phase, Readiness};
use rustix::process::Signal;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn run(scenario: &str) -> ExitCode {
    die_with_the_test();
    match scenario {
        "status" => status(),
        "parent" => parent(),
        "rounds" => rounds(),
        "crowded" => crowded(),
        "dropped" => dropped(),
        "behind" => behind(),
        "forced" => forced(),
        "terminal" => terminal(),
        "reaping" => reaping(),
        "first" => first(Config::default(), "(sh -c 'sleep 0.1 &' &)"),
        // Leads a session of its own, and ends before anybody can look: nobody could tell whose it is.
        "first-and-all" => first(Config::default().reap_all(true), "(setsid sh -c 'sleep 0.1 &' &)"),
        other => panic!("no scenario {other:?}"),
    }
}

/// Says what signals are to us, and to a child, and who its service manager is.
fn status() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default()).expect("a lifecycle");
    println!("{}", std::fs::read_to_string("/proc/self/status").expect("a status"));
    let mut cat = Command::new("sh");
    let script = "cat /proc/self/status; echo \"manager ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}\"";
    cat.args(["-c", script]).env("WATCHDOG_USEC", "7");
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

/// Children are started until there is no descriptor left for one more.
fn crowded() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default()).expect("a lifecycle");
    for capture in [false, true] {
        let start = || {
            let mut command = Command::new("sleep");
            command.arg("3600");
            let child = lifecycle.child("crowd", command);
            if capture { child.capture_stderr() } else { child }.start()
        };
        assert!(start().is_ok());
        let mut files = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            files.push(file);
        }
        match start() {
            Ok(child) => panic!("{child:?} found room"),
            Err(error) => println!("{error}: {}", std::error::Error::source(&error).expect("a source")),
        }
        drop(files);
    }
    assert_eq!(lifecycle.close().exit_status(), 0);
    ExitCode::SUCCESS
}

/// A child whose own child would outlive all of us.
fn parents() -> (Lifecycle, Vec<exeunt_lifecycle::Child>) {
    let lifecycle = Lifecycle::install(Config::default()).expect("a lifecycle");
    let parent = || {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; sleep 3600 & echo $!; wait"]).stdout(Stdio::piped());
        let mut child = lifecycle.child("parent", command).start().expect("a child");
        let said = BufReader::new(child.stdout.take().expect("a pipe")).lines().next();
        println!("{}", said.expect("a line").expect("a line"));
        child
    };
    let children = (0..8).map(|_| parent()).collect();
    (lifecycle, children)
}

/// Nothing is waited for.
fn dropped() -> ExitCode {
    let (lifecycle, _children) = parents();
    drop(lifecycle);
    ExitCode::SUCCESS
}

/// Ends at the third signal.
fn forced() -> ExitCode {
    let (lifecycle, _children) = parents();
    ready(&lifecycle);
    ExitCode::from(lifecycle.wait().exit_status())
}

/// Stopped by a child, which says much before it says that it is ready, and ends.
fn behind() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default()).expect("a lifecycle");
    let mut program = std::env::current_exe().expect("a program");
    program.set_file_name("child_probe");
    let script = "while [ $# -lt 600 ]; do set -- \"$@\" say STATUS=; done; kill -STOP $PPID; \
                  exec \"$0\" \"$@\" say READY=1 exit 0";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(program);
    let child = lifecycle.child("hasty", command).ready(Readiness::Notify).start();
    println!("{:?}", child.map(|child| child.wait()));
    finish(lifecycle)
}

/// Two children on a terminal, which count what they are told until they are asked how often that was: in our group,
/// and in its own.
fn terminal() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default()).expect("a lifecycle");
    let counting = |name: &str| {
        let script = "n=0; trap 'n=$((n+1))' INT TERM; trap 'echo $0 $n; exit' USR1; echo here; \
                      while :; do sleep 0.01; done";
        let mut command = Command::new("sh");
        command.args(["-c", script, name]);
        lifecycle.child(name, command)
    };
    let same = counting("same").same_group().start().expect("a child");
    let own = counting("own").start().expect("a child");
    ready(&lifecycle);
    _ = lifecycle.stop().wait_for(Phase::Draining, FOR_EVER);
    // Whatever is told is told by now, since orders are carried out in their order.
    thread::sleep(Duration::from_millis(200));
    assert!(counting("late").start().is_err());
    thread::sleep(Duration::from_millis(200));
    for child in [same, own] {
        child.signal(exeunt_lifecycle::Signal::USER1).expect("it is there");
        child.wait().expect("this is no fork");
    }
    finish(lifecycle)
}

/// A child's child leaves its group and session, and dies or does not. Meanwhile the program has a child of its own.
fn reaping() -> ExitCode {
    let lifecycle = Lifecycle::install(Config::default().subreaper(true)).expect("a lifecycle");
    let own = |script: &str| Command::new("sh").args(["-c", script]).spawn().expect("a child");
    let (mut one, mut other) = (own("exit 5"), own("exec setsid sh -c 'exit 6'"));
    let mut daemons = Command::new("sh");
    // One that lives on, one that dies in a session of its own, one that dies in its parent's group.
    let script = "setsid sh -c 'echo $$; exec sleep 3600' & \
                  (setsid sh -c 'sleep 0.1 & echo $!' &) ; (sh -c 'sleep 0.1 & echo $!' &) ; exec sleep 3600";
    daemons.args(["-c", script]).stdout(Stdio::piped());
    let mut child = lifecycle.child("daemons", daemons).start().expect("a child");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut pids = || said.next().expect("a line").expect("a line").parse::<u32>().expect("a pid");
    let pids = [pids(), pids(), pids()];
    let names = pids.map(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    let daemon = pids.iter().zip(&names).find(|(_, name)| name.contains("3600")).expect("a daemon").0;
    let brief = pids.iter().filter(|pid| *pid != daemon);
    for pid in brief {
        wait_until(|| !exists(*pid));
        println!("brief {}", if exists(*pid) { "is there" } else { "is gone" });
    }
    let mut leaver = Command::new("sh");
    leaver.args(["-c", "setsid sleep 3600 & echo $!"]).stdout(Stdio::piped());
    let mut leaver = lifecycle.child("leaver", leaver).start().expect("a child");
    let left = BufReader::new(leaver.stdout.take().expect("a pipe")).lines().next();
    let left: u32 = left.expect("a line").expect("a line").parse().expect("a pid");
    leaver.wait().expect("this is no fork");
    child.stop().expect("this is no fork");
    wait_until(|| !exists(*daemon));
    println!("daemon {}", if exists(*daemon) { "is there" } else { "is gone" });
    println!("left {}", if exists(left) { "is there" } else { "is gone" });
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 0, "{report}");
    println!("left {}", if exists(left) { "is there" } else { "is gone" });
    _ = rustix::process::kill_process(
        rustix::process::Pid::from_raw(daemon.cast_signed()).expect("a pid"),
        Signal::KILL,
    );
    let codes = [one.wait(), other.wait()].map(|status| status.expect("it is ours").code());
    println!("own {codes:?}");
    ExitCode::SUCCESS
}

/// As the first process of a PID namespace: zombies that others leave are reaped, and signals are heard.
fn first(config: Config, orphan: &str) -> ExitCode {
    assert_eq!(std::process::id(), 1);
    let lifecycle = Lifecycle::install(config).expect("a lifecycle");
    let mut own = Command::new("sh").args(["-c", "exit 5"]).spawn().expect("a child");
    let mut orphans = Command::new("sh");
    let script = format!("for i in 1 2 3 4 5 6 7 8; do {orphan}; done; echo; exec sleep 3600");
    orphans.args(["-c", &script]).stdout(Stdio::piped());
    let mut child = lifecycle.child("orphans", orphans).start().expect("a child");
    let said = BufReader::new(child.stdout.take().expect("a pipe")).lines().next();
    assert!(said.is_some_and(|line| line.is_ok()), "all were begun");
    // Besides us, the child, and the program's own, which is waited for last.
    wait_until(|| processes().iter().all(|pid| [1, child.id(), own.id()].contains(pid)));
    println!("left {}", processes().len());
    ready(&lifecycle);
    let report = lifecycle.wait();
    println!("{report}");
    println!("own {:?}", own.wait().map(|status| status.code()).map_err(|error| error.raw_os_error()));
    ExitCode::from(report.exit_status())
}

fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("processes");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
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
