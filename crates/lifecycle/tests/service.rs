//! Real processes with a service manager of our own: each test runs a scenario of `service` in the example
//! `lifecycle_probe`, and hears what the manager is told.

#![cfg(all(target_os = "linux", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod probe;

use probe::{Running, contains, program};
use rustix::process::Signal;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Somebody who is told.
struct Manager {
    socket: UnixDatagram,
    address: String,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Self { socket, address: path.to_str().unwrap().to_owned(), folder }
    }

    fn start(&self, scenario: &str) -> Running {
        Running::spawn(&mut self.command(scenario))
    }

    fn command(&self, scenario: &str) -> Command {
        let mut command = Command::new("env");
        command.arg("--default-signal").arg(program()).args(["service", scenario]);
        command.env("NOTIFY_SOCKET", &self.address);
        command.env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
        command
    }

    /// The next that it is told.
    #[track_caller]
    fn next(&self) -> String {
        let mut buffer = [0; 4_096];
        let read = self.socket.recv(&mut buffer).expect("nothing was told for a minute");
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    }

    #[track_caller]
    fn expect(&self, message: &str) {
        assert_eq!(self.next(), message);
    }

    /// Everything that it has been told, when nobody tells any more; but for what a slow machine takes its time over.
    fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4_096];
        let next = || {
            self.socket
                .recv(&mut buffer)
                .ok()
                .map(|read| String::from_utf8_lossy(&buffer[..read]).into_owned())
        };
        std::iter::from_fn(next).filter(|told| !told.starts_with("STATUS=held up")).collect()
    }
}

fn ready(probe: &Running) -> String {
    format!("READY=1\nMAINPID={}\nSTATUS=running", probe.child.id())
}

fn us() -> u32 {
    std::process::id()
}

#[test]
fn s2_a_life_is_told_from_the_start_to_the_exit_status() {
    let manager = Manager::new();
    let mut probe = manager.start("serve");
    manager.expect("STATUS=starting");
    manager.expect(&ready(&probe));
    probe.wait_for("ready");

    probe.kill(Signal::HUP);
    let reload = manager.next();
    assert!(
        reload.starts_with("RELOADING=1\nMONOTONIC_USEC=") && reload.ends_with("\nSTATUS=reloading"),
        "{reload}"
    );
    manager.expect("READY=1\nSTATUS=running");
    probe.wait_for("reloads");

    probe.kill(Signal::TERM);
    let cause = format!("SIGTERM from process {}", us());
    let stopping = manager.next();
    // An hour of grace, of which 20 s are asked for.
    let (stopping, extend) = stopping.split_once("\nEXTEND_TIMEOUT_USEC=").unwrap();
    assert_eq!(stopping, format!("STOPPING=1\nSTATUS=draining ({cause}): http (1 in flight)"));
    assert_eq!(extend, "20000000");
    probe.wait_for("stopping");
    drop(probe.child.stdin.take());
    let (report, status) = probe.finish();
    assert_eq!(status.code(), Some(0), "{report}");
    assert_eq!(manager.rest(), [format!("STATUS=stopped, exit status 0 ({cause})\nEXIT_STATUS=0")]);
}

#[test]
fn s1_an_abstract_socket_is_as_good_as_a_path() {
    let mut manager = Manager::new();
    let name = format!("exeunt-test-{}", us());
    manager.socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    manager.socket.set_read_timeout(Some(LONG)).unwrap();
    manager.address = format!("@{name}");
    let probe = manager.start("several");
    manager.expect("STATUS=starting");
    manager.expect(&ready(&probe));
}

#[test]
fn s1_one_lifecycle_speaks_for_the_process_and_when_it_is_gone_another_may() {
    let manager = Manager::new();
    let mut probe = manager.start("several");
    probe.wait_for("ready");
    let closed = "the program closed its lifecycle";
    let over = format!("STOPPING=1\nSTATUS=stopped, exit status 0 ({closed})\nEXIT_STATUS=0");
    let expected = ["STATUS=starting", &ready(&probe), &over, "STATUS=starting", &over];
    drop(probe.child.stdin.take());
    assert_eq!(probe.finish().1.code(), Some(0));
    assert_eq!(manager.rest(), expected);
}

#[test]
fn s1_what_cannot_be_a_socket_is_an_error_at_the_start() {
    let mut manager = Manager::new();
    manager.address = "vsock:2:9999".to_owned();
    let (says, _) = manager.start("refused").finish();
    contains(
        &says,
        &["NOTIFY_SOCKET=\"vsock:2:9999\" cannot be used: a vsock is for a virtual machine's manager"],
    );
    let manager = Manager::new();
    let (says, _) = Running::spawn(manager.command("refused").env("WATCHDOG_USEC", "soon")).finish();
    contains(&says, &["WATCHDOG_USEC=\"soon\" cannot be used: it is no number above 0"]);
}

#[test]
fn s2_a_stop_during_the_start_is_told_and_never_readiness() {
    let manager = Manager::new();
    let mut probe = manager.start("start");
    probe.wait_for("starting");
    probe.kill(Signal::TERM);
    assert_eq!(probe.finish().1.code(), Some(0));
    let cause = format!("SIGTERM from process {}", us());
    let over = format!("STOPPING=1\nSTATUS=stopped, exit status 0 ({cause})\nEXIT_STATUS=0");
    assert_eq!(manager.rest(), ["STATUS=starting", &over]);
}

#[test]
fn s2_a_start_that_fails_says_why_and_by_which_number() {
    let manager = Manager::new();
    assert_eq!(manager.start("failed").finish().1.code(), Some(1));
    let over = "STOPPING=1\nSTATUS=stopped, exit status 1 (main failed: Permission denied (os error 13))\nERRNO=13\n\
                EXIT_STATUS=1";
    assert_eq!(manager.rest(), ["STATUS=starting", over]);
}

#[test]
fn s4_a_shield_that_moves_the_deadline_asks_for_time() {
    let manager = Manager::new();
    let mut probe = manager.start("shield");
    manager.expect("STATUS=starting");
    manager.expect(&ready(&probe));
    probe.kill(Signal::TERM);
    probe.wait_for("stopping");
    let stopping = manager.next();
    contains(
        &stopping,
        &[
            "STOPPING=1\nSTATUS=draining",
            "the shield \"payment\" taken at ",
            "\nEXTEND_TIMEOUT_USEC=20000000",
        ],
    );
    drop(probe.child.stdin.take());
    assert_eq!(probe.finish().1.code(), Some(0));
}

#[test]
fn s5_the_watchdog_is_fed_until_the_core_is_stuck() {
    let manager = Manager::new();
    let mut probe = Running::spawn(manager.command("stuck").env("WATCHDOG_USEC", "40000"));
    manager.expect("STATUS=starting");
    for _ in 0..5 {
        while manager.next() != "WATCHDOG=1" {}
    }
    probe.wait_for("ready");
    probe.kill(Signal::TERM);
    probe.wait_for("stuck");
    // Whatever was under way has arrived. Fifty more are due in a second.
    _ = manager.rest();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(manager.rest(), [""; 0]);
}

#[test]
fn s5_the_watchdog_is_fed_by_a_signal_thread_that_was_at_rest() {
    let manager = Manager::new();
    let mut probe = Running::spawn(manager.command("second").env("WATCHDOG_USEC", "40000"));
    for _ in 0..5 {
        while manager.next() != "WATCHDOG=1" {}
    }
    probe.wait_for("starting");
    probe.kill(Signal::TERM);
    assert_eq!(probe.finish().1.code(), Some(0));
}

#[test]
fn s5_the_watchdog_of_another_process_is_not_ours_to_feed() {
    let manager = Manager::new();
    let other = us().to_string();
    let mut command = manager.command("start");
    let mut probe = Running::spawn(command.env("WATCHDOG_USEC", "1").env("WATCHDOG_PID", other));
    probe.wait_for("starting");
    probe.kill(Signal::TERM);
    assert_eq!(probe.finish().1.code(), Some(0));
    assert!(manager.rest().iter().all(|told| told != "WATCHDOG=1"));
}

#[test]
fn s6_a_manager_that_vanishes_harms_nobody() {
    let manager = Manager::new();
    let mut probe = manager.start("start");
    probe.wait_for("starting");
    std::fs::remove_file(manager.folder.path().join("notify")).unwrap();
    drop(manager);
    probe.kill(Signal::TERM);
    assert_eq!(probe.finish().1.code(), Some(0));
}
