//! Does to signals and console events what tests need done in a process of its own: `signal_probe MODULE SCENARIO`. Exits 0
//! when all was as it should be; what it says on stdout is for the test that runs it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a scenario's panic is its failure, and its unsafe code is the foreign code of the scenario"
)]

#[cfg(windows)]
mod console;
#[cfg(unix)]
mod lifecycle;
#[cfg(target_os = "linux")]
mod receiving;
#[cfg(unix)]
mod signals;
#[cfg(target_os = "linux")]
mod waiting;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (module, scenario) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    match module.as_str() {
        #[cfg(windows)]
        "console" => console::run(&scenario),
        #[cfg(unix)]
        "lifecycle" => lifecycle::run(&scenario),
        #[cfg(unix)]
        "signals" => signals::run(&scenario),
        #[cfg(target_os = "linux")]
        "receiving" => receiving::run(&scenario),
        #[cfg(target_os = "linux")]
        "waiting" => waiting::run(&scenario),
        other => panic!("no module {other:?} for {scenario:?}"),
    }
}

/// A test that is killed must not leave us behind.
#[cfg(unix)]
fn die_with_the_test() {
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, 0);
}

/// Runs `child` in a forked child and answers its wait status. This process has one thread besides those that a fork
/// leaves behind, so the child may do what it likes.
#[cfg(unix)]
fn in_child(child: impl FnOnce()) -> libc::c_int {
    match unsafe { libc::fork() } {
        0 => {
            // What hangs here must not hang the test.
            unsafe { libc::alarm(20) };
            child();
            unsafe { libc::_exit(99) }
        }
        pid => {
            let mut status = 0;
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            status
        }
    }
}
