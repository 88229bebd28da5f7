//! Lives a program's life for the tests: `lifecycle_probe MODULE SCENARIO`. Says on stdout how far it is, prints its report, and
//! exits by it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a scenario's panic is its failure, and stdout is for the test that runs it"
)]

#[cfg(target_os = "linux")]
mod children;
mod console;
#[cfg(all(target_os = "linux", feature = "tokio"))]
mod foreign;
#[cfg(target_os = "linux")]
mod hooks;
#[cfg(target_os = "linux")]
mod lives;
#[cfg(all(target_os = "linux", feature = "tokio"))]
mod service;

use exeunt_lifecycle::Lifecycle;
use std::process::ExitCode;
#[cfg(target_os = "linux")]
use std::thread;
use std::time::Duration;

const FOR_EVER: Duration = Duration::from_secs(3_600);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (module, scenario) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    match module.as_str() {
        #[cfg(target_os = "linux")]
        "children" => children::run(&scenario),
        "console" => console::run(&scenario),
        #[cfg(all(target_os = "linux", feature = "tokio"))]
        "foreign" => foreign::run(&scenario),
        #[cfg(target_os = "linux")]
        "hooks" => hooks::run(&scenario),
        #[cfg(target_os = "linux")]
        "lives" => lives::run(&scenario),
        #[cfg(all(target_os = "linux", feature = "tokio"))]
        "service" => service::run(&scenario),
        other => panic!("no module {other:?}"),
    }
}

/// A test that is killed must not leave us behind.
#[cfg(target_os = "linux")]
fn die_with_the_test() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
}

fn ready(lifecycle: &Lifecycle) {
    lifecycle.ready();
    println!("ready");
}

fn finish(lifecycle: Lifecycle) -> ExitCode {
    let report = lifecycle.close();
    println!("{report}");
    if let Some(signal) = report.ends_by {
        let error = signal.end_process();
        println!("still here: {error}");
    }
    ExitCode::from(report.exit_status())
}

/// Waits for a signal that ends us as if we had never handled any.
#[cfg(target_os = "linux")]
fn nothing_is_left() -> ExitCode {
    assert!(alone(), "a thread is still there");
    println!("nothing is left");
    thread::sleep(FOR_EVER);
    ExitCode::from(99)
}

/// Waits until no other thread is left. Those that call foreign code end by themselves, and nobody joins them.
#[cfg(target_os = "linux")]
fn alone() -> bool {
    let begun = std::time::Instant::now();
    while threads() != 1 && begun.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(1));
    }
    threads() == 1
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
