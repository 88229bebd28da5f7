//! Signals in real processes: each test runs a scenario of the example `signal_probe`.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test's panic is its failure"
)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::FromRawFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push("signal_probe");
    assert!(path.exists(), "{} is not built; run `cargo build --examples` first", path.display());
    path
}

fn command(module: &str, scenario: &str) -> Command {
    let mut command = Command::new(program());
    command.args([module, scenario]).stdin(Stdio::null());
    // SAFETY: signal(2) is async-signal-safe. Whoever runs the tests in the background has SIGINT and SIGQUIT ignored,
    // or SIGHUP by nohup(1), and so would the scenario.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        })
    };
    command
}

fn run(scenario: &str) -> ExitStatus {
    command("signals", scenario).status().unwrap()
}

#[track_caller]
fn passes(scenario: &str) {
    let status = run(scenario);
    assert!(status.success(), "{scenario}: {status}");
}

/// A scenario that has said "ready", and what it says next.
struct Running {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut running = Self { says: BufReader::new(child.stdout.take().unwrap()), child };
        assert_eq!(running.line(), "ready");
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.says.read_line(&mut line).unwrap(), 0, "it ended");
        line.trim_end().to_owned()
    }

    fn line_with(&mut self, part: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(part) {
                return line;
            }
        }
    }

    fn pid(&self) -> libc::pid_t {
        self.child.id().try_into().unwrap()
    }

    fn kill(&self, signal: libc::c_int) {
        // SAFETY: numbers only, and the child is not yet waited for.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    fn finish(mut self) {
        self.kill(libc::SIGUSR2);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn l10_a_main_thread_in_a_system_call_is_not_disturbed_and_the_signal_is_seen() {
    let mut running = Running::start(command("signals", "blocked").stdin(Stdio::piped()));
    running.kill(libc::SIGTERM);
    assert_eq!(running.line(), "seen");
    drop(running.child.stdin.take());
    assert!(running.child.wait().unwrap().success(), "its read(2) was interrupted");
}

#[test]
fn l10_a_signal_is_seen_on_whichever_thread_it_lands() {
    passes("other-thread");
}

#[test]
fn l10_a_signal_that_is_blocked_elsewhere_reaches_the_waiting_thread() {
    passes("masked");
}

#[test]
fn l10_no_signal_of_a_burst_is_lost() {
    passes("burst");
}

#[test]
fn handlers_do_not_nest() {
    passes("together");
}

#[test]
fn the_handler_preserves_errno() {
    passes("errno");
}

#[test]
fn l11_an_ignored_signal_stays_ignored() {
    let shell = "trap '' TERM; exec \"$0\" signals ignored";
    let status = Command::new("sh").arg("-c").arg(shell).arg(program()).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn what_cannot_be_registered_is_an_error() {
    passes("refused");
}

#[test]
fn l11_a_previous_handler_is_called_when_asked_and_only_then() {
    passes("chain");
}

#[test]
fn l11_the_main_thread_calls_the_handler_before_ours_where_that_is_asked_for() {
    passes("chain-on-main");
}

#[test]
fn l11_a_handler_goes_over_another_again_where_that_is_asked_for() {
    passes("renew");
}

#[test]
fn l11_the_default_action_is_not_chained_to() {
    passes("default-is-not-chained");
}

#[test]
fn l11_a_restored_default_ends_the_process() {
    assert_eq!(run("restore-default").signal(), Some(libc::SIGTERM));
}

#[test]
fn l11_a_restored_function_is_called_by_the_kernel() {
    passes("restore-function");
}

#[test]
fn l11_a_handler_put_over_ours_stays_and_nobody_calls_in_circles() {
    passes("covered");
}

#[test]
fn l11_a_default_under_a_handler_over_ours_does_not_act() {
    passes("covered-default");
}

#[test]
fn l10_the_inbox_wakes_up_for_what_arrives_and_says_when_it_came() {
    for scenario in ["idle", "prompt", "interrupted", "without-pipe", "late"] {
        let status = command("waiting", scenario).status().unwrap();
        assert!(status.success(), "{scenario}: {status}");
    }
}

#[test]
fn l17_a_forked_child_dies_by_the_default_and_the_parent_hears_nothing() {
    passes("fork-default");
}

#[test]
fn l17_in_a_forked_child_the_previous_handler_acts() {
    passes("fork-function");
}

#[test]
fn l9_origins_of_processes() {
    let mut running = Running::start(command("signals", "report").process_group(0));
    running.kill(libc::SIGTERM);
    let me = std::process::id();
    assert_eq!(running.line(), format!("15 Process {{ pid: {me}, related: true }}"), "our parent");

    // Neither our parent nor in our group, and gone as soon as it has sent.
    let mut stranger = Command::new("kill").args(["-TERM", &running.pid().to_string()]).spawn().unwrap();
    let pid = stranger.id();
    stranger.wait().unwrap();
    assert_eq!(running.line(), format!("15 Process {{ pid: {pid}, related: false }}"));

    let mut relative = Command::new("kill");
    relative.args(["-TERM", &running.pid().to_string()]).process_group(running.pid());
    let mut relative = relative.spawn().unwrap();
    let said = running.line();
    let pid = relative.id();
    // Not sooner: nothing is known of a sender that has been waited for.
    relative.wait().unwrap();
    assert_eq!(said, format!("15 Process {{ pid: {pid}, related: true }}"), "in our group");

    // SAFETY: numbers only; the thread is the child's first.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, running.pid(), running.pid(), libc::SIGTERM) };
    assert_eq!(sent, 0);
    assert_eq!(running.line(), format!("15 Direct {{ pid: {me} }}"));
    running.finish();
}

#[test]
fn l9_a_key_on_the_terminal_comes_from_the_kernel() {
    let (mut terminal, mut running) = on_terminal(command("signals", "report"));
    terminal.write_all(b"\x03").unwrap();
    assert_eq!(running.line(), "2 Kernel");
    running.finish();
}

#[test]
fn l9_a_relay_of_the_terminals_signal_is_no_further_attempt() {
    let (mut terminal, mut running) = on_terminal(command("lifecycle", "terminal"));
    terminal.write_all(b"\x03").unwrap();
    // We are its parent, and pass on what the terminal said.
    running.kill(libc::SIGTERM);
    for _ in 0..2 {
        while !running.line().contains("stop signal") {}
    }
    terminal.write_all(b"finish\n").unwrap();
    while !running.line().contains("attempts 1") {}
}

#[test]
fn l9_ctrl_backslash_and_its_relay_are_one_attempt() {
    let (mut terminal, mut running) = on_terminal(command("lifecycle", "escalation"));
    terminal.write_all(b"\x1c").unwrap();
    let said = running.line_with("stop signal");
    assert!(said.contains("SIGQUIT from the terminal") && said.contains("attempt=1"), "{said}");
    running.kill(libc::SIGQUIT);
    let said = running.line_with("stop signal");
    assert!(said.contains("by another road") && said.contains("attempt=1"), "{said}");
}

#[test]
fn l16_a_terminal_that_hangs_up_and_its_relay_are_one_attempt() {
    let (terminal, mut running) = on_terminal(command("lifecycle", "escalation"));
    drop(terminal);
    let said = running.line_with("stop signal");
    assert!(said.contains("SIGHUP from the terminal") && said.contains("attempt=1"), "{said}");
    // As a shell does to its jobs.
    running.kill(libc::SIGHUP);
    let said = running.line_with("stop signal");
    assert!(said.contains("by another road") && said.contains("attempt=1"), "{said}");
}

#[test]
fn l9_the_log_tells_of_each_attempt() {
    let mut running = Running::start(&mut command("lifecycle", "escalation"));
    for (said, attempt) in
        [("stop signal ", 1), ("stop signal: a further attempt ", 2), ("stop signal: the end is forced ", 3)]
    {
        // One at a time, since the kernel merges what is pending.
        running.kill(libc::SIGTERM);
        let line = running.line_with("stop signal");
        let attempt = format!("attempt={attempt} max_attempts=3");
        assert!(line.contains(said) && line.contains(&attempt), "{line}");
    }
    while running.line() != "status 143" {}
}

#[test]
fn l17_hooks_are_inert_in_a_forked_child() {
    let mut child = command("lifecycle", "hooks-forked").stdin(Stdio::piped()).spawn().unwrap();
    // Its end would be a cause.
    let stdin = child.stdin.take();
    let status = child.wait().unwrap();
    drop(stdin);
    assert!(status.success(), "{status}");
}

#[test]
fn l11_hooks_chain_and_restore_like_stops() {
    let status = command("lifecycle", "hooks-chained").status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_process_ends_by_the_signal_itself() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1] {
        assert_eq!(run(&format!("end-by-{signal}")).signal(), Some(signal));
    }
    passes("end-by-nothing");
}

#[cfg(target_os = "linux")]
#[test]
fn l17_children_are_nobodys_in_a_forked_child() {
    let status = command("lifecycle", "children-forked").status().unwrap();
    assert!(status.success(), "{status}");
}

#[cfg(target_os = "linux")]
#[test]
fn l17_what_a_forked_child_keeps_open_keeps_nobody_awake() {
    let status = command("lifecycle", "children-kept").status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn l17_a_lifecycle_is_inert_in_a_forked_child() {
    let status = command("lifecycle", "fork").status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn l11_lifecycles_chain_when_one_of_them_asks() {
    let status = command("lifecycle", "chain").status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn l10_a_signal_from_before_a_lifecycle_is_not_for_it() {
    let status = command("lifecycle", "stale").status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn l10_a_lifecycle_sees_signals_that_everybody_else_has_blocked() {
    let status = command("lifecycle", "masked").status().unwrap();
    assert!(status.success(), "{status}");
}

/// Starts the command in a session of its own with a terminal of its own; we are at its other end.
fn on_terminal(mut command: Command) -> (File, Running) {
    let (mut master, mut slave) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: room for two descriptors, and no names or settings asked for.
    let opened = unsafe { libc::openpty(&raw mut master, &raw mut slave, none, none.cast(), none.cast()) };
    assert_eq!(opened, 0);
    // SAFETY: a descriptor of ours. The child must not hold the end at which we hang up.
    unsafe { libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: both were opened just now, and belong to nobody else.
    let (master, slave) = unsafe { (File::from_raw_fd(master), File::from_raw_fd(slave)) };
    // SAFETY: two system calls, both async-signal-safe: a session whose terminal is stdin.
    let command = unsafe {
        command.stdin(slave).pre_exec(|| {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 0);
            Ok(())
        })
    };
    (master, Running::start(command))
}
