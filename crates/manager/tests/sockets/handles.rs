//! Handles: what they keep, and what they say when all is over.

use crate::support::{Log, Polled, address, asking, client, hello, poll_until, to_end, wait_until};
use exeunt_manager::{
    AnswerError, Connection, ConnectionClosed, Event, ListenError, Manager, Schedule, SendError,
};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What each handle of a closed connection says.
fn assert_is_closed(conn: &Connection) {
    assert!(!conn.is_open() && !conn.is_listening() && !conn.is_udp());
    assert!(!conn.is_readable() && !conn.is_writable() && !conn.is_full() && !conn.is_draining());
    assert!(conn.is_closing());
    assert_eq!((conn.local_address(), conn.remote_address()), (None, None));
    assert_eq!((conn.received_len(), conn.unsent_len()), (0, 0));
    assert_eq!((conn.received(9), conn.unsent(9)), (Vec::new(), Vec::new()));
    assert_eq!(conn.consume(9), 0);
    assert!(matches!(conn.send("x"), Err(SendError::Closed(ConnectionClosed))));
    assert!(matches!(conn.try_reply(200, &[], ""), Err(AnswerError::Send(SendError::Closed(_)))));
    assert!(matches!(conn.chunk("x"), Err(AnswerError::Send(SendError::Closed(_)))));
    assert!(matches!(conn.sse("", "x"), Err(AnswerError::Send(SendError::Closed(_)))));
    assert_eq!(conn.wakeup("x"), Err(ConnectionClosed));
    for error in
        [conn.send("x").unwrap_err().to_string(), conn.try_reply(200, &[], "").unwrap_err().to_string()]
    {
        assert!(error.contains("closed"), "{error}");
    }
    conn.close();
    conn.drain();
    conn.error("x");
    conn.set_handler(None);
    conn.poll_events(true);
    conn.reply(200, &[], "");
}

#[test]
fn a_handle_outlives_its_connection_and_says_so() {
    let mut manager = Manager::new(hello);
    for url in ["http://127.0.0.1:0", "tcp://127.0.0.1:0"] {
        let listener = manager.listen(url).unwrap();
        let client = client(address(&listener));
        let handle = manager.handle();
        poll_until(&mut manager, "the client", || handle.connections().len() == 2);
        let conn = manager.connections().pop().unwrap();
        assert_eq!(conn.remote_address().unwrap().as_socket_addr(), client.local_addr().ok());
        assert_eq!(conn.local_address().unwrap().as_socket_addr(), client.peer_addr().ok());
        conn.set_data("kept".to_owned());
        conn.close();
        assert!(conn.is_closing() && conn.is_open());
        manager.poll(Duration::ZERO).unwrap();
        assert_is_closed(&conn);
        assert_eq!(*conn.data::<String>().unwrap(), "kept");
        listener.close();
        manager.poll(Duration::ZERO).unwrap();
        assert_is_closed(&listener);
    }
    let datagrams = manager.listen("udp://127.0.0.1:0").unwrap();
    assert!(datagrams.is_udp() && !datagrams.is_listening());
    datagrams.close();
    manager.poll(Duration::ZERO).unwrap();
    assert_is_closed(&datagrams);
    let last = manager.listen("http://127.0.0.1:0").unwrap();
    drop(manager);
    assert_is_closed(&last);
    assert!(last.manager().is_none_or(|manager| manager.is_closed()));
}

#[test]
fn a_listener_that_comes_as_the_manager_goes_is_told_its_end() {
    let log = Log::default();
    let (opened, opens) = std::sync::mpsc::channel();
    let (told, opened) = (log.clone(), Mutex::new(opened));
    let manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        told.push(crate::support::name(&event));
        if let Event::Open = event {
            opened.lock().unwrap().send(()).unwrap();
            wait_until("the manager's end", || conn.manager().is_none_or(|manager| manager.is_closed()));
        }
    });
    let handle = manager.handle();
    let thread = std::thread::spawn(move || handle.listen("http://127.0.0.1:0").map(|_| ()));
    opens.recv().unwrap();
    drop(manager);
    assert!(matches!(thread.join().unwrap(), Err(ListenError::Closed(_))));
    assert_eq!(log.all(), ["open", "close"]);
}

#[test]
fn addresses_and_id_are_there_until_the_close_is_told() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::Close = event {
            let there = conn.local_address().is_some() && conn.remote_address().is_some() && conn.id() == 2;
            told.push(format!("{there} {}", conn.send("x").is_err()));
        }
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    drop(client(address(&listener)));
    poll_until(&mut manager, "the close", || !log.all().is_empty());
    assert_eq!(log.all(), ["true true"]);
}

#[test]
fn a_closed_manager_does_nothing() {
    let manager = Manager::new(hello);
    let handle = manager.handle();
    let timer = handle.timer(Schedule::every(Duration::from_millis(1)), |_| {}).unwrap();
    assert!(timer.is_active() && !handle.is_closed());
    manager.close();
    assert!(handle.is_closed() && !timer.is_active());
    assert!(matches!(handle.listen("http://127.0.0.1:0"), Err(ListenError::Closed(_))));
    assert!(handle.timer(Schedule::once(Duration::ZERO), |_| {}).is_err());
    assert!(!handle.wakeup(1, "x"));
    assert!(handle.connections().is_empty() && handle.connection(1).is_none());
    handle.wake();
    timer.cancel();
}

#[test]
fn a_listener_that_cannot_be_says_why() {
    let manager = Manager::new(hello);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("http://{}", taken.local_addr().unwrap());
    let keep = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let urls = [
        taken.as_str(),
        "nonsense",
        "http://127.0.0.1:99999",
        "udp://203.0.113.9:0",
        "unix:/nonexistent/directory/socket",
    ];
    for url in urls {
        let _held = std::net::TcpListener::bind(taken.trim_start_matches("http://"));
        let error = manager.listen(url).unwrap_err().to_string();
        assert!(error.starts_with("Failed to listen"), "{url}: {error}");
    }
    assert!(manager.connections().is_empty());
    drop(keep);
}

#[test]
fn connections_are_a_snapshot_oldest_first() {
    let mut manager = Manager::new(hello);
    assert_eq!(manager.connections(), []);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    assert_eq!(manager.connections(), std::slice::from_ref(&listener));
    let clients: Vec<_> = (0..5).map(|_| client(address(&listener))).collect();
    let handle = manager.handle();
    poll_until(&mut manager, "the clients", || handle.connections().len() == 6);
    let open = manager.connections();
    assert_eq!(open[0], listener);
    assert!(open.is_sorted_by_key(Connection::id));
    assert_eq!(open.iter().cloned().collect::<HashSet<_>>().len(), 6);
    for conn in &open {
        assert_eq!(handle.connection(conn.id()).as_ref(), Some(conn));
    }
    drop(clients);
    poll_until(&mut manager, "their ends", || handle.connections().len() == 1);
    assert_eq!(open.len(), 6);
}

#[test]
fn who_may_go_where() {
    fn anywhere<T: Send + Sync + 'static>() {}
    fn to_another_thread<T: Send + 'static>() {}
    anywhere::<Connection>();
    anywhere::<exeunt_manager::Handle>();
    anywhere::<exeunt_manager::Timer>();
    anywhere::<exeunt_manager::Request>();
    to_another_thread::<Manager>();
}

#[test]
fn data_is_told_by_its_type_and_replaced() {
    let manager = Manager::new(hello);
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    assert!(listener.data::<u32>().is_none());
    listener.set_data(7_u32);
    assert_eq!(listener.data::<u32>().as_deref(), Some(&7));
    assert!(listener.data::<String>().is_none());
    listener.set_data("text".to_owned());
    assert!(listener.data::<u32>().is_none());
}

#[test]
fn everything_may_be_used_from_other_threads_while_one_polls() {
    let seen: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let keep = Arc::clone(&seen);
    let polled = Polled::new(move |conn, event| match event {
        Event::Accept => keep.lock().unwrap().push(conn.clone()),
        Event::HttpMessage(_) => conn.reply(200, &[], "hello"),
        _ => {}
    });
    let address = polled.listen("http://127.0.0.1:0");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(to_end(asking(address, crate::support::LAST)).ends_with("hello"));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..300 {
                for conn in seen.lock().unwrap().iter() {
                    _ = (
                        conn.is_open(),
                        conn.is_full(),
                        conn.received(10),
                        conn.unsent_len(),
                        conn.remote_address(),
                    );
                    conn.set_data(conn.id());
                }
                _ = polled.handle.connections();
            }
        });
    });
    wait_until("their ends", || polled.handle.connections().len() == 1);
    assert_eq!(seen.lock().unwrap().len(), 150);
}
