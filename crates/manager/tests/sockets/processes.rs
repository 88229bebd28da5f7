//! A program of its own, struck with real signals.

use crate::probe::{Probe, example};
use crate::support::{GET, LAST, LIMIT, asking, read_to, to_end};
use rustix::process::Signal;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

fn get(path: &str) -> String {
    GET.replace("GET /", &format!("GET {path}"))
}

/// Asks, and waits until the program has it: the next answer comes behind it.
fn in_flight(address: SocketAddr, path: &str) -> TcpStream {
    let client = asking(address, get(path));
    for _ in 0..3 {
        to_end(asking(address, LAST));
    }
    client
}

#[test]
fn what_was_asked_before_the_signal_is_answered() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (probe, address) = Probe::serve(&[]);
        let slow = in_flight(address, "/slow");
        let mut idle = asking(address, GET);
        read_to(&mut idle, "hello");
        probe.send(signal);
        let text = to_end(slow);
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("slow"), "{text}");
        assert!(text.contains("Connection: close\r\n"), "D2: {text}");
        let (status, said) = probe.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("drained in"), "{said}");
        assert_eq!(to_end(idle), "");
        assert!(TcpStream::connect(address).is_err());
    }
}

#[test]
fn a_large_answer_in_flight_arrives_whole() {
    let (probe, address) = Probe::serve(&[]);
    let mut large = in_flight(address, "/large");
    probe.send(Signal::TERM);
    std::thread::sleep(Duration::from_millis(100));
    let mut text = Vec::new();
    large.read_to_end(&mut text).unwrap();
    assert!(text.len() > 20_000_000, "{}", text.len());
    assert_eq!(probe.end().0.code(), Some(0));
}

#[test]
fn what_is_never_answered_gets_503_at_the_deadline_and_is_named() {
    let (probe, address) = Probe::serve(&["127.0.0.1:0", "2000"]);
    let never = in_flight(address, "/never");
    probe.send(Signal::TERM);
    assert!(to_end(never).starts_with("HTTP/1.1 503 "));
    let (status, said) = probe.end();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("cut: request GET /never"), "{said}");
}

#[test]
fn the_third_signal_ends_it_at_once() {
    let (probe, address) = Probe::serve(&["127.0.0.1:0", "60000"]);
    let never = in_flight(address, "/never");
    let began = Instant::now();
    let (status, said) = probe.forced(Signal::TERM);
    assert_eq!(status.code(), Some(143), "{said}");
    assert!(began.elapsed() < Duration::from_secs(40));
    drop(never);
}

#[test]
fn a_signal_before_anybody_came_is_a_clean_stop() {
    let (probe, _) = Probe::serve(&[]);
    probe.send(Signal::TERM);
    assert_eq!(probe.end().0.code(), Some(0));
}

#[test]
fn a_panic_is_answered_and_named_and_the_stop_is_clean() {
    let (probe, address) = Probe::serve(&[]);
    assert!(to_end(asking(address, get("/unknown"))).starts_with("HTTP/1.1 500 "));
    probe.send(Signal::TERM);
    let (status, said) = probe.end();
    assert_eq!(status.code(), Some(0));
    assert!(said.contains("a handler panicked: what shall I do with /unknown"), "{said}");
}

#[test]
fn a_signal_that_is_no_stop_ends_the_wait() {
    let probe = Probe::start(&["passes"]);
    assert_eq!(probe.line(), "waiting");
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < LIMIT, "the signal does not end the wait");
        // It may come just before the wait, where it interrupts nothing.
        probe.send(Signal::USR1);
        if probe.lines.recv_timeout(Duration::from_millis(200)).is_ok() {
            break;
        }
    }
}

#[test]
fn a_socket_that_was_passed_on_is_listened_on_by_name_and_left_open() {
    let ours = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = ours.local_addr().unwrap();
    // The shell is the manager: it passes its own stderr on as descriptor 3, and then is the program.
    let script =
        "exec 3<&2 2>/dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(example("probe")).args(["serve", "systemd:web"]);
    shell.stderr(OwnedFd::from(ours.try_clone().unwrap()));
    let (probe, told) = Probe::of(shell).with_address();
    assert_eq!(told, address);
    assert!(to_end(asking(address, LAST)).ends_with("hello"));
    probe.send(Signal::TERM);
    assert_eq!(probe.end().0.code(), Some(0));
    // D3: it is the manager's as well, and still takes clients.
    let _next = TcpStream::connect(address).unwrap();
    ours.accept().unwrap();
}
