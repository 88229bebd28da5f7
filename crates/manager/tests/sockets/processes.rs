//! A program of its own, struck with real signals.

use crate::probe::Probe;
use crate::support::{GET, LIMIT, asking, read_to, to_end};
use rustix::process::Signal;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

fn get(path: &str) -> String {
    GET.replace("GET /", &format!("GET {path}"))
}

/// Asks, and waits until the program has it: the next answer comes behind it.
fn in_flight(address: SocketAddr, path: &str) -> TcpStream {
    let client = asking(address, get(path));
    for _ in 0..3 {
        to_end(asking(address, crate::support::LAST));
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
