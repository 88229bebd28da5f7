//! Real child processes (rules C1 to C9).

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's panic is its failure"
)]

mod begin;
mod pool;
#[path = "../probe/mod.rs"]
mod probe;
mod reap;
mod start;
mod stop;

use exeunt_lifecycle::{Config, Lifecycle};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Nothing takes so long that is not broken.
const LONG: Duration = Duration::from_secs(60);

fn install(config: Config) -> Lifecycle {
    Lifecycle::install(config).unwrap()
}

/// The example that does what it is told.
fn child_program() -> PathBuf {
    let mut path = probe::program();
    path.pop();
    path.push("child_probe");
    assert!(path.exists(), "{} is not built; run `cargo build --examples` first", path.display());
    path
}

fn probe_that<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(child_program());
    command.args(arguments);
    command
}

/// A script, to which the child program is `$0`.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(child_program());
    command
}

/// The state of a process, `proc_pid_stat(5)`; `None` if there is none.
fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process is no more: gone, or waiting for a parent that is not us.
fn is_dead(pid: u32) -> bool {
    matches!(state_of(pid), None | Some('Z' | 'X'))
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The numbers in the next line of a child's stdout.
fn numbers(child: &mut exeunt_lifecycle::Child) -> Vec<u32> {
    use std::io::BufRead as _;
    let mut line = String::new();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}
