//! What is told, and in which order.

use crate::support::{GET, LAST, Log, address, asking, client, echo, hello, name, poll_until, to_end};
use exeunt_manager::{Connection, Event, Listen, Manager};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;

fn logging(
    log: &Log,
    act: fn(&Connection, Event<'_>),
) -> impl Fn(&Connection, Event<'_>) + Send + Sync + 'static {
    let log = log.clone();
    move |conn, event| {
        let whose = if conn.is_listening() { "listener " } else { "" };
        if !(conn.is_listening() && matches!(event, Event::Poll)) {
            log.push(format!("{whose}{}", name(&event)));
        }
        act(conn, event);
    }
}

#[test]
fn a_listener_opens_inside_listen() {
    let log = Log::default();
    let manager = Manager::new(logging(&log, |_, _| {}));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    assert_eq!(log.all(), ["listener open"]);
    assert!(listener.is_listening() && !listener.is_full());
    assert_ne!(address(&listener).port(), 0);
    drop(manager);
    assert_eq!(log.all(), ["listener open", "listener close"]);
}

#[test]
fn a_request_is_told_in_order() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log, hello));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let client = asking(address(&listener), LAST);
    poll_until(&mut manager, "the close", || log.has("close"));
    assert_eq!(log.all()[1..], ["open", "accept", "headers", "message", "read", "write", "close"]);
    assert!(to_end(client).ends_with("hello"));
}

#[test]
fn kept_connections_tell_each_request() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log, hello));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut client = client(address(&listener));
    for round in 1..4 {
        client.write_all(GET.as_bytes()).unwrap();
        poll_until(&mut manager, "an answer", || log.count("write") == round);
    }
    drop(client);
    poll_until(&mut manager, "the close", || log.has("close"));
    let exchange = ["headers", "message", "read", "write"];
    let expected = [&["open", "accept"][..], &exchange, &exchange, &exchange, &["close"]].concat();
    let told: Vec<_> = log.all()[1..].iter().filter(|line| *line != "read").cloned().collect();
    let expected: Vec<_> = expected.into_iter().filter(|line| *line != "read").collect();
    assert_eq!(told, expected);
    assert_eq!(log.count("read"), 3);
}

#[test]
fn a_raw_connection_is_told_in_order() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log, echo));
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let client = asking(address(&listener), "bytes");
    client.shutdown(Shutdown::Write).unwrap();
    poll_until(&mut manager, "the close", || log.has("close"));
    assert_eq!(log.all()[1..], ["open", "accept", "read", "write", "close"]);
    assert_eq!(to_end(client), "bytes");
}

#[test]
fn passes_are_told_to_listeners_and_to_who_asks() {
    let log = Log::default();
    let polls = log.clone();
    let mut manager = Manager::new(move |conn, event| {
        if let Event::Poll = event {
            polls.push(if conn.is_listening() { "listener" } else { "connection" });
        }
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let _client = client(address(&listener));
    poll_until(&mut manager, "the client", || listener.manager().unwrap().connections().len() == 2);
    let before = log.count("listener");
    manager.poll(std::time::Duration::ZERO).unwrap();
    assert_eq!(log.count("listener"), before + 1, "once in each pass");
    assert_eq!(log.count("connection"), 0);

    let accepted = manager.connections().pop().unwrap();
    accepted.poll_events(true);
    accepted.poll_events(true);
    for passes in 1..4 {
        manager.poll(std::time::Duration::ZERO).unwrap();
        assert_eq!(log.count("connection"), passes);
    }
    accepted.poll_events(false);
    manager.poll(std::time::Duration::ZERO).unwrap();
    manager.poll(std::time::Duration::ZERO).unwrap();
    assert_eq!(log.count("connection"), 3);
}

#[test]
fn who_takes_the_place_of_another_is_told_of_each_pass_once() {
    let log = Log::default();
    let polls = log.clone();
    let mut manager = Manager::new(move |conn, event| match event {
        Event::Accept => conn.poll_events(true),
        Event::Poll if !conn.is_listening() => polls.push(format!("poll of {}", conn.id())),
        Event::Close => polls.push("close"),
        _ => {}
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    for round in 0..20 {
        // The one that leaves and the one that comes meet in one pass.
        let old = manager.connections().into_iter().find(|conn| !conn.is_listening());
        let next = client(address(&listener));
        if let Some(old) = &old {
            old.close();
        }
        poll_until(&mut manager, "the change", || {
            let open = listener.manager().unwrap().connections();
            open.len() == 2
                && log.count("close") == round
                && open.iter().all(|conn| Some(conn) != old.as_ref())
        });
        let id = manager.connections().pop().unwrap().id();
        let before = log.count(&format!("poll of {id}"));
        manager.poll(std::time::Duration::ZERO).unwrap();
        assert_eq!(log.count(&format!("poll of {id}")), before + 1, "in round {round}");
        std::mem::forget(next);
    }
}

#[test]
fn after_close_nothing_is_told_while_the_peer_is_awaited() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log, |conn, event| match event {
        Event::Accept => conn.poll_events(true),
        Event::HttpMessage(_) => conn.reply(200, &[], "hello"),
        _ => {}
    }));
    // A handler of its own is gone with the connection, so that the manager's would be told.
    let own = Listen::new().handler(logging(&log, |conn, event| match event {
        Event::Accept => conn.poll_events(true),
        Event::HttpMessage(_) => conn.reply(200, &[], "hello"),
        _ => {}
    }));
    let listener = manager.listen_with("http://127.0.0.1:0", own).unwrap();
    let mut client = asking(address(&listener), LAST);
    poll_until(&mut manager, "the close", || log.has("close"));
    client.write_all(b"more, while it lingers").unwrap();
    for _ in 0..5 {
        manager.poll(std::time::Duration::from_millis(5)).unwrap();
    }
    assert_eq!(log.all().last().unwrap(), "close");
    client.read_exact(&mut [0; 8]).unwrap();
}

#[test]
fn an_error_said_by_the_program_is_told_at_once() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log, |_, _| {}));
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    listener.error("of a listener");
    assert_eq!(log.all().last().unwrap(), "listener error of a listener");
    let _client = client(address(&listener));
    poll_until(&mut manager, "the client", || log.has("accept"));
    manager.connections().pop().unwrap().error("of a connection");
    assert_eq!(log.all().last().unwrap(), "error of a connection");
}

#[test]
fn a_request_that_is_none_is_told_as_an_error() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log, hello));
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let client = asking(address(&listener), "nonsense\r\n\r\n");
    poll_until(&mut manager, "the close", || log.has("close"));
    assert!(log.all()[3].starts_with("error "), "{:?}", log.all());
    assert!(!log.has("message"));
    assert!(to_end(client).starts_with("HTTP/1.1 400 "));
}
