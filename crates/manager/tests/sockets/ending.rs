//! `close` and `drain`, in any event, on anybody.

use crate::support::{GET, Log, address, asking, client, hello, name, poll_until, to_end};
use exeunt_manager::{Connection, Event, Manager};
use std::io::Read as _;
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Drain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Itself,
    Another,
    Listener,
}

fn end(conn: &Connection, how: End) {
    match how {
        End::Close => conn.close(),
        End::Drain => conn.drain(),
    }
}

/// One connection that has been there for a while, and one whose handler ends somebody at the event of that name.
fn ends_at(url: &str, event_name: &'static str, how: End, whom: Whom) {
    let case = format!("{how:?} of {whom:?} at {event_name} of {url}");
    let log = Log::default();
    let others: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let (told, known) = (log.clone(), Arc::clone(&others));
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if conn.is_listening() || conn.local_address().is_none() {
            return;
        }
        let known = known.lock().unwrap().clone();
        let first = known.get(1).is_none_or(|first| first == conn);
        let name = name(&event);
        told.push(format!("{} {name}", conn.id()));
        if !first && name.starts_with(event_name) {
            match whom {
                Whom::Itself => end(conn, how),
                Whom::Another => end(&known[1], how),
                Whom::Listener => end(&known[0], how),
            }
        }
        match event {
            Event::HttpMessage(_) => _ = conn.try_reply(200, &[], "hello"),
            Event::Read(bytes) if url_is_raw(conn) => _ = conn.send(bytes),
            _ => {}
        }
    });
    let listener = manager.listen(url).unwrap();
    let address = address(&listener);
    let _first_client = client(address);
    let handle = manager.handle();
    poll_until(&mut manager, "the first", || handle.connections().len() == 2);
    let first = manager.connections().pop().unwrap();
    others.lock().unwrap().extend([listener.clone(), first.clone()]);

    let mut second_client = asking(address, GET);
    let ended = match whom {
        Whom::Itself => None,
        Whom::Another => Some(first.clone()),
        Whom::Listener => Some(listener.clone()),
    };
    if event_name == "close" {
        poll_until(&mut manager, &case, || handle.connections().len() == 3);
        second_client.shutdown(std::net::Shutdown::Both).unwrap();
    } else if event_name == "wakeup" || event_name == "error" {
        poll_until(&mut manager, &case, || handle.connections().len() == 3);
        let second = manager.connections().pop().unwrap();
        if event_name == "wakeup" { second.wakeup("x").unwrap() } else { second.error("x") }
    }
    poll_until(&mut manager, &case, || match &ended {
        Some(ended) => !ended.is_open(),
        None => log.all().iter().any(|line| line.starts_with("3 close") || line.ends_with("3 close")),
    });
    if whom == Whom::Itself {
        // The peer sees the end.
        let mut text = Vec::new();
        _ = second_client.read_to_end(&mut text);
        let answered = text.ends_with(b"hello") || text.starts_with(b"GET");
        if how == End::Drain && matches!(event_name, "message" | "read" | "write") {
            assert!(answered, "{case}: what was written is delivered: {:?}", String::from_utf8_lossy(&text));
        }
        let told = log.all();
        let at = told.iter().position(|line| line.starts_with(&format!("3 {event_name}")));
        let behind: Vec<_> =
            told[at.map_or(0, |at| at + 1)..].iter().filter(|line| line.starts_with("3 ")).collect();
        assert!(
            !behind.iter().any(|line| line.ends_with(" read") || line.ends_with(" message")),
            "{case}: nothing is read after it: {told:?}"
        );
    }
    let told = log.all();
    for id in ["2", "3"] {
        let closes = told.iter().filter(|line| **line == format!("{id} close")).count();
        assert!(closes <= 1, "{case}: told twice: {told:?}");
    }
}

fn url_is_raw(conn: &Connection) -> bool {
    // Only a raw connection lets its bytes be consumed.
    conn.received_len() > 0
}

#[test]
fn in_any_event_of_a_request() {
    for event in ["open", "accept", "headers", "message", "read", "write", "close", "wakeup", "error"] {
        for how in [End::Close, End::Drain] {
            for whom in [Whom::Itself, Whom::Another, Whom::Listener] {
                ends_at("http://127.0.0.1:0", event, how, whom);
            }
        }
    }
}

#[test]
fn in_any_event_of_a_raw_connection() {
    for event in ["open", "accept", "read", "write", "close", "wakeup"] {
        for how in [End::Close, End::Drain] {
            for whom in [Whom::Itself, Whom::Another, Whom::Listener] {
                ends_at("tcp://127.0.0.1:0", event, how, whom);
            }
        }
    }
}

#[test]
fn a_listener_that_ends_leaves_its_connections_alone() {
    for how in [End::Close, End::Drain] {
        let mut manager = Manager::new(hello);
        let listener = manager.listen("http://127.0.0.1:0").unwrap();
        let address = address(&listener);
        let client = asking(address, &GET[..10]);
        let handle = manager.handle();
        poll_until(&mut manager, "the client", || handle.connections().len() == 2);
        end(&listener, how);
        assert_eq!(listener.is_draining(), how == End::Drain);
        poll_until(&mut manager, "the listener's end", || !listener.is_open());
        assert_eq!(manager.connections().len(), 1);
        std::io::Write::write_all(&mut &client, &GET.as_bytes()[10..]).unwrap();
        manager.connections()[0].set_data(());
        let conn = manager.connections().pop().unwrap();
        poll_until(&mut manager, "the answer", || conn.received_len() == 0 && conn.unsent_len() == 0);
        assert!(std::net::TcpStream::connect(address).is_err(), "the port is free");
        drop(client);
    }
}

#[test]
fn a_listener_that_drains_serves_its_queue() {
    let mut manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let clients: Vec<_> = (0..20).map(|_| asking(address(&listener), crate::support::LAST)).collect();
    listener.drain();
    let handle = manager.handle();
    poll_until(&mut manager, "everything", || handle.connections().is_empty());
    for client in clients {
        assert!(to_end(client).ends_with("hello"));
    }
}

#[test]
fn a_manager_closes_the_newest_first() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn, event| {
        if let Event::Close = event {
            assert!(conn.id() > 0);
            told.push(conn.id().to_string());
        }
    });
    let first = manager.listen("http://127.0.0.1:0").unwrap();
    let clients: Vec<_> = (0..3).map(|_| client(address(&first))).collect();
    let handle = manager.handle();
    poll_until(&mut manager, "the clients", || handle.connections().len() == 4);
    // These have not been seen by the loop.
    let second = manager.listen("tcp://127.0.0.1:0").unwrap();
    let third = manager.listen("udp://127.0.0.1:0").unwrap();
    let (address, ids) = (address(&second), manager.connections().len());
    manager.close();
    assert_eq!(log.all(), ["6", "5", "4", "3", "2", "1"]);
    assert_eq!((ids, handle.connections().len()), (6, 0));
    assert!(![first, second, third].iter().any(Connection::is_open));
    assert!(std::net::TcpStream::connect(address).is_err());
    drop(clients);
}

#[test]
fn a_manager_that_is_dropped_frees_its_ports() {
    let manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let address = address(&listener);
    drop(manager);
    std::net::TcpListener::bind(address).unwrap();
    assert!(!listener.is_open());
}
