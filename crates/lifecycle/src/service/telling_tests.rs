//! What is told, by hand: a socket of our own is the manager, and every time is handed in.

#![cfg(target_os = "linux")]

use super::preset::{Preset, Waits};
use super::socket::Socket;
use super::telling::{Service, State};
use crate::machine::Phase;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, folder }
    }

    fn service(&self, watchdog: Option<Duration>, waits: Option<Duration>) -> Service {
        let waits = waits.map(|time| Waits { preset: Preset::Systemd, time: Some(time) });
        Service::new(Socket::to(self.folder.path().join("notify").into()).unwrap(), watchdog, waits)
    }

    /// What it has been told since it last looked.
    fn told(&self) -> Vec<String> {
        let mut buffer = [0; 4_096];
        let next = || {
            self.socket
                .recv(&mut buffer)
                .ok()
                .map(|read| String::from_utf8_lossy(&buffer[..read]).into_owned())
        };
        std::iter::from_fn(next).collect()
    }
}

fn state(phase: Phase) -> State {
    State {
        phase,
        status: phase.to_string(),
        exit_status: (phase == Phase::Stopped).then_some(3),
        failed: false,
        stop: None,
        shielded: false,
        done: 0,
    }
}

/// In a stop that may take 25 s, of which `left` are left.
fn stopping(phase: Phase, left: Duration) -> State {
    State { stop: Some((25 * SECOND, left)), ..state(phase) }
}

#[test]
fn s2_readiness_and_the_stop_are_told_once_each() {
    let (manager, now) = (Manager::new(), Instant::now());
    let service = manager.service(None, Some(90 * SECOND));
    service.begin(now);
    service.moved(Phase::Starting, &state(Phase::Running), now);
    service.moved(Phase::Running, &stopping(Phase::Draining, 25 * SECOND), now);
    service.moved(Phase::Draining, &stopping(Phase::Closing, 5 * SECOND), now);
    service.moved(Phase::Closing, &stopping(Phase::Stopped, SECOND), now);
    let ready = format!("READY=1\nMAINPID={}\nSTATUS=running", std::process::id());
    assert_eq!(
        manager.told(),
        [
            "STATUS=starting",
            &ready,
            "STOPPING=1\nSTATUS=draining",
            "STATUS=closing",
            "STATUS=stopped\nEXIT_STATUS=3"
        ]
    );
}

#[test]
fn s2_a_stop_during_the_start_is_never_ready() {
    let (manager, now) = (Manager::new(), Instant::now());
    let service = manager.service(None, Some(90 * SECOND));
    service.blame(Some(111));
    service.blame(Some(2));
    let failed = State { failed: true, ..stopping(Phase::Stopped, 25 * SECOND) };
    service.moved(Phase::Starting, &failed, now);
    assert_eq!(manager.told(), ["STOPPING=1\nSTATUS=stopped\nERRNO=111\nEXIT_STATUS=3"]);
}

#[test]
fn s2_an_error_that_is_not_the_cause_has_no_number() {
    let (manager, now) = (Manager::new(), Instant::now());
    let service = manager.service(None, Some(90 * SECOND));
    service.blame(Some(111));
    service.moved(Phase::Running, &stopping(Phase::Draining, 25 * SECOND), now);
    assert_eq!(manager.told(), ["STOPPING=1\nSTATUS=draining"]);
}

#[test]
fn s3_reloads_that_overlap_are_ready_once_and_not_after_a_stop() {
    let (manager, now) = (Manager::new(), Instant::now());
    let service = manager.service(None, None);
    service.reloading(now);
    service.reloading(now);
    let told = manager.told();
    assert_eq!(told.len(), 2);
    for reload in told {
        let (begin, usec) = reload.split_once("USEC=").unwrap();
        let (usec, status) = usec.split_once('\n').unwrap();
        assert_eq!((begin, status), ("RELOADING=1\nMONOTONIC_", "STATUS=reloading"));
        assert!(usec.parse::<u64>().unwrap() > 0);
    }
    service.reloaded(true, now);
    assert!(manager.told().is_empty());
    service.reloaded(true, now);
    assert_eq!(manager.told(), ["READY=1\nSTATUS=running"]);
    service.reloading(now);
    service.reloaded(false, now);
    assert_eq!(manager.told().len(), 1, "a program that stops is not ready again");
}

#[test]
fn s4_time_is_asked_for_while_there_is_progress_and_never_far_beyond_the_end() {
    let (manager, now) = (Manager::new(), Instant::now());
    let service = manager.service(None, None);
    service.moved(Phase::Running, &stopping(Phase::Draining, 25 * SECOND), now);
    assert_eq!(manager.told(), ["STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=20000000"]);
    assert_eq!(service.take_warnings(), ["asked for more time, since the stop may take 25.0 s"]);
    assert_eq!(service.wake_in(now), Some(10 * SECOND));
    let at = |seconds: u32, done| {
        let left = (25 * SECOND).saturating_sub(seconds * SECOND);
        service.tick(|| State { done, ..stopping(Phase::Draining, left) }, now + seconds * SECOND);
        manager.told()
    };
    assert!(at(9, 1).is_empty(), "not before it is due");
    assert_eq!(at(10, 1), ["EXTEND_TIMEOUT_USEC=20000000"]);
    assert!(at(20, 1).is_empty(), "nothing has got done meanwhile");
    assert_eq!(at(30, 2), ["EXTEND_TIMEOUT_USEC=5000000"], "the deadline has passed");
    assert!(service.take_warnings().is_empty(), "said once");
    service.moved(Phase::Draining, &stopping(Phase::Stopped, Duration::ZERO), now + 30 * SECOND);
    assert_eq!(manager.told(), ["STATUS=stopped\nEXIT_STATUS=3"]);
    assert_eq!(service.wake_in(now), None);
}

#[test]
fn s4_nothing_is_asked_for_that_the_manager_gives_anyway() {
    let (manager, now) = (Manager::new(), Instant::now());
    let moved = |waits: u32| {
        let service = manager.service(None, Some(waits * SECOND));
        service.moved(Phase::Running, &stopping(Phase::Draining, 25 * SECOND), now);
        manager.told().concat().contains("EXTEND_TIMEOUT_USEC")
    };
    assert!(!moved(30));
    assert!(moved(29), "behind the deadline there are hooks, and a report to be written");
}

#[test]
fn s4_a_shield_that_moves_the_deadline_is_told_at_once_and_needs_no_progress() {
    let (manager, now) = (Manager::new(), Instant::now());
    let service = manager.service(None, Some(30 * SECOND));
    service.moved(Phase::Running, &stopping(Phase::Draining, 25 * SECOND), now);
    assert_eq!(manager.told(), ["STOPPING=1\nSTATUS=draining"]);
    let shielded = |left: u32| State {
        stop: Some((60 * SECOND, left * SECOND)),
        shielded: true,
        ..state(Phase::Draining)
    };
    service.moved(Phase::Draining, &shielded(55), now);
    assert_eq!(manager.told(), ["EXTEND_TIMEOUT_USEC=20000000"]);
    service.tick(|| shielded(45), now + 10 * SECOND);
    service.tick(|| shielded(7), now + 20 * SECOND);
    assert_eq!(manager.told(), ["EXTEND_TIMEOUT_USEC=20000000", "EXTEND_TIMEOUT_USEC=12000000"]);
}

#[test]
fn s5_the_watchdog_is_fed_at_half_its_time() {
    let (manager, now) = (Manager::new(), Instant::now());
    let service = manager.service(Some(10 * SECOND), None);
    let tick = |at| {
        service.tick(|| state(Phase::Starting), now + at);
        manager.told()
    };
    service.begin(now);
    assert_eq!(service.wake_in(now), Some(Duration::ZERO));
    assert_eq!(tick(Duration::ZERO), ["STATUS=starting", "WATCHDOG=1"]);
    assert_eq!(service.wake_in(now), Some(5 * SECOND));
    assert!(tick(4 * SECOND).is_empty());
    assert_eq!(tick(6 * SECOND), ["WATCHDOG=1"]);
    assert_eq!(service.wake_in(now), Some(11 * SECOND));
    service.end();
    assert!(tick(11 * SECOND).is_empty());
    assert_eq!(service.wake_in(now), None);
}

#[test]
fn s6_a_manager_that_is_gone_is_logged_once_and_harms_nobody() {
    let (manager, now) = (Manager::new(), Instant::now());
    let service = manager.service(None, None);
    std::fs::remove_file(manager.folder.path().join("notify")).unwrap();
    service.begin(now);
    service.moved(Phase::Starting, &state(Phase::Running), now);
    assert_eq!(service.take_warnings(), ["cannot be told: No such file or directory (os error 2)"]);
    assert_eq!(service.wake_in(now), None, "nothing waits");
}

#[test]
fn s6_a_manager_that_is_behind_gets_everything_that_matters_later_in_order() {
    let (manager, now) = (Manager::new(), Instant::now());
    let service = manager.service(None, Some(90 * SECOND));
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send_to(b"of another service", manager.folder.path().join("notify")).is_ok() {}
    service.moved(Phase::Starting, &state(Phase::Running), now);
    assert_eq!(service.take_warnings(), ["does not keep up, and will be told later"]);
    for number in 0..30 {
        service.held_up(format!("number {number}"), now);
    }
    service.moved(Phase::Running, &stopping(Phase::Draining, SECOND), now);
    assert_eq!(service.wake_in(now), Some(Duration::from_millis(100)));
    service.tick(|| state(Phase::Draining), now + SECOND);
    assert!(manager.told().iter().all(|told| told == "of another service"));
    assert!(service.take_warnings().is_empty(), "said once");
    // As much as the queue takes at once (net.unix.max_dgram_qlen), each time.
    let mut told = Vec::new();
    for again in 2..40 {
        service.tick(|| state(Phase::Draining), now + again * SECOND);
        told.extend(manager.told());
    }
    assert_eq!(told.len(), 16);
    assert!(told[0].starts_with("READY=1\n") && told[1] == "STATUS=number 16", "{told:?}");
    assert_eq!(told[15], "STOPPING=1\nSTATUS=draining");
    assert_eq!(service.wake_in(now), None);
}
