//! Whose handler is called.

use crate::support::{GET, Log, Polled, address, asking, poll_until, read_to, to_end, wait_until};
use exeunt_manager::{Connection, Event, Handler, Listen, Manager};
use std::sync::Arc;
use std::time::Duration;

fn saying(log: &Log, word: &'static str) -> Handler {
    let log = log.clone();
    Arc::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            log.push(word);
            conn.reply(200, &[], "hello");
        }
    })
}

#[test]
fn a_listeners_handler_is_inherited() {
    let log = Log::default();
    let of_manager = saying(&log, "manager");
    let mut manager = Manager::new(move |conn, event| of_manager(conn, event));
    let of_listener = saying(&log, "listener");
    let how = Listen::new().handler(move |conn, event| of_listener(conn, event));
    let own = manager.listen_with("http://127.0.0.1:0", how).unwrap();
    let plain = manager.listen("http://127.0.0.1:0").unwrap();
    let mut asks = |listener: &Connection, expected: &[&str]| {
        let client = asking(address(listener), crate::support::LAST);
        poll_until(&mut manager, "an answer", || log.all().len() == expected.len());
        assert_eq!(log.all(), expected);
        client
    };
    let mut clients = vec![asks(&own, &["listener"]), asks(&plain, &["listener", "manager"])];
    plain.set_handler(Some(saying(&log, "later")));
    clients.push(asks(&plain, &["listener", "manager", "later"]));
    own.set_handler(None);
    clients.push(asks(&own, &["listener", "manager", "later", "manager"]));
    drop(clients);
}

#[test]
fn a_connections_handler_is_its_own() {
    let log = Log::default();
    let (of_manager, of_connection) = (saying(&log, "manager"), saying(&log, "connection"));
    let polled = Polled::new(move |conn, event| {
        if let (Event::HttpMessage(_), true) = (&event, conn.data::<()>().is_none()) {
            conn.set_data(());
            conn.set_handler(Some(Arc::clone(&of_connection)));
        }
        of_manager(conn, event);
    });
    let address = polled.listen("http://127.0.0.1:0");
    let mut client = asking(address, GET);
    read_to(&mut client, "hello");
    std::io::Write::write_all(&mut client, crate::support::LAST.as_bytes()).unwrap();
    to_end(client);
    assert_eq!(log.all(), ["manager", "connection"]);
    to_end(asking(address, crate::support::LAST));
    assert_eq!(log.all().last().unwrap(), "manager", "others keep the manager's");
}

#[test]
fn without_any_handler_traffic_is_survived() {
    let polled = Polled::of(Manager::without_handler());
    let (web, raw) = (polled.listen("http://127.0.0.1:0"), polled.listen("tcp://127.0.0.1:0"));
    let clients = [asking(web, GET), asking(raw, GET)];
    assert!(to_end(asking(web, "nonsense\r\n\r\n")).starts_with("HTTP/1.1 400 "));
    wait_until("both", || polled.handle.connections().len() == 4);
    for client in clients {
        // A plain end might be one of its side alone, and an answer is owed.
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    }
    wait_until("the ends", || polled.handle.connections().len() == 2);
}
