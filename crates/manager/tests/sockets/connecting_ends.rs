//! How connections that the program makes end, wherever they are.

use crate::connecting::{logging, silent};
use crate::support::{LIMIT, Log, Polled, address, client, echo, name, poll_until};
use exeunt_manager::{Connection, Event, Manager};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn it_may_be_ended_at_any_time() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", server.local_addr().unwrap());
    // In each event, by each call.
    for at in ["open", "resolve", "connect"] {
        for drains in [false, true] {
            let log = Log::default();
            let told = log.clone();
            let handler = move |conn: &Connection, event: Event<'_>| {
                told.push(name(&event));
                match name(&event) == at {
                    true if drains => conn.drain(),
                    true => conn.close(),
                    false => {}
                }
            };
            let mut manager = Manager::new(handler);
            let conn = manager.connect(&url).unwrap();
            poll_until(&mut manager, "the end", || log.has("close"));
            let events = ["open", "resolve", "connect", "close"];
            let expected: Vec<_> =
                events.into_iter().filter(|event| at == "connect" || *event != "connect").collect();
            assert_eq!(log.all(), expected, "{at} {drains}");
            assert!(!conn.is_open());
        }
    }
    // By somebody else, while it waits.
    let (_listener, _queued, peer) = silent();
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let conn = manager.connect(&format!("tcp://{peer}")).unwrap();
    manager.poll(Duration::ZERO).unwrap();
    conn.close();
    poll_until(&mut manager, "the end", || log.has("close"));
    assert_eq!(log.all(), ["open", "resolve", "close"]);
}

#[test]
fn what_was_written_before_a_drain_still_goes() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let conn = manager.connect(&format!("tcp://{}", server.local_addr().unwrap())).unwrap();
    conn.send("goodbye").unwrap();
    conn.drain();
    assert!(conn.is_draining());
    poll_until(&mut manager, "the end", || log.has("close"));
    assert_eq!(log.all(), ["open", "resolve", "connect", "write", "close"]);
    let (mut served, _) = server.accept().unwrap();
    let mut text = String::new();
    served.read_to_string(&mut text).unwrap();
    assert_eq!(text, "goodbye");
}

#[test]
fn dropping_the_manager_ends_it() {
    let (_listener, _queued, peer) = silent();
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let conns = [
        manager.connect(&format!("tcp://{peer}")).unwrap(),
        manager.connect("tcp://nosuch.invalid:80").unwrap(),
    ];
    manager.poll(Duration::ZERO).unwrap();
    manager.connect(&format!("tcp://{peer}")).unwrap(); // not seen by the loop yet
    drop(manager);
    assert_eq!(log.count("close"), 3);
    assert!(conns.iter().all(|conn| !conn.is_open()));
}

#[test]
fn a_drain_waits_for_those_on_their_way() {
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let conn = manager.connect(&format!("tcp://{}", server.local_addr().unwrap())).unwrap();
    conn.send("on its way").unwrap();
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    let all = log.all();
    for event in ["connect", "drain", "write", "close"] {
        assert_eq!(log.count(event), 1, "{event}: {all:?}");
    }
    let mut text = String::new();
    server.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "on its way");
}

#[test]
fn the_cut_ends_those_on_their_way() {
    let (_listener, _queued, peer) = silent();
    let log = Log::default();
    let mut manager = Manager::new(logging(&log));
    manager.connect(&format!("tcp://{peer}")).unwrap();
    let report = manager.drain(Instant::now() + Duration::from_millis(50)).unwrap();
    assert_eq!(report.cut_count, 1, "{report}");
    assert_eq!(log.count("close"), 1);
    assert!(manager.connections().is_empty());
}

#[test]
fn behind_the_cut_none_is_made() {
    let (listener, log) = (TcpListener::bind("127.0.0.1:0").unwrap(), Log::default());
    let (told, url) = (log.clone(), format!("tcp://{}", listener.local_addr().unwrap()));
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if let (Event::Close, Some(manager)) = (event, conn.manager())
            && conn.is_client()
            && !told.has("again")
        {
            told.push("again");
            let refused = manager.connect(&url).unwrap_err();
            told.push(refused.to_string());
        }
        told.push(name(&event));
    });
    let conn = manager.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    poll_until(&mut manager, "a connection", || log.has("connect"));
    // It lingers behind the cut, so that the loop turns once more.
    let server = listener.accept().unwrap();
    let busy = manager.listen("http://127.0.0.1:0").unwrap();
    let mut client = client(address(&busy));
    client.write_all(crate::support::GET.as_bytes()).unwrap();
    poll_until(&mut manager, "a request", || log.has("message"));
    _ = conn.send("keeps it from being silent");
    let report = manager.drain(Instant::now()).unwrap();
    assert!(report.cut_count > 0, "{report}");
    let all = log.all();
    assert!(all.iter().any(|line| line.ends_with("the stop is over")), "{all:?} {report}");
    assert_eq!(log.count("connect"), 1);
    drop((client, server));
}

#[test]
fn those_of_the_last_moment_are_cut_and_reported() {
    let (_listener, _queued, peer) = silent();
    let (log, url) = (Log::default(), format!("http://{peer}"));
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        // The last thing in a pass.
        Event::Poll if conn.is_udp() => {
            let call = conn.manager().unwrap().connect(&url).unwrap();
            call.request("GET", "/", &[], "").unwrap();
            // Past the time that is left for a last look (L2), so that the cut is next.
            std::thread::sleep(Duration::from_millis(150));
            told.push("asked");
        }
        Event::Error(_) | Event::Close if conn.is_client() => told.push(name(&event)),
        _ => {}
    });
    manager.listen("udp://127.0.0.1:0").unwrap().poll_events(true);
    let report = manager.drain(Instant::now()).unwrap();
    assert_eq!((log.count("asked"), log.count("close"), manager.connections().len()), (1, 1, 1));
    assert!(report.cut_count == 1 && report.cut[0].name == "GET /", "{report}");
}

#[test]
fn in_a_drain_new_ones_are_made() {
    // An answer in flight may need somebody else's.
    let server = Polled::new(echo);
    let peer = server.listen("tcp://127.0.0.1:0");
    let log = Log::default();
    let (told, waiting) = (log.clone(), Arc::new(Mutex::new(None::<Connection>)));
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        match event {
            Event::Drain if !conn.is_client() => {
                let upstream = conn.manager().unwrap().connect(&format!("tcp://{peer}")).unwrap();
                upstream.send("for a client").unwrap();
            }
            Event::HttpMessage(_) => *waiting.lock().unwrap() = Some(conn.clone()),
            Event::Read(bytes) if conn.is_client() => {
                let asking = waiting.lock().unwrap().take().unwrap();
                asking.reply(200, &[], bytes);
            }
            _ => {}
        }
    });
    let address = address(&manager.listen("http://127.0.0.1:0").unwrap());
    let mut asking: TcpStream = client(address);
    asking.write_all(crate::support::GET.as_bytes()).unwrap();
    poll_until(&mut manager, "a request", || log.has("message"));
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(crate::support::to_end(asking).ends_with("for a client"));
    assert_eq!(log.count("drain"), 2, "the client's connection, too: {:?}", log.all());
}
