//! Programs that go wrong, and a loop that goes on.

use crate::support::{GET, LAST, Log, Polled, address, asking, client, hello, name, poll_until, to_end};
use exeunt_manager::{Connection, Event, Handle, Listen, Manager, Schedule};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Panics when it is dropped.
struct Nasty;

impl Drop for Nasty {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// Serves as ever, after what happened.
fn assert_serves(manager: &mut Manager) {
    let log = Log::default();
    let told = log.clone();
    let how = Listen::new().handler(move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        hello(conn, event);
    });
    let listener = manager.listen_with("http://127.0.0.1:0", how).unwrap();
    let client = asking(address(&listener), LAST);
    poll_until(manager, "an answer", || log.has("close"));
    assert!(to_end(client).ends_with("hello"));
    listener.close();
    manager.poll(Duration::ZERO).unwrap();
}

#[test]
fn a_handler_that_panics_loses_its_connection_and_is_reported() {
    let expected = [
        ("open", ""),
        ("accept", ""),
        ("headers", "HTTP/1.1 500 "),
        ("message", "HTTP/1.1 500 "),
        ("read", "HTTP/1.1 200 "),
        ("write", "HTTP/1.1 200 "),
        ("close", "HTTP/1.1 200 "),
    ];
    for (event_name, answer) in expected {
        let log = Log::default();
        let told = log.clone();
        let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
            if conn.is_listening() || !conn.is_open() {
                return;
            }
            told.push(name(&event));
            if name(&event) == event_name && told.count(event_name) == 1 {
                panic!("at {event_name}");
            }
            hello(conn, event);
        });
        let listener = manager.listen("http://127.0.0.1:0").unwrap();
        let client = asking(address(&listener), if event_name == "close" { LAST } else { GET });
        poll_until(&mut manager, event_name, || log.has("close"));
        let got = to_end(client);
        assert!(got.starts_with(answer) && got.is_empty() == answer.is_empty(), "{event_name}: {got}");
        assert_serves(&mut manager);
        let report = manager.drain(Instant::now() + Duration::from_secs(60)).unwrap();
        assert_eq!((report.panic_count, &report.panics[..]), (1, &[format!("at {event_name}")][..]));
        assert!(!report.is_clean());
    }
}

#[test]
fn a_listener_survives_its_handlers_panic() {
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if conn.is_listening() && told.count("panic") < 3 {
            told.push("panic");
            panic!("of a listener");
        }
        hello(conn, event);
    });
    let listener = polled.handle.listen("http://127.0.0.1:0").unwrap();
    while log.count("panic") < 3 {
        assert!(to_end(asking(address(&listener), LAST)).ends_with("hello"));
    }
    assert!(listener.is_open());
}

#[test]
fn a_timer_that_panics_is_survived_and_goes_on() {
    let mut manager = Manager::new(hello);
    let log = Log::default();
    let told = log.clone();
    let every = manager.timer(Schedule::every(Duration::from_millis(1)), move |_: &Handle| {
        told.push("fired");
        assert!(told.count("fired") > 3, "in a timer");
    });
    poll_until(&mut manager, "three", || log.count("fired") >= 3);
    assert!(every.unwrap().is_active());
    assert_serves(&mut manager);
}

#[test]
fn user_data_that_panics_when_dropped_is_survived() {
    for url in ["http://127.0.0.1:0", "tcp://127.0.0.1:0"] {
        let mut manager = Manager::new(|conn: &Connection, event: Event<'_>| {
            if let Event::Accept = event {
                conn.set_data(Nasty);
            }
        });
        let listener = manager.listen(url).unwrap();
        let handle = manager.handle();
        // Nobody but the loop has a handle: it drops the data.
        drop(client(address(&listener)));
        poll_until(&mut manager, "its end", || handle.connections().len() == 1);
        manager.poll(Duration::from_millis(10)).unwrap();
        let client = asking(address(&listener), "x");
        poll_until(&mut manager, "another", || handle.connections().len() == 2);
        manager.connections().pop().unwrap().close();
        poll_until(&mut manager, "its end", || handle.connections().len() == 1);
        manager.poll(Duration::from_millis(10)).unwrap();
        assert_serves(&mut manager);
        drop(client);
    }
}

#[test]
fn handlers_that_panic_when_dropped_are_survived() {
    let nasty = || {
        let nasty = Nasty;
        move |_: &Connection, _: Event<'_>| _ = &nasty
    };
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::Accept = event {
            told.push("accept");
            let nasty = Nasty;
            conn.set_handler(Some(Arc::new(move |conn: &Connection, event: Event<'_>| {
                _ = &nasty;
                if let Event::Read(_) = event {
                    // It goes when this call of it is over.
                    conn.set_handler(None);
                }
            })));
        }
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let _reads = asking(address(&listener), "x");
    drop(client(address(&listener)));
    let handle = manager.handle();
    poll_until(&mut manager, "both", || log.count("accept") == 2 && handle.connections().len() == 1);
    let other = manager.listen_with("tcp://127.0.0.1:0", Listen::new().handler(nasty())).unwrap();
    other.close();
    drop(other);
    manager.poll(Duration::ZERO).unwrap();
    assert_serves(&mut manager);
}

#[test]
fn callbacks_that_panic_when_dropped_are_survived() {
    let mut manager = Manager::new(hello);
    for schedule in
        [Schedule::once(Duration::ZERO), Schedule::every(Duration::ZERO), Schedule::once(Duration::MAX)]
    {
        let nasty = Nasty;
        let timer = manager.timer(schedule, move |_| _ = &nasty).unwrap();
        manager.poll(Duration::ZERO).unwrap();
        timer.cancel();
        drop(timer);
    }
    let nasty = Nasty;
    drop(manager.timer(Schedule::once(Duration::from_secs(3600)), move |_| _ = &nasty));
    assert_serves(&mut manager);
    manager.close();
}

#[test]
fn a_panic_in_one_connection_leaves_the_others_alone() {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            assert_ne!(request.uri(), "/panic");
            conn.reply(200, &[], "hello");
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    for _ in 0..20 {
        let bad = asking(address, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
        let good = asking(address, LAST);
        assert!(to_end(bad).starts_with("HTTP/1.1 500 "));
        assert!(to_end(good).ends_with("hello"));
    }
}
