//! Does what its arguments say, one after the other, as a child in the tests for Windows: `out TEXT` on stdout, `err TEXT`
//! on stderr, `flood BYTES` on stderr, `exit STATUS`, `hang`, `deaf` to Ctrl-Break, `echo` a line of stdin, `stdin` to its
//! end, `fork-hang`: start one that hangs, `spawn ARGUMENTS…`: start one like it, and end; `spawn-hang ARGUMENTS…`, and
//! hang. And with a lifecycle: `hold ARGUMENTS…` as a child, and `leave ARGUMENTS…` as one that may outlive its parent.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::zombie_processes,
    reason = "a scenario's panic is its failure, stdout is for the test that runs it, and Windows has no zombies"
)]

#[cfg(not(windows))]
fn main() {}

#[cfg(windows)]
fn main() {
    use std::io::{Write as _, read_to_string, stdin};

    let mut arguments = std::env::args().skip(1);
    while let Some(verb) = arguments.next() {
        let mut next = || arguments.next().expect("an argument");
        match &*verb {
            "out" => println!("{}", next()),
            "err" => std::io::stderr().write_all(next().as_bytes()).expect("somebody reads"),
            "flood" => windows::flood(next().parse().expect("a number")),
            "exit" => std::process::exit(next().parse().expect("a number")),
            "hang" => windows::hang(),
            "deaf" => windows::deaf(),
            "echo" => {
                let mut line = String::new();
                stdin().read_line(&mut line).expect("a line");
                println!("{}", line.trim_end());
            }
            "stdin" => _ = read_to_string(stdin()).expect("text"),
            "spawn" => _ = windows::like_us(arguments.by_ref().collect()).spawn().expect("a process"),
            "fork-hang" => _ = windows::like_us(vec!["hang".to_owned()]).spawn().expect("a process"),
            "spawn-hang" => {
                _ = windows::like_us(arguments.by_ref().collect()).spawn().expect("a process");
                windows::hang();
            }
            "hold" => windows::hold(arguments.by_ref().collect(), false),
            "leave" => windows::hold(arguments.by_ref().collect(), true),
            other => panic!("no {other:?}"),
        }
    }
}

#[cfg(windows)]
mod windows {
    use exeunt_lifecycle::{Config, Lifecycle};
    use exeunt_sys::signal::{Registered, register};
    use std::io::Write as _;
    use std::process::Command;
    use std::time::Duration;

    pub(super) fn like_us(arguments: Vec<String>) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(arguments);
        command
    }

    /// Not for ever: whatever a broken test leaves ends, too.
    pub(super) fn hang() -> ! {
        std::thread::sleep(Duration::from_secs(120));
        panic!("nobody has ended it");
    }

    pub(super) fn deaf() {
        let Registered::Handled(taken) = register(21).expect("a handler") else { panic!("it is not taken") };
        std::mem::forget(taken);
    }

    pub(super) fn flood(bytes: usize) {
        let line = [b'x'; 8192];
        for _ in 0..bytes / line.len() {
            std::io::stderr().write_all(&line).expect("somebody reads");
        }
    }

    pub(super) fn hold(arguments: Vec<String>, outlives: bool) {
        let lifecycle = Lifecycle::install(Config::default()).expect("a lifecycle");
        let child = lifecycle.child("child", like_us(arguments));
        let child = if outlives { child.outlives_parent() } else { child };
        let _child = child.start().expect("a child");
        hang();
    }
}
