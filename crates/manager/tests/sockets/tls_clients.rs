//! TLS of clients (rule M18), against servers of ours: whom they trust, and what they say of whom they do not.

use crate::certificates::{Authority, Made, authority, localhost, trusting, version_1};
use crate::support::{Log, Polled, address, echo, hello, name, poll_until, wait_until};
use exeunt_manager::{Connect, ConnectError, Connection, Event, Limits, Listen, Manager, StartTlsError, Tls};
use rcgen::date_time_ymd;
use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connects, says something when that is safe, and goes when it is answered. What it was told.
fn tells(polled: &Polled, url: &str, tls: Option<Tls>) -> Vec<String> {
    let log = Log::default();
    let told = log.clone();
    let connect = Connect::new().handler(move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        assert!(conn.is_tls() || matches!(event, Event::Close) || !conn.is_open());
        match event {
            Event::TlsHandshake => conn.send("hello").unwrap(),
            Event::Read(_) => conn.drain(),
            _ => {}
        }
    });
    let connect = match tls {
        Some(tls) => connect.tls(tls),
        None => connect,
    };
    polled.handle.connect_with(url, connect).unwrap();
    wait_until("the end", || log.has("close"));
    log.all()
}

fn echoing(made: &Made) -> (Polled, String) {
    let polled = Polled::new(echo);
    let address = polled.listen_with("tls://127.0.0.1:0", Listen::new().tls(made.tls()));
    let url = format!("tls://localhost:{}", address.port());
    (polled, url)
}

const WELL: [&str; 7] = ["open", "resolve", "connect", "TlsHandshake", "write", "read", "close"];

#[test]
fn whoever_is_trusted_is_spoken_to() {
    let (polled, url) = echoing(&localhost());
    assert_eq!(tells(&polled, &url, Some(trusting())), WELL);
    // By address, and by a name that is not the one connected to.
    let by_address = url.replace("localhost", "127.0.0.1");
    assert_eq!(tells(&polled, &by_address, Some(trusting())), WELL);
    let (polled, url) = echoing(&authority().sign(&["other.example"]));
    assert_eq!(tells(&polled, &url, Some(trusting().name("other.example"))), WELL);
}

#[test]
fn whoever_is_not_trusted_is_told_of_and_not_spoken_to() {
    let long_ago = authority().sign_with(&["localhost"], |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let not_yet = authority().sign_with(&["localhost"], |params| {
        params.not_before = date_time_ymd(3001, 1, 1);
        params.not_after = date_time_ymd(3002, 1, 1);
    });
    let stranger = Authority::new("a stranger");
    let mut table = vec![
        (authority().sign(&["other.example"]), trusting(), "not valid for name"),
        (localhost(), trusting().name("other.example"), "not valid for name"),
        (localhost(), Tls::new().ca(stranger.pem()), "UnknownIssuer"),
        // With no CA given, the system's verify.
        (localhost(), Tls::new(), "UnknownIssuer"),
        (stranger.sign(&["localhost"]), trusting(), "UnknownIssuer"),
        (long_ago, trusting(), "expired"),
        (not_yet, trusting(), "not valid yet"),
    ];
    table.extend(version_1().map(|made| (made, trusting(), "UnsupportedCertVersion")));
    for (made, tls, expected) in table {
        let (polled, url) = echoing(&made);
        let told = tells(&polled, &url, Some(tls.clone()));
        let [.., error, close] = &told[..] else { panic!("{told:?}") };
        assert!(error.starts_with("error the TLS handshake failed: "), "{told:?}");
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!((close.as_str(), told.iter().any(|event| event == "TlsHandshake")), ("close", false));
        // Nothing but this switches it off.
        assert_eq!(tells(&polled, &url, Some(tls.skip_verification())), WELL);
    }
}

#[test]
fn without_a_word_the_system_decides() {
    let (polled, url) = echoing(&localhost());
    let told = tells(&polled, &url, None);
    assert!(told.iter().any(|event| event.contains("UnknownIssuer")), "{told:?}");
}

#[test]
fn a_handler_says_how_in_connect_and_nothing_goes_in_plain() {
    let (polled, url) = echoing(&localhost());
    let log = Log::default();
    let told = log.clone();
    let connect = Connect::new().handler(move |conn: &Connection, event: Event<'_>| match event {
        Event::Open => conn.send("before ").unwrap(),
        Event::Connect => {
            conn.send("and ").unwrap();
            conn.start_tls(&trusting()).unwrap();
            assert_eq!(conn.start_tls(&trusting()), Err(StartTlsError::Begun));
            conn.send("behind").unwrap();
        }
        Event::Read(bytes) if bytes.ends_with(b"behind") => {
            told.push(String::from_utf8_lossy(&conn.received(100)));
            conn.drain();
        }
        Event::Error(text) => told.push(text),
        _ => {}
    });
    polled.handle.connect_with(&url, connect).unwrap();
    wait_until("the answer", || !log.all().is_empty());
    assert_eq!(log.all(), ["before and behind"]);
}

#[test]
fn starttls_of_a_client() {
    let tls = localhost().tls();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::Read(bytes) if !conn.is_tls() => {
            conn.consume(bytes.len());
            conn.send("go on").unwrap();
            conn.start_tls(&tls).unwrap();
        }
        event => echo(conn, event),
    });
    let address = polled.listen("tcp://127.0.0.1:0");
    let log = Log::default();
    let told = log.clone();
    let connect = Connect::new().handler(move |conn: &Connection, event: Event<'_>| match event {
        Event::Connect => conn.send("STARTTLS").unwrap(),
        Event::Read(bytes) if !conn.is_tls() => {
            conn.consume(bytes.len());
            conn.start_tls(&trusting()).unwrap();
            conn.send("secret").unwrap();
        }
        Event::Read(bytes) => told.push(String::from_utf8_lossy(bytes)),
        Event::TlsHandshake => told.push("secured"),
        Event::Error(text) => told.push(text),
        _ => {}
    });
    polled.handle.connect_with(&format!("tcp://localhost:{}", address.port()), connect).unwrap();
    wait_until("the echo", || log.all().len() == 2);
    assert_eq!(log.all(), ["secured", "secret"]);
}

#[test]
fn what_is_of_no_use_is_said_at_once() {
    let manager = Manager::new(hello);
    for (url, tls, expected) in [
        ("tls://127.0.0.1:1", Tls::new().ca("garbage"), "with TLS: there is no CA in the 7 bytes"),
        ("tls://a_b c:1", trusting(), "Failed to connect"),
        ("udp://127.0.0.1:1", trusting(), "with TLS: TLS is for streams, not for UDP"),
        ("unix:/nowhere", trusting(), "with TLS: `` is neither a DNS name nor an IP address"),
    ] {
        let error: ConnectError = manager.connect_with(url, Connect::new().tls(tls)).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    assert!(manager.connections().is_empty());
}

#[test]
fn a_server_that_does_not_shake_hands_is_told_of() {
    let mut limits = Limits::default();
    limits.handshake = Duration::from_millis(300);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tls://{}", listener.local_addr().unwrap());
    // Silent; gone at once; one who speaks something else.
    let table: [(Option<&[u8]>, &str); 3] = [
        (None, "was not done in time"),
        (Some(b""), "the peer ended the connection within the TLS handshake"),
        (Some(b"220 mail.example\r\n"), "the TLS handshake failed: "),
    ];
    for (says, expected) in table {
        let log = Log::default();
        let told = log.clone();
        let mut manager = Manager::with_limits(limits.clone(), move |_: &Connection, event: Event<'_>| {
            told.push(name(&event));
        });
        manager.connect_with(&url, Connect::new().tls(trusting())).unwrap();
        poll_until(&mut manager, "the connection", || log.has("connect"));
        let (mut accepted, _) = listener.accept().unwrap();
        let silent = match says {
            None => Some(accepted),
            Some(says) => {
                // It has heard what was said to it, so that its end is no reset.
                manager.poll(Duration::from_millis(50)).unwrap();
                accepted.read_exact(&mut [0; 5]).unwrap();
                std::io::Write::write_all(&mut accepted, says).unwrap();
                accepted.shutdown(Shutdown::Write).unwrap();
                Some(accepted)
            }
        };
        poll_until(&mut manager, expected, || log.has("close"));
        assert!(log.all().iter().any(|line| line.contains(expected)), "{expected}: {:?}", log.all());
        drop(silent);
    }
}

#[test]
fn a_server_that_is_cut_off_is_told_of() {
    let mut manager = Manager::new(|conn: &Connection, event: Event<'_>| {
        if let (Event::Read(_), false) = (&event, conn.is_client()) {
            conn.send("half a").unwrap();
        }
    });
    let listener = manager.listen_with("tls://127.0.0.1:0", Listen::new().tls(localhost().tls())).unwrap();
    let log = Log::default();
    let told = log.clone();
    let connect = Connect::new().tls(trusting()).handler(move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        if let Event::TlsHandshake = event {
            conn.send("hello").unwrap();
        }
    });
    // Somebody in between, who can cut, and not read.
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tls://localhost:{}", between.local_addr().unwrap().port());
    let server = address(&listener);
    let handle = manager.connect_with(&url, connect).unwrap();
    let (spoken, over) = (log.clone(), Arc::new(AtomicBool::new(false)));
    let cut = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            let (client, _) = between.accept().unwrap();
            let server = TcpStream::connect(server).unwrap();
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
            wait_until("the answer", || spoken.has("read") || over.load(Ordering::SeqCst));
            client.shutdown(Shutdown::Both).unwrap();
            server.shutdown(Shutdown::Both).unwrap();
        }
    });
    poll_until(&mut manager, "the end", || log.has("close"));
    over.store(true, Ordering::SeqCst);
    cut.join().unwrap();
    assert!(!handle.is_open());
    assert!(log.has("read"), "{:?}", log.all());
    assert!(log.all().iter().any(|line| line.contains("truncated")), "{:?}", log.all());
}

#[test]
fn a_unix_socket_may_speak_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix:{}", folder.path().join("socket").display());
    let polled = Polled::new(echo);
    polled.handle.listen_with(&url, Listen::new().tls(localhost().tls())).unwrap();
    // It has no name of its own.
    assert_eq!(tells(&polled, &url, Some(trusting().name("localhost"))), WELL);
    assert_eq!(tells(&polled, &url, Some(Tls::new().skip_verification())), WELL);
}
