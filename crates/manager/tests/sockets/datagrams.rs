//! UDP.

use crate::support::{LIMIT, Log, address, name, poll_until};
use exeunt_manager::{Connection, Event, Manager};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

fn echo(conn: &Connection, event: Event<'_>) {
    if let Event::Read(bytes) = event {
        conn.send(bytes).unwrap();
    }
}

fn peer(of: &str) -> UdpSocket {
    let peer = UdpSocket::bind(of).unwrap();
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    peer
}

#[test]
fn each_datagram_is_told_with_its_sender() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::Read(bytes) = event {
            assert!(conn.is_udp());
            assert!(conn.received(usize::MAX) == bytes);
            told.push(format!("{} {}", conn.remote_address().unwrap(), bytes.len()));
            conn.send(bytes).unwrap();
        }
    });
    let socket = manager.listen("udp://127.0.0.1:0").unwrap();
    let peers = [peer("127.0.0.1:0"), peer("127.0.0.1:0")];
    for (peer, length) in peers.iter().zip([0, 60_000]) {
        peer.send_to(&vec![b'x'; length], address(&socket)).unwrap();
        let line = format!("{} {length}", peer.local_addr().unwrap());
        poll_until(&mut manager, "a datagram", || log.has(&line));
        let mut back = vec![0; 65_536];
        assert_eq!(peer.recv_from(&mut back).unwrap(), (length, address(&socket)));
    }
    assert!(socket.received_len() < 1 << 20);
}

#[test]
fn many_in_one_pass_are_all_told() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |_: &Connection, event: Event<'_>| told.push(name(&event)));
    let socket = manager.listen("udp://127.0.0.1:0").unwrap();
    let peer = peer("127.0.0.1:0");
    for _ in 0..150 {
        peer.send_to(b"x", address(&socket)).unwrap();
    }
    poll_until(&mut manager, "all", || log.count("read") == 150);
    assert!(!log.has("poll"), "who did not ask is not told of passes");
}

#[test]
fn sending_needs_somebody_to_send_to() {
    let manager = Manager::new(echo);
    let socket = manager.listen("udp://127.0.0.1:0").unwrap();
    assert!(socket.send("x").unwrap_err().to_string().contains("datagram"));
}

#[test]
fn a_peer_that_is_gone_does_no_harm() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        if let Event::Read(_) = event {
            // The second finds the first one's ICMP error, perhaps.
            _ = conn.send("one");
            _ = conn.send("two");
        }
    });
    let socket = manager.listen("udp://127.0.0.1:0").unwrap();
    for _ in 0..3 {
        let peer = peer("127.0.0.1:0");
        let reads = log.count("read");
        peer.send_to(b"x", address(&socket)).unwrap();
        drop(peer);
        poll_until(&mut manager, "a datagram", || log.count("read") > reads);
    }
    let alive = peer("127.0.0.1:0");
    alive.send_to(b"x", address(&socket)).unwrap();
    let reads = log.count("read");
    poll_until(&mut manager, "a datagram", || log.count("read") > reads);
    alive.recv_from(&mut [0; 10]).unwrap();
    assert!(socket.is_open());
}

#[test]
fn it_is_told_of_a_drain_and_stays() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        echo(conn, event);
    });
    let socket = manager.listen("udp://127.0.0.1:0").unwrap();
    manager.poll(Duration::ZERO).unwrap();
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean());
    assert!(log.has("drain"));
    let peer = peer("127.0.0.1:0");
    peer.send_to(b"still there", address(&socket)).unwrap();
    poll_until(&mut manager, "a datagram", || log.has("read"));
    socket.drain();
    poll_until(&mut manager, "its end", || log.has("close"));
}
