//! What peers can make a server hold (rule D9): measured in a process of its own, by the limits' defaults.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]
#![allow(clippy::exit, clippy::print_stdout, reason = "a process of its own, that says where it serves")]

mod child;

use child::{PIECE, Served, all_descriptors};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const KIB: usize = 1024;

/// What a connection may hold in each direction: `buffer_bytes`.
const BUFFER: usize = 64 * KIB;

/// A connection's task, with all that belongs to it.
const TASK: usize = 16 * KIB;

fn connect(served: &Served) -> TcpStream {
    let stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn get(stream: &mut TcpStream, path: &str) {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: t\r\n\r\n").unwrap();
}

/// Reads until `text` has come.
fn until(stream: &mut TcpStream, text: &str) {
    let (mut read, mut piece) = (String::new(), [0; KIB]);
    while !read.contains(text) {
        let count = stream.read(&mut piece).expect("it hangs");
        assert_ne!(count, 0, "it ended before {text:?}: {read:?}");
        read.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
}

/// Somebody is served; and so has been, of all that others had sent before, as much as ever will be.
fn others_are_served(served: &Served) {
    for _ in 0..3 {
        let mut peer = connect(served);
        get(&mut peer, "/");
        until(&mut peer, "hello");
    }
}

fn each_holds_less_than(served: &Served, before: usize, peers: usize, bound: usize) {
    let each = served.peak().saturating_sub(before) / peers;
    assert!(each < bound, "{peers} peers hold {each} bytes each, more than {bound}");
}

#[test]
fn ten_thousand_connections_that_say_nothing_cost_little_and_others_are_served() {
    let peers = (all_descriptors() - 1000).min(10_000) as usize;
    let served = Served::begin(None);
    others_are_served(&served);
    let before = served.peak();
    let silent: Vec<_> = (0..peers).map(|_| connect(&served)).collect();
    others_are_served(&served);
    each_holds_less_than(&served, before, peers, TASK);
    drop(silent);
    others_are_served(&served);
}

#[test]
fn peers_that_read_nothing_hold_the_buffer_and_a_piece() {
    const PEERS: usize = 200;
    let served = Served::begin(None);
    others_are_served(&served);
    let before = served.peak();
    let mut peers: Vec<_> = (0..PEERS).map(|_| connect(&served)).collect();
    peers.iter_mut().for_each(|peer| get(peer, "/endless"));
    for peer in &peers {
        // Of an answer without an end something comes; the kernels' buffers are full when others are served at once again.
        peer.peek(&mut [0]).unwrap();
    }
    others_are_served(&served);
    each_holds_less_than(&served, before, PEERS, BUFFER + 2 * PIECE + TASK);
}

#[test]
fn bodies_that_nobody_reads_hold_both_buffers() {
    const PEERS: usize = 200;
    let served = Served::begin(None);
    others_are_served(&served);
    let before = served.peak();
    let mut peers: Vec<_> = (0..PEERS).map(|_| connect(&served)).collect();
    for peer in &mut peers {
        write!(peer, "POST /hold HTTP/1.1\r\nhost: t\r\ncontent-length: 10000000\r\n\r\n").unwrap();
        peer.set_nonblocking(true).unwrap();
    }
    for _ in 0..3 {
        for peer in &mut peers {
            while peer.write(&[7; BUFFER]).is_ok() {}
        }
        others_are_served(&served);
    }
    each_holds_less_than(&served, before, PEERS, 2 * BUFFER + TASK);
}

#[test]
fn a_body_of_a_gibibyte_that_does_not_say_its_length_is_413_in_bounded_memory() {
    const LIMIT: usize = 32 * KIB * KIB;
    let served = Served::begin(None);
    others_are_served(&served);
    let before = served.peak();
    let mut peer = connect(&served);
    write!(peer, "POST /collect HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[7; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    // Until the answer is there: whoever sends on behind it has himself to blame for a reset.
    peer.set_nonblocking(true).unwrap();
    while peer.peek(&mut [0]).is_err() && sent < KIB * KIB * KIB {
        let mut rest = &chunk[..];
        while !rest.is_empty() && peer.peek(&mut [0]).is_err() {
            match peer.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => panic!("{error} after {sent} bytes"),
            }
        }
        sent += chunk.len();
    }
    peer.set_nonblocking(false).unwrap();
    until(&mut peer, "HTTP/1.1 413");
    _ = peer.shutdown(Shutdown::Write);
    assert!(sent < 2 * LIMIT, "{sent} bytes were taken");
    // `collect` holds the body twice when it makes one piece of it, which it did not get to.
    each_holds_less_than(&served, before, 1, LIMIT + LIMIT / 2);
    others_are_served(&served);
}

#[test]
fn where_descriptors_are_short_clients_wait_and_are_served_when_there_are_some() {
    let served = Served::begin(Some(20));
    let mut peers: Vec<_> = (0..100).map(|_| connect(&served)).collect();
    peers.iter_mut().for_each(|peer| get(peer, "/"));
    until(peers.first_mut().unwrap(), "hello");
    let last = peers.last().unwrap();
    last.set_nonblocking(true).unwrap();
    let waits = last.peek(&mut [0]).expect_err("there is no descriptor for it");
    assert_eq!(waits.kind(), ErrorKind::WouldBlock);
    last.set_nonblocking(false).unwrap();
    let first = peers.remove(0);
    drop(first);
    for mut peer in peers {
        // Whoever is in has been answered, and makes room for others when he leaves.
        until(&mut peer, "hello");
    }
    others_are_served(&served);
}
