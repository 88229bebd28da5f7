//! What a stop makes of them (rule D6).

use super::peer::{UPGRADE, close_frame, frame, opened, parts, read_frame, read_head};
use super::serving::echo;
use crate::support::{LIMIT, Log, Polled, address, asking, client, poll_until, wait_until};
use exeunt_lifecycle::{Config, Lifecycle};
use exeunt_manager::{Connection, Event, Limits, Manager, WsOp};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// A client in a thread, so that a manager in this one may be drained.
fn in_a_thread<T: Send + 'static>(
    address: SocketAddr,
    run: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(move || run(opened(address).0))
}

fn until_open(manager: &mut Manager, sockets: usize) {
    let handle = manager.handle();
    poll_until(manager, "the clients", || {
        handle.connections().iter().filter(|conn| conn.is_websocket()).count() == sockets
    });
}

#[test]
fn d6_the_program_speaks_first_then_1001_is_said_and_the_answer_awaited() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        echo(conn, event);
        match event {
            Event::Drain => {
                told.push("drain");
                conn.ws_send(WsOp::Text, "we part").unwrap();
            }
            Event::WsControl(control) => told.push(format!("{control:?}")),
            Event::Close if !conn.is_listening() => told.push("close"),
            _ => {}
        }
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let thread = in_a_thread(address(&listener), |mut client| {
        assert_eq!(read_frame(&mut client), Some((0x81, b"we part".to_vec())));
        parts(&mut client, 1001);
    });
    until_open(&mut manager, 1);
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean() && report.duration < Duration::from_secs(8), "{report}");
    thread.join().unwrap();
    assert_eq!(log.all(), ["drain", "Close { code: 1001, reason: \"\" }", "close"]);
}

#[test]
fn d6_what_was_sent_before_the_peers_close_is_told() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => conn.ws_upgrade(&[]).unwrap(),
        Event::WsMessage(message) => told.push(message.text().unwrap()),
        _ => {}
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let thread = in_a_thread(address(&listener), |mut client| {
        assert_eq!(read_frame(&mut client), Some((0x88, b"\x03\xe9".to_vec())));
        for index in 0..100 {
            client.write_all(&frame(0x81, index.to_string().as_bytes())).unwrap();
        }
        client.write_all(&close_frame(1001)).unwrap();
        assert_eq!(read_frame(&mut client), None);
    });
    until_open(&mut manager, 1);
    assert!(manager.drain(Instant::now() + LIMIT).unwrap().is_clean());
    thread.join().unwrap();
    assert_eq!(log.all(), (0..100).map(|index| index.to_string()).collect::<Vec<_>>());
}

#[test]
fn d4_what_had_arrived_when_the_drain_began_is_answered_before_the_close() {
    let mut manager = Manager::new(echo);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let (sends, sent) = channel();
    let (begins, begin) = channel::<()>();
    let thread = in_a_thread(address(&listener), move |mut client| {
        begin.recv().unwrap();
        client.write_all(&frame(0x81, b"in time")).unwrap();
        sends.send(()).unwrap();
        assert_eq!(read_frame(&mut client), Some((0x81, b"in time".to_vec())));
        parts(&mut client, 1001);
    });
    until_open(&mut manager, 1);
    // The loop has seen nothing of it when the drain begins.
    begins.send(()).unwrap();
    sent.recv().unwrap();
    assert!(manager.drain(Instant::now() + LIMIT).unwrap().is_clean());
    thread.join().unwrap();
}

#[test]
fn d6_who_does_not_answer_is_cut_and_reported() {
    for by_deadline in [true, false] {
        let mut limits = Limits::default();
        if !by_deadline {
            limits.ws_close = Duration::from_millis(300);
        }
        let mut manager = Manager::with_limits(limits, echo);
        let listener = manager.listen("http://127.0.0.1:0").unwrap();
        let (address, (over, is_over)) = (address(&listener), channel::<()>());
        let (upgraded, is_upgraded) = channel::<()>();
        let silent = in_a_thread(address, move |client| {
            upgraded.send(()).ok();
            is_over.recv().ok();
            drop(client);
        });
        let gone = in_a_thread(address, drop);
        poll_until(&mut manager, "the one that stays", || is_upgraded.try_recv().is_ok());
        poll_until(&mut manager, "the one that leaves", || gone.is_finished());
        until_open(&mut manager, 1);
        let deadline = if by_deadline { Duration::from_millis(300) } else { LIMIT };
        let report = manager.drain(Instant::now() + deadline).unwrap();
        assert_eq!(report.cut_count, 1, "{report}");
        let cut = &report.cut[0];
        assert_eq!((cut.kind, cut.name.as_str()), ("websocket", "/ws"));
        assert!(cut.peer.as_ref().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{report}");
        assert!(cut.age >= Duration::from_millis(250), "{report}");
        assert!(report.duration < LIMIT / 2, "{report}");
        drop(over);
        silent.join().unwrap();
    }
}

#[test]
fn d2_an_upgrade_in_the_stop_is_answered_503() {
    let lifecycle = Lifecycle::install(Config::default().lame_duck(Duration::from_secs(3))).unwrap();
    lifecycle.ready();
    let mut manager = Manager::new(echo);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let (stop, address) = (lifecycle.stop(), address(&listener));
    let thread = std::thread::spawn(move || {
        let (mut before, _) = opened(address);
        stop.request_stop("the balancer looks elsewhere");
        let mut late = asking(address, UPGRADE);
        let answer = read_head(&mut late);
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Connection: close\r\n"), "{answer}");
        // In the lame duck the others are served.
        before.write_all(&frame(0x81, b"still")).unwrap();
        assert_eq!(read_frame(&mut before), Some((0x81, b"still".to_vec())));
        parts(&mut before, 1001);
    });
    let report = manager.run(&lifecycle).unwrap();
    assert!(report.is_clean(), "{report}");
    thread.join().unwrap();
    drop(manager);
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn a_websocket_is_work_until_it_is_over() {
    let lifecycle = Lifecycle::install(Config::default().grace(Duration::from_millis(1500))).unwrap();
    lifecycle.ready();
    let mut manager = Manager::new(echo);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let (stop, address) = (lifecycle.stop(), address(&listener));
    let thread = std::thread::spawn(move || {
        let (mut client, _) = opened(address);
        stop.request_stop("the test wants it");
        let mut rest = Vec::new();
        _ = client.read_to_end(&mut rest);
    });
    let report = manager.run(&lifecycle).unwrap();
    assert_eq!(report.cut_count, 1, "{report}");
    thread.join().unwrap();
    drop(manager);
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 3, "{report}");
    assert!(report.to_string().contains("/ws"), "{report}");
}

#[test]
fn a_drain_by_the_program_says_1000_and_tells_nothing_more() {
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => conn.ws_upgrade(&[]).unwrap(),
        Event::WsMessage(message) => {
            told.push(message.text().unwrap());
            conn.ws_send(WsOp::Text, "bye").unwrap();
            conn.drain();
        }
        Event::WsControl(_) => told.push("control"),
        Event::Close if !conn.is_listening() => told.push("close"),
        _ => {}
    });
    let (mut client, _) = opened(polled.listen("http://127.0.0.1:0"));
    client.write_all(&[frame(0x81, b"one"), frame(0x81, b"two")].concat()).unwrap();
    assert_eq!(read_frame(&mut client), Some((0x81, b"bye".to_vec())));
    client.write_all(&frame(0x81, b"three")).unwrap();
    parts(&mut client, 1000);
    wait_until("the close", || log.has("close"));
    assert_eq!(log.all(), ["one", "close"]);
}

#[test]
fn closes_are_spread_evenly() {
    let mut limits = Limits::default();
    limits.ws_close_spread = Duration::from_secs(2);
    let mut manager = Manager::with_limits(limits, echo);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let address = address(&listener);
    let clients: Vec<_> = (0..20)
        .map(|_| {
            in_a_thread(address, |mut client| {
                parts(&mut client, 1001);
                Instant::now()
            })
        })
        .collect();
    until_open(&mut manager, 20);
    let began = Instant::now();
    assert!(manager.drain(Instant::now() + LIMIT).unwrap().is_clean());
    let mut times: Vec<_> = clients.into_iter().map(|client| client.join().unwrap() - began).collect();
    times.sort();
    // Late they may be, on a busy machine, but not early.
    assert!(times[19] > Duration::from_millis(1600), "{times:?}");
    assert!(times[9] > Duration::from_millis(700), "{times:?}");
}

/// Sends, and reads what is echoed, until it is told 1001; what it was answered, in the end.
fn load(address: SocketAddr, began: &Sender<()>) -> usize {
    let (mut client, _) = opened(address);
    let (mut sent, mut answered) = (0_usize, 0);
    loop {
        client.write_all(&frame(0x81, sent.to_string().as_bytes())).unwrap();
        sent += 1;
        match read_frame(&mut client) {
            Some((0x81, payload)) => {
                assert_eq!(payload, answered.to_string().as_bytes());
                answered += 1;
                if answered == 3 {
                    began.send(()).unwrap();
                }
            }
            Some((0x88, payload)) => {
                assert_eq!(payload, b"\x03\xe9");
                client.write_all(&close_frame(1001)).unwrap();
                match client.read(&mut [0; 1]) {
                    Ok(0) => return answered,
                    other => panic!("behind its Close: {other:?}"),
                }
            }
            other => panic!("{other:?} after {answered}"),
        }
    }
}

fn all(began: &Receiver<()>, clients: usize) {
    for _ in 0..clients {
        began.recv_timeout(LIMIT).unwrap();
    }
}

#[test]
fn d6_a_stop_under_load_tells_everybody_and_resets_nobody() {
    const CLIENTS: usize = 200;
    let lifecycle = Lifecycle::install(Config::default().grace(LIMIT)).unwrap();
    lifecycle.ready();
    let mut manager = Manager::new(echo);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let (stop, address) = (lifecycle.stop(), address(&listener));
    let (begins, began) = channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let begins = begins.clone();
            std::thread::spawn(move || load(address, &begins))
        })
        .collect();
    let stopper = std::thread::spawn(move || {
        all(&began, CLIENTS);
        stop.request_stop("under load");
    });
    let report = manager.run(&lifecycle).unwrap();
    assert!(report.is_clean(), "{report}");
    stopper.join().unwrap();
    assert!(clients.into_iter().all(|client| client.join().unwrap() >= 3));
    drop(manager);
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn dropping_the_manager_resets_what_is_half_sent() {
    let mut manager = Manager::new(|conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => conn.ws_upgrade(&[]).unwrap(),
        Event::WsOpen(_) => conn.ws_send(WsOp::Binary, vec![0; 20_000_000]).unwrap(),
        _ => {}
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut client = client(address(&listener));
    client.write_all(UPGRADE.as_bytes()).unwrap();
    until_open(&mut manager, 1);
    drop(manager);
    let error = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
