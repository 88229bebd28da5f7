//! Peers that do not read, programs that do not consume, and more clients than there is room for.

use crate::support::{
    GET, LAST, Log, Polled, address, asking, client, hello, name, poll_until, read_to, to_end, wait_until,
};
use exeunt_manager::{Connection, Event, Limits, Manager, SendError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Writes until the kernel takes no more for a while; how much it took.
fn fill(client: &mut std::net::TcpStream, most: usize) -> usize {
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut written = 0;
    while written < most {
        match client.write(&[b'x'; 65_536]) {
            Ok(bytes) => written += bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    written
}

#[test]
fn a_program_that_does_not_consume_holds_its_peer_back() {
    let limits = limits(|limits| limits.receive_bytes = 100_000);
    let polled = Polled::of(Manager::with_limits(limits, |_, _| {}));
    let mut client = client(polled.listen("tcp://127.0.0.1:0"));
    wait_until("the client", || polled.handle.connections().len() == 2);
    let conn = polled.handle.connections().pop().unwrap();
    let written = fill(&mut client, 100_000_000);
    assert!(written < 100_000_000, "nobody held it back");
    wait_until("a full buffer", || conn.is_full());
    assert!((100_000..200_000).contains(&conn.received_len()), "{}", conn.received_len());
    let mut consumed = 0;
    wait_until("all of it", || {
        consumed += conn.consume(usize::MAX);
        consumed >= written
    });
    assert_eq!(consumed, written);
    assert!(!conn.is_full());
}

#[test]
fn a_peer_that_does_not_read_is_not_read_either() {
    let limits = limits(|limits| limits.send_pause = 100_000);
    let echo = |conn: &Connection, event: Event<'_>| {
        if let Event::Read(bytes) = event {
            conn.send(bytes).unwrap();
            conn.consume(bytes.len());
        }
    };
    let polled = Polled::of(Manager::with_limits(limits, echo));
    let mut client = client(polled.listen("tcp://127.0.0.1:0"));
    wait_until("the client", || polled.handle.connections().len() == 2);
    let conn = polled.handle.connections().pop().unwrap();
    let written = fill(&mut client, 100_000_000);
    assert!(written < 100_000_000);
    wait_until("a full buffer", || conn.is_full() && conn.is_writable());
    assert!(conn.unsent_len() < 300_000, "{}", conn.unsent_len());
    let mut back = vec![0; written];
    client.read_exact(&mut back).unwrap();
    wait_until("an empty buffer", || conn.unsent_len() == 0);
    assert!(!conn.is_full());
}

#[test]
fn pipelined_requests_of_a_peer_that_reads_no_answers_are_not_read() {
    let limits = limits(|limits| limits.send_pause = 100_000);
    let big = |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            conn.reply(200, &[], vec![b'x'; 50_000]);
        }
    };
    let polled = Polled::of(Manager::with_limits(limits, big));
    let mut client = client(polled.listen("http://127.0.0.1:0"));
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let requests = GET.repeat(1000);
    while client.write_all(requests.as_bytes()).is_ok() {}
    let conn = polled.handle.connections().pop().unwrap();
    assert!(conn.unsent_len() < 300_000 && conn.received_len() < 300_000);
    polled.handle.wake();
}

#[test]
fn more_than_may_wait_is_an_error_and_nothing_of_it_is_sent() {
    let limits = limits(|limits| limits.send_bytes = 1000);
    let mut manager = Manager::with_limits(limits, |_, _| {});
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let mut client = client(address(&listener));
    let handle = manager.handle();
    poll_until(&mut manager, "the client", || handle.connections().len() == 2);
    let conn = manager.connections().pop().unwrap();
    conn.send([b'x'; 900]).unwrap();
    let refused = conn.send([b'y'; 101]).unwrap_err();
    assert!(matches!(refused, SendError::Full { waiting: 900, more: 101, limit: 1000 }), "{refused}");
    conn.send([b'z'; 100]).unwrap();
    conn.drain();
    poll_until(&mut manager, "the end", || !conn.is_open());
    let mut text = Vec::new();
    client.read_to_end(&mut text).unwrap();
    assert_eq!((text.len(), text[899], text[900]), (1000, b'x', b'z'));
}

#[test]
fn a_peer_that_takes_nothing_is_reset_in_time() {
    let limits = limits(|limits| limits.write_stall = Duration::from_millis(200));
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::of(Manager::with_limits(limits, move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        if let Event::HttpMessage(_) = event {
            conn.reply(200, &[], vec![b'x'; 50_000_000]);
        }
    }));
    let mut client = asking(polled.listen("http://127.0.0.1:0"), GET);
    wait_until("its end", || log.has("close"));
    let error = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "what was torn must not look whole");
}

#[test]
fn beyond_the_limit_of_connections_clients_wait_in_the_queue() {
    let limits = limits(|limits| limits.connections = 3);
    let mut manager = Manager::with_limits(limits, hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut clients: Vec<_> = (0..10).map(|_| asking(address(&listener), GET)).collect();
    let handle = manager.handle();
    poll_until(&mut manager, "three", || handle.connections().len() == 4);
    for _ in 0..5 {
        manager.poll(Duration::from_millis(5)).unwrap();
    }
    assert_eq!(manager.connections().len(), 4);
    // Each that leaves lets one in; all are served in the end.
    let polled = Polled::of(manager);
    for mut client in clients.drain(..) {
        read_to(&mut client, "hello");
    }
    wait_until("their ends", || polled.handle.connections().len() == 1);
}

#[test]
fn limits_of_each_request_are_those_given() {
    let limits = limits(|limits| {
        limits.head_bytes = 200;
        limits.body_bytes = 10;
        limits.body_stall = Duration::from_millis(100);
        limits.answer = Some(Duration::from_millis(100));
    });
    let polled = Polled::of(Manager::with_limits(limits, |_, _| {}));
    let address = polled.listen("http://127.0.0.1:0");
    let head = |field: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    let table = [
        ("431", head(&format!("X: {}", "y".repeat(200)))),
        ("413", head("Content-Length: 11")),
        ("408", head("Content-Length: 10")),
        ("408", LAST.to_owned()),
    ];
    for (status, request) in table {
        let answer = to_end(asking(address, &request));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
}

#[test]
fn what_waits_before_the_first_pass_is_had_to_its_end_though_one_turn_is_not_enough() {
    let mut manager = Manager::new(|conn: &Connection, event: Event<'_>| {
        if let Event::Read(bytes) = event {
            conn.consume(bytes.len());
            let before = conn.data::<usize>().map_or(0, |before| *before);
            conn.set_data(before + bytes.len());
        }
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    // More than the accepts of one turn, and in one of them more than its reads.
    let mut clients: Vec<_> = (0..150).map(|_| client(address(&listener))).collect();
    let written = fill(&mut clients[0], 20_000_000);
    let handle = manager.handle();
    poll_until(&mut manager, "all clients", || handle.connections().len() == 151);
    let first = handle.connection(listener.id() + 1).unwrap();
    poll_until(&mut manager, "all bytes", || first.data::<usize>().is_some_and(|read| *read == written));
    assert!(written > 16 * 65_536, "{written} bytes are no more than one turn's");
}
