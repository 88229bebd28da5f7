//! How TLS ends (rules M18 and D7): announced, not announced, and in a stop.

use crate::certificates::{TlsClient, localhost, tls_asking, tls_client, tls_read_to, tls_to_end};
use crate::support::{GET, LIMIT, Log, Polled, address, client, hello, name, poll_until, wait_until};
use exeunt_manager::{Connection, Event, Limits, Listen, Manager};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

fn secured() -> Listen {
    Listen::new().tls(localhost().tls())
}

/// A manager with a TLS listener, and what its handler was told of others than it.
fn told(
    url: &str,
    limits: Limits,
    handler: impl Fn(&Connection, Event<'_>) + Send + Sync + 'static,
) -> (Manager, SocketAddr, Log) {
    let log = Log::default();
    let told = log.clone();
    let manager = Manager::with_limits(limits, move |conn: &Connection, event: Event<'_>| {
        if !conn.is_listening() {
            told.push(name(&event));
            handler(conn, event);
        }
    });
    let listener = manager.listen_with(url, secured()).unwrap();
    let address = address(&listener);
    (manager, address, log)
}

/// Moves the client's handshake along without waiting for its server, who is in this thread, too.
fn shake(manager: &mut Manager, client: &mut TlsClient) {
    client.sock.set_nonblocking(true).unwrap();
    poll_until(manager, "the handshake", || {
        _ = client.conn.complete_io(&mut client.sock);
        !client.conn.is_handshaking() && !client.conn.wants_write()
    });
    client.sock.set_nonblocking(false).unwrap();
}

#[test]
fn each_end_of_ours_is_announced_and_no_cut_is() {
    // What the handler does when it is spoken to, and whether the peer may take what he got for whole.
    #[derive(Clone, Copy, Debug)]
    enum End {
        Drain,
        Close,
        CloseTorn,
        Panic,
    }
    for (end, whole) in [(End::Drain, true), (End::Close, true), (End::CloseTorn, false), (End::Panic, false)]
    {
        let polled = Polled::new(move |conn: &Connection, event: Event<'_>| match (event, end) {
            (Event::Read(_), End::Drain) => {
                conn.send("goodbye").unwrap();
                conn.drain();
            }
            (Event::Read(_), End::Close) => conn.close(),
            (Event::Read(_), End::CloseTorn) => {
                conn.send(vec![b'x'; 20_000_000]).unwrap();
                conn.close();
            }
            (Event::Read(_), End::Panic) => panic!("for the test"),
            _ => {}
        });
        let address = polled.listen_with("tls://127.0.0.1:0", secured());
        let mut client = tls_asking(address, "hello");
        let mut text = String::new();
        let ended = client.read_to_string(&mut text);
        assert_eq!(ended.is_ok(), whole, "{end:?}: {ended:?} behind {text:?}");
        assert_eq!(text == "goodbye", matches!(end, End::Drain), "{end:?}");
    }
}

#[test]
fn an_end_of_the_peers_is_one_and_told_if_it_was_not_announced() {
    for (url, announced, errors) in [
        ("tls://127.0.0.1:0", true, 0),
        ("tls://127.0.0.1:0", false, 1),
        // Of HTTP it is known where a request ends.
        ("https://127.0.0.1:0", true, 0),
        ("https://127.0.0.1:0", false, 0),
    ] {
        let log = Log::default();
        let told = log.clone();
        let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
            if !conn.is_listening() {
                told.push(name(&event));
            }
        });
        let address = polled.listen_with(url, secured());
        let mut client = tls_asking(address, "half a");
        wait_until("the bytes", || log.has("read"));
        if announced {
            client.conn.send_close_notify();
            client.conn.complete_io(&mut client.sock).unwrap();
        }
        client.sock.shutdown(Shutdown::Write).unwrap();
        wait_until("the end", || log.has("close"));
        let all = log.all();
        let torn = all.iter().filter(|line| line.contains("truncated")).count();
        assert_eq!(torn, errors, "{url} {announced}: {all:?}");
        assert_eq!(all.iter().filter(|line| line.starts_with("error")).count(), errors, "{all:?}");
    }
}

#[test]
fn whoever_has_ended_his_side_gets_his_answer() {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            let conn = conn.clone();
            std::thread::spawn(move || {
                // Nobody knows when the end has come: that is told to nobody.
                std::thread::sleep(Duration::from_millis(50));
                conn.reply(200, &[], vec![b'x'; 3_000_000]);
            });
        }
    });
    let address = polled.listen_with("https://127.0.0.1:0", secured());
    for closes in [false, true] {
        let mut client = tls_asking(address, GET);
        client.conn.send_close_notify();
        client.conn.complete_io(&mut client.sock).unwrap();
        if closes {
            client.sock.shutdown(Shutdown::Write).unwrap();
        }
        let text = tls_to_end(client);
        assert!(text.starts_with("HTTP/1.1 200 ") && text.len() > 3_000_000, "{}", text.len());
    }
}

#[test]
fn a_stop_answers_what_is_in_flight_and_what_is_in_the_handshake() {
    let (mut manager, address, log) = told("https://127.0.0.1:0", Limits::default(), |conn, event| {
        if let Event::HttpMessage(request) = event {
            match request.uri() {
                "/later" => _ = conn.wakeup("now"),
                _ => conn.reply(200, &[], "hello"),
            }
        } else if let Event::Wakeup(_) = event {
            conn.reply(200, &[], "hello");
        }
    });
    let mut kept = tls_client(address);
    shake(&mut manager, &mut kept);
    kept.write_all(GET.as_bytes()).unwrap();
    poll_until(&mut manager, "the answer", || log.has("write"));
    tls_read_to(&mut kept, "hello");
    let mut asked = tls_client(address);
    shake(&mut manager, &mut asked);
    // One whose handshake is begun: its first words are with us. And one that has not said any.
    let mut shaking = tls_client(address);
    shaking.conn.write_tls(&mut shaking.sock).unwrap();
    let silent = client(address);
    let handle = manager.handle();
    poll_until(&mut manager, "all of them", || handle.connections().len() == 5);
    asked.write_all(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let began = Instant::now();
    let clients = std::thread::spawn(move || {
        let later = tls_to_end(asked);
        shaking.write_all(GET.as_bytes()).unwrap();
        (later, tls_to_end(shaking), tls_to_end(kept), silent)
    });
    let report = manager.drain(began + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    let (later, shaken, kept, mut silent) = clients.join().unwrap();
    for text in [later, shaken] {
        assert!(text.contains("Connection: close\r\n") && text.ends_with("hello"), "{text}");
    }
    assert_eq!(kept, "", "its end is announced");
    assert_eq!(log.count("TlsHandshake"), 3);
    // Whoever has said nothing holds up nobody for as long as a handshake may take.
    _ = silent.read_to_end(&mut Vec::new());
    assert!(report.duration < Limits::default().handshake, "{report}");
}

#[test]
fn a_handshake_that_does_not_end_holds_the_stop_up_for_its_time_only() {
    let mut limits = Limits::default();
    limits.handshake = Duration::from_millis(400);
    let (mut manager, address, log) = told("https://127.0.0.1:0", limits, hello);
    let mut client = tls_client(address);
    client.conn.write_tls(&mut client.sock).unwrap();
    let handle = manager.handle();
    poll_until(&mut manager, "the client", || handle.connections().len() == 2);
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean() && report.duration < LIMIT / 2, "{report}");
    assert!(log.all().iter().any(|line| line.contains("was not done in time")), "{:?}", log.all());
}

#[test]
fn the_deadline_cuts_a_handshake_and_a_torn_answer() {
    let (mut manager, address, log) = told("https://127.0.0.1:0", Limits::default(), |conn, event| {
        if let Event::HttpMessage(request) = event
            && request.uri() == "/stream"
        {
            conn.sse("", "one").unwrap();
        }
    });
    let mut stream = tls_client(address);
    shake(&mut manager, &mut stream);
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut owed = tls_client(address);
    shake(&mut manager, &mut owed);
    owed.write_all(b"GET /owed HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    poll_until(&mut manager, "both", || log.count("message") == 2);
    let mut shaking = tls_client(address);
    shaking.conn.write_tls(&mut shaking.sock).unwrap();
    let handle = manager.handle();
    poll_until(&mut manager, "all", || handle.connections().len() == 4);
    let report = manager.drain(Instant::now() + Duration::from_millis(600)).unwrap();
    let mut cut: Vec<_> = report.cut.iter().map(|cut| cut.name.as_str()).collect();
    cut.sort_unstable();
    assert_eq!(cut, ["GET /owed", "GET /stream"], "{report}");
    let text = tls_to_end(owed);
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("Connection: close\r\n"), "{text}");
    // A reset, and nothing before it that says that it was whole.
    let torn = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(matches!(torn.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{torn}");
}

#[test]
fn half_a_record_is_no_silence() {
    let (mut manager, address, log) = told("https://127.0.0.1:0", Limits::default(), hello);
    let mut client = tls_client(address);
    shake(&mut manager, &mut client);
    client.conn.writer().write_all(GET.as_bytes()).unwrap();
    let mut record = Vec::new();
    client.conn.write_tls(&mut record).unwrap();
    let (half, rest) = record.split_at(record.len() / 2);
    client.sock.write_all(half).unwrap();
    manager.poll(Duration::from_millis(50)).unwrap();
    let rest = rest.to_vec();
    let client = std::thread::spawn(move || {
        // Longer than those who are silent have.
        std::thread::sleep(Duration::from_millis(600));
        client.sock.write_all(&rest).unwrap();
        tls_to_end(client)
    });
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(client.join().unwrap().ends_with("hello"), "{:?}", log.all());
}

#[test]
fn half_a_record_has_the_time_of_a_head() {
    let mut limits = Limits::default();
    limits.drain.head = Duration::from_millis(400);
    for url in ["https://127.0.0.1:0", "tls://127.0.0.1:0"] {
        let (mut manager, address, _) = told(url, limits.clone(), hello);
        let mut client = tls_client(address);
        shake(&mut manager, &mut client);
        client.sock.write_all(&[23, 3, 3, 1, 0, 0]).unwrap();
        manager.poll(Duration::from_millis(50)).unwrap();
        let report = manager.drain(Instant::now() + LIMIT).unwrap();
        assert!(report.is_clean() && report.duration < LIMIT / 2, "{report}");
    }
}

#[test]
fn an_answer_that_is_on_its_way_is_not_changed_by_a_drain() {
    // The head is in the ciphertext that the kernel does not take: `drain` must not rewrite it.
    let (mut manager, address, log) = told("https://127.0.0.1:0", Limits::default(), |conn, event| {
        if let Event::HttpMessage(request) = event {
            conn.reply(200, &[], vec![b'x'; if request.uri() == "/large" { 8_000_000 } else { 10 }]);
        }
    });
    let mut client = tls_client(address);
    shake(&mut manager, &mut client);
    client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    client.write_all(GET.as_bytes()).unwrap();
    poll_until(&mut manager, "the kernel is full", || log.has("write"));
    manager.connections().pop().unwrap().drain();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        client.read_to_end(&mut text).unwrap();
        text
    });
    poll_until(&mut manager, "the end", || log.has("close"));
    manager.drain(Instant::now() + LIMIT).unwrap();
    let text = reader.join().unwrap();
    let head = text.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(text.len() - head, 8_000_000);
    assert!(text[head..].iter().all(|byte| *byte == b'x'));
}
