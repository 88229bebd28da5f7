//! The stop of a loop (rules D1 to D8).

use crate::support::{GET, LIMIT, Log, address, asking, client, hello, name, poll_until, read_to, to_end};
use exeunt_manager::{Connection, Event, Limits, Manager, Schedule};
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn everybody_is_told_of_the_drain_but_listeners() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::Drain = event {
            told.push(conn.id().to_string());
        }
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let mut clients: Vec<_> = (0..3).map(|_| client(address(&listener))).collect();
    let handle = manager.handle();
    poll_until(&mut manager, "the clients", || handle.connections().len() == 4);
    // Two more, who are accepted in the drain.
    clients.extend((0..2).map(|_| client(address(&listener))));
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean() && report.listeners.len() == 1);
    let mut ids = log.all();
    ids.sort();
    assert_eq!(ids, ["2", "3", "4", "5", "6"], "each once");
    for client in clients {
        assert_eq!(to_end(client), "");
    }
}

#[test]
fn silent_and_never_used_connections_do_not_hold_it_up() {
    let mut manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let never_used = client(address(&listener));
    let mut used = asking(address(&listener), GET);
    let handle = manager.handle();
    poll_until(&mut manager, "both", || handle.connections().len() == 3);
    poll_until(&mut manager, "the answer", || handle.connections().iter().all(|conn| conn.unsent_len() == 0));
    read_to_while(&mut manager, &mut used);
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean() && report.duration < LIMIT / 2, "{report}");
    assert_eq!(to_end(never_used), "");
    assert_eq!(to_end(used), "");
}

/// Polls until the answer is there.
fn read_to_while(manager: &mut Manager, client: &mut std::net::TcpStream) {
    client.set_nonblocking(true).unwrap();
    let mut text = Vec::new();
    poll_until(manager, "hello", || {
        let mut piece = [0; 4096];
        if let Ok(length) = client.read(&mut piece) {
            text.extend_from_slice(&piece[..length]);
        }
        text.ends_with(b"hello")
    });
    client.set_nonblocking(false).unwrap();
}

#[test]
fn what_is_not_answered_in_time_is_cut_and_reported() {
    let mut manager = Manager::new(|conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(request) if request.uri() == "/stream" => {
            _ = conn.sse("", "one");
        }
        // More than its peer takes, who does not read: it has no time to be silent.
        Event::Read(b"more") => conn.send(vec![b'x'; 20_000_000]).unwrap(),
        _ => {}
    });
    let web = manager.listen("http://127.0.0.1:0").unwrap();
    let raw = manager.listen("tcp://127.0.0.1:0").unwrap();
    let owed = asking(address(&web), "GET /owed HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut stream = asking(address(&web), "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    let bytes = asking(address(&raw), "more");
    let handle = manager.handle();
    poll_until(&mut manager, "all", || handle.connections().len() == 5);
    poll_until(&mut manager, "more", || handle.connections().iter().any(Connection::is_writable));
    let report = manager.drain(Instant::now() + Duration::from_millis(600)).unwrap();
    assert!(!report.is_clean());
    let mut cut: Vec<_> = report.cut.iter().map(|cut| format!("{} {}", cut.kind, cut.name)).collect();
    cut.sort();
    assert_eq!(cut, ["connection a stream", "request GET /owed", "request GET /stream"], "{report}");
    assert_eq!(report.cut_count, 3);
    assert!(
        report.cut.iter().all(|cut| cut.peer.as_ref().is_some_and(|peer| peer.starts_with("127.0.0.1:")))
    );
    let text = to_end(owed);
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("Connection: close\r\n"), "{text}");
    let torn = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(torn.kind(), ErrorKind::ConnectionReset);
    drop(bytes);
}

#[test]
fn the_queue_is_served_before_the_end() {
    let mut manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    // Nobody has polled: all of them are in the kernel's queue.
    let clients: Vec<_> = (0..50).map(|_| asking(address(&listener), GET)).collect();
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    for client in clients {
        let text = to_end(client);
        assert!(text.contains("Connection: close\r\n") && text.ends_with("hello"), "{text}");
    }
}

#[test]
fn a_listener_that_comes_in_the_drain_does_not_hold_it_up() {
    for cuts in [false, true] {
        let mut manager = Manager::new(|conn: &Connection, event: Event<'_>| {
            if let (Event::Drain | Event::Close, Some(manager)) = (&event, conn.manager())
                && !conn.is_listening()
            {
                _ = manager.listen("http://127.0.0.1:0");
            }
        });
        let listener = manager.listen("http://127.0.0.1:0").unwrap();
        let client = asking(address(&listener), GET);
        let handle = manager.handle();
        poll_until(&mut manager, "the client", || handle.connections().len() == 2);
        if !cuts {
            manager.connections().pop().unwrap().reply(200, &[], "");
        }
        let limit = if cuts { Duration::from_millis(300) } else { LIMIT };
        let began = Instant::now();
        let timer = manager.timer(Schedule::every(Duration::from_millis(50)), move |_| {
            assert!(began.elapsed() < LIMIT);
        });
        let report = manager.drain(began + limit).unwrap();
        assert_eq!(report.is_clean(), !cuts, "{report}");
        assert!(began.elapsed() < LIMIT / 2);
        timer.unwrap().cancel();
        drop(client);
    }
}

#[test]
fn whoever_is_accepted_late_in_the_drain_is_told_and_does_not_hold_it_up() {
    let (log, late) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
    let (told, clients) = (log.clone(), Arc::clone(&late));
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if conn.is_listening() {
            return;
        }
        told.push(format!("{} {}", conn.id(), name(&event)));
        let mut clients = clients.lock().unwrap();
        if let (Event::Drain, true, Some(manager)) = (event, clients.is_empty(), conn.manager()) {
            // The loop sees this listener behind the beginning of the drain; its client is in the queue by then.
            let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
            clients.push(client(address(&listener)));
        }
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let _first = client(address(&listener));
    let handle = manager.handle();
    poll_until(&mut manager, "the first", || handle.connections().len() == 2);
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean() && report.duration < LIMIT / 2, "{report}");
    let told = log.all();
    let last: Vec<_> = told.iter().filter(|line| line.starts_with("4 ")).collect();
    assert_eq!(last, ["4 open", "4 accept", "4 drain", "4 close"]);
    drop(late);
}

#[test]
fn a_drain_may_be_repeated_and_closes_what_is_left() {
    let mut manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    assert!(manager.drain(Instant::now() + LIMIT).unwrap().is_clean());
    assert!(!listener.is_open());
    assert!(manager.drain(Instant::now() + LIMIT).unwrap().listeners.is_empty());
    manager.poll(Duration::ZERO).unwrap();
}

#[test]
fn a_kept_connection_is_told_by_its_next_answer() {
    // However long its client is kept from running, it is not silent.
    let mut limits = Limits::default();
    limits.drain.idle_grace = LIMIT;
    let mut manager = Manager::with_limits(limits, hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let address = address(&listener);
    let thread = std::thread::spawn(move || {
        let mut client = asking(address, GET);
        let mut answers = 0;
        loop {
            let answer = read_to(&mut client, "hello");
            answers += 1;
            if answer.contains("Connection: close\r\n") {
                return (answers, to_end(client));
            }
            client.write_all(GET.as_bytes()).unwrap();
        }
    });
    let handle = manager.handle();
    poll_until(&mut manager, "the client", || handle.connections().len() == 2);
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    let (answers, behind) = thread.join().unwrap();
    assert!(answers > 0 && behind.is_empty());
}
