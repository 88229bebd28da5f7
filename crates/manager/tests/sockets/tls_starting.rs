//! How TLS begins on a server (rule M18), and does not.

use crate::certificates::{
    TlsClient, authority, client_config, localhost, tls_asking, tls_over, tls_read_to, tls_to_end,
};
use crate::support::{
    GET, LAST, Log, Polled, address, asking, client, hello, name, poll_until, to_end, wait_until,
};
use exeunt_manager::{Connection, Event, Limits, Listen, Manager, StartTlsError, Tls, TlsError};
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

fn secured() -> Listen {
    Listen::new().tls(localhost().tls())
}

#[test]
fn without_a_certificate_the_listener_is_there_and_its_clients_are_told_why_not() {
    for url in ["https://127.0.0.1:0", "wss://127.0.0.1:0", "tls://127.0.0.1:0", "mqtts://127.0.0.1:0"] {
        let log = Log::default();
        let told = log.clone();
        let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
            if !conn.is_listening() {
                told.push(name(&event));
            }
        });
        let listener = manager.listen(url).unwrap();
        let mut client = client(address(&listener));
        poll_until(&mut manager, "the end", || log.has("close"));
        let all = log.all();
        let [open, accept, error, close] = &all[..] else { panic!("{all:?}") };
        assert_eq!([open, accept, close], ["open", "accept", "close"]);
        assert!(error.contains("a server needs a certificate: give Listen::tls"), "{error}");
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_handler_says_how_in_accept() {
    let other = authority().sign(&["other.example"]).tls();
    let own = localhost().tls();
    for listen in [Listen::new(), Listen::new().tls(other)] {
        let log = Log::default();
        let (told, own) = (log.clone(), own.clone());
        let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
            if let (Event::Accept, false) = (event, conn.is_listening()) {
                conn.start_tls(&own).unwrap();
                assert_eq!(conn.start_tls(&own), Err(StartTlsError::Begun));
                assert_eq!(conn.start_tls(&Tls::new()), Err(StartTlsError::Begun));
            }
            if let Event::Error(text) = event {
                told.push(text);
            }
            hello(conn, event);
        });
        let address = polled.listen_with("https://127.0.0.1:0", listen);
        assert!(tls_to_end(tls_asking(address, LAST)).ends_with("hello"));
        assert!(log.all().is_empty(), "{:?}", log.all());
    }
}

#[test]
fn what_was_said_of_tls_can_be_taken_back_until_it_begins() {
    let other = authority().sign(&["other.example"]).tls();
    let own = localhost().tls();
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        match event {
            Event::Accept => {
                assert!(conn.forget_tls(), "there is nothing to take back");
                conn.start_tls(&other).unwrap();
                assert!(conn.forget_tls() && conn.is_tls(), "the URL says so still");
                conn.start_tls(&own).unwrap();
            }
            Event::TlsHandshake => assert!(!conn.forget_tls() && conn.is_tls()),
            Event::Error(text) => told.push(text),
            _ => {}
        }
        hello(conn, event);
    });
    let address = polled.listen_with("https://127.0.0.1:0", Listen::new());
    assert!(tls_to_end(tls_asking(address, LAST)).ends_with("hello"));
    assert!(log.all().is_empty(), "{:?}", log.all());
}

#[test]
fn a_listener_is_told_of_tls_later() {
    let mut manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let address = address(&listener);
    let stream = manager.listen("udp://127.0.0.1:0").unwrap();
    assert!(!stream.accept_tls(&localhost().tls()) && !stream.is_tls());
    assert!(listener.accept_tls(&localhost().tls()) && listener.is_tls() && listener.is_listening());
    let asked = std::thread::spawn(move || tls_to_end(tls_asking(address, LAST)));
    poll_until(&mut manager, "the answer", || asked.is_finished());
    assert!(asked.join().unwrap().ends_with("hello"));
    assert!(listener.forget_tls() && !listener.is_tls() && listener.is_listening());
    let asked = std::thread::spawn(move || to_end(asking(address, LAST)));
    poll_until(&mut manager, "the answer", || asked.is_finished());
    assert!(asked.join().unwrap().ends_with("hello"));
    listener.close();
    manager.poll(Duration::ZERO).unwrap();
    assert!(!listener.accept_tls(&localhost().tls()) && listener.forget_tls());
}

#[test]
fn start_tls_where_there_is_nothing_to_start_is_harmless() {
    let tls = localhost().tls();
    let mut manager = Manager::new(hello);
    let plain = manager.listen("http://127.0.0.1:0").unwrap();
    let secret = manager.listen("https://127.0.0.1:0").unwrap();
    let datagrams = manager.listen("udp://127.0.0.1:0").unwrap();
    for conn in [&plain, &secret, &datagrams] {
        assert_eq!(conn.start_tls(&tls), Err(StartTlsError::NotAStream));
        assert!(!conn.is_tls() && conn.is_open());
    }
    plain.close();
    manager.poll(Duration::ZERO).unwrap();
    assert!(matches!(plain.start_tls(&tls), Err(StartTlsError::Closed(_))));
    let error = manager.listen_with("udp://127.0.0.1:0", Listen::new().tls(tls)).unwrap_err();
    assert!(error.to_string().starts_with("Failed to listen on `udp://127.0.0.1:0` with TLS: "), "{error}");
    let garbage = Listen::new().tls(Tls::new().certificate("garbage", "garbage"));
    let error = manager.listen_with("https://127.0.0.1:0", garbage).unwrap_err();
    assert!(error.to_string().contains("with TLS: there is no certificate in the 7 bytes"), "{error}");
}

#[test]
fn garbage_pem_in_accept_is_an_error_and_no_end() {
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::Accept = event {
            let garbage = Tls::new().certificate("garbage", "garbage");
            let Err(StartTlsError::Tls(TlsError::Missing { .. })) = conn.start_tls(&garbage) else {
                panic!("it was taken");
            };
            told.push("refused");
            conn.start_tls(&localhost().tls()).unwrap();
        }
        hello(conn, event);
    });
    let address = polled.listen("https://127.0.0.1:0");
    assert!(tls_to_end(tls_asking(address, LAST)).ends_with("hello"));
    assert_eq!(log.count("refused"), 1);
}

#[test]
fn what_is_no_tls_is_told_and_ends_that_one_only() {
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::Error(text) = event {
            told.push(text);
        }
        hello(conn, event);
    });
    let address = polled.listen_with("https://127.0.0.1:0", secured());
    let mut there = tls_asking(address, GET);
    tls_read_to(&mut there, "hello");
    let table: [(&[u8], &str); 5] = [
        (GET.as_bytes(), "the TLS handshake failed: received corrupt message of type InvalidContentType"),
        (&[0; 100], "the TLS handshake failed: "),
        (&[0x16, 3, 1, 0xff, 0xff], "the TLS handshake failed: "),
        (&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0], "the TLS handshake failed: "),
        (&[0x16, 3, 1, 0], "the peer ended the connection within the TLS handshake"),
    ];
    for (at, (garbage, expected)) in table.into_iter().enumerate() {
        let mut client = client(address);
        client.write_all(garbage).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        // An alert, perhaps, and the end.
        _ = client.read_to_end(&mut Vec::new());
        wait_until("the error", || log.all().len() == at + 1);
        assert!(log.all()[at].starts_with(expected), "{:?}", log.all());
    }
    // Whoever only looks whether somebody is there is no error.
    drop(client(address));
    wait_until("the end", || polled.handle.connections().len() == 2);
    assert_eq!(log.all().len(), 5);
    there.write_all(LAST.as_bytes()).unwrap();
    assert!(tls_to_end(there).ends_with("hello"));
}

#[test]
fn a_handshake_has_its_time_and_no_more() {
    let log = Log::default();
    let told = log.clone();
    let mut limits = Limits::default();
    limits.handshake = Duration::from_millis(300);
    // The handshake is no silence between requests, and no request that comes slowly.
    limits.drain.idle = Duration::from_millis(1);
    limits.drain.head = Duration::from_millis(1);
    let mut manager = Manager::with_limits(limits, move |conn: &Connection, event: Event<'_>| {
        if !conn.is_listening() {
            told.push(format!("{} {}", conn.id(), name(&event)));
        }
    });
    for url in ["https://127.0.0.1:0", "tls://127.0.0.1:0"] {
        let listener = manager.listen_with(url, secured()).unwrap();
        let silent = client(address(&listener));
        let mut trickling = client(address(&listener));
        trickling.write_all(&[0x16, 3, 1, 2, 0]).unwrap();
        let began = Instant::now();
        let handle = manager.handle();
        poll_until(&mut manager, "both", || handle.connections().len() >= 3);
        poll_until(&mut manager, "the ends", || handle.connections().len() == 1);
        assert!(began.elapsed() >= Duration::from_millis(300));
        let errors: Vec<_> = log.all().into_iter().filter(|line| line.contains("error")).collect();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors.iter().all(|line| line.contains("the TLS handshake was not done in time")));
        assert_eq!(log.all().iter().filter(|line| line.ends_with("close")).count(), 2);
        listener.close();
        manager.poll(Duration::ZERO).unwrap();
        log.clear();
        drop((silent, trickling));
    }
}

#[test]
fn starttls_goes_on_in_secret_behind_what_was_said_in_plain() {
    let log = Log::default();
    let told = log.clone();
    let tls = localhost().tls();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::Accept => conn.send("220 hello\r\n").unwrap(),
        Event::Read(bytes) if !conn.is_tls() => {
            let command = b"STARTTLS\r\n";
            assert!(bytes.starts_with(command), "{bytes:?}");
            conn.consume(command.len());
            conn.send("220 go on\r\n").unwrap();
            conn.start_tls(&tls).unwrap();
            conn.send("secret\r\n").unwrap();
        }
        Event::Read(bytes) => {
            told.push(String::from_utf8_lossy(bytes));
            conn.consume(bytes.len());
            conn.send("250 so be it\r\n").unwrap();
            conn.drain();
        }
        Event::TlsHandshake => told.push("secured"),
        Event::Error(text) => told.push(text),
        _ => {}
    });
    let address = polled.listen("tcp://127.0.0.1:0");
    let mut plain = client(address);
    crate::support::read_to(&mut plain, "220 hello\r\n");
    plain.write_all(b"STARTTLS\r\n").unwrap();
    crate::support::read_to(&mut plain, "220 go on\r\n");
    let mut client = tls_over(plain, client_config());
    tls_read_to(&mut client, "secret\r\n");
    client.write_all(b"MAIL").unwrap();
    assert_eq!(tls_to_end(client), "250 so be it\r\n");
    assert_eq!(log.all(), ["secured", "MAIL"]);

    // A client that does not wait for the answer: its handshake is behind the command, in the same read.
    log.clear();
    let mut session =
        rustls::ClientConnection::new(client_config().into(), "localhost".try_into().unwrap()).unwrap();
    let mut first = b"STARTTLS\r\n".to_vec();
    session.write_tls(&mut first).unwrap();
    let mut plain = asking(address, &first);
    // No more than that: the server's handshake follows at once.
    plain.read_exact(&mut [0; b"220 hello\r\n220 go on\r\n".len()]).unwrap();
    let mut client = TlsClient::new(session, plain);
    tls_read_to(&mut client, "secret\r\n");
    drop(client);
    wait_until("the handshake", || log.has("secured"));

    // Somebody has slipped a command in behind it: it is neither obeyed nor taken for a protected one.
    log.clear();
    let mut plain = asking(address, "STARTTLS\r\nMAIL FROM evil\r\n");
    let mut all = Vec::new();
    _ = plain.read_to_end(&mut all);
    assert!(!String::from_utf8_lossy(&all).contains("250"), "{all:?}");
    wait_until("the error", || log.all().iter().any(|line| line.starts_with("the TLS handshake failed: ")));
    assert!(!log.all().iter().any(|line| line.contains("MAIL")), "{:?}", log.all());
}

#[test]
fn http_that_was_spoken_in_plain_stays_so() {
    let log = Log::default();
    let told = log.clone();
    let tls = localhost().tls();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            told.push(format!("{:?}", conn.start_tls(&tls)));
        }
        hello(conn, event);
    });
    let address = polled.listen("http://127.0.0.1:0");
    assert!(to_end(asking(address, LAST)).ends_with("hello"));
    assert_eq!(log.all(), ["Err(Spoken)"]);
}
