//! TLS of servers (rule M18), with a client that the test moves by hand.

use crate::certificates::{
    TlsClient, authority, client_config, localhost, tls_asking, tls_client, tls_over, tls_read_to,
    tls_to_end, version_1,
};
use crate::support::{GET, LAST, Log, Polled, address, client, echo, hello, name, poll_until, wait_until};
use exeunt_manager::{Connection, Event, Limits, Listen, Manager, StartTlsError, Tls, TlsError};
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

fn secured() -> Listen {
    Listen::new().tls(localhost().tls())
}

#[test]
fn the_handshake_is_told_once_before_what_it_protects() {
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if conn.is_listening() {
            return;
        }
        assert!(conn.is_tls() || matches!(event, Event::Close));
        told.push(name(&event));
        hello(conn, event);
    });
    let address = polled.listen_with("https://127.0.0.1:0", secured());
    let mut client = tls_asking(address, GET);
    tls_read_to(&mut client, "hello");
    client.write_all(LAST.as_bytes()).unwrap();
    let text = tls_to_end(client);
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("hello"), "{text}");
    wait_until("the end", || log.has("close"));
    let request = ["headers", "message", "read", "write"];
    let expected = [&["open", "accept", "TlsHandshake"][..], &request, &request, &["close"]].concat();
    assert_eq!(log.all(), expected);
}

#[test]
fn a_request_may_come_in_any_records() {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            conn.reply(200, &[], request.body().len().to_string());
        }
    });
    let address = polled.listen_with("https://127.0.0.1:0", secured());
    let mut client = tls_client(address);
    // Each byte in a record of its own.
    for byte in b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" {
        client.write_all(&[*byte]).unwrap();
    }
    tls_read_to(&mut client, "\r\n\r\n3");
    // Many records in one read: they are made first, and sent at once.
    let body = vec![b'x'; 700_000];
    client.conn.set_buffer_limit(None);
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    client.conn.writer().write_all(head.as_bytes()).unwrap();
    for piece in body.chunks(1000) {
        client.conn.writer().write_all(piece).unwrap();
    }
    client.conn.writer().write_all(&GET.repeat(20).into_bytes()).unwrap();
    let mut cipher = Vec::new();
    while client.conn.wants_write() {
        client.conn.write_tls(&mut cipher).unwrap();
    }
    client.sock.write_all(&cipher).unwrap();
    let text = tls_read_to(&mut client, "\r\n\r\n0");
    assert!(text.contains("\r\n\r\n700000"), "{text}");
    let mut answers = text.matches("HTTP/1.1 200 ").count();
    while answers < 21 {
        answers += tls_read_to(&mut client, "\r\n\r\n0").matches("HTTP/1.1 200 ").count();
    }
    // Torn records: the ciphertext comes byte by byte.
    client.conn.writer().write_all(LAST.as_bytes()).unwrap();
    cipher.clear();
    client.conn.write_tls(&mut cipher).unwrap();
    for byte in cipher {
        client.sock.write_all(&[byte]).unwrap();
    }
    assert!(tls_to_end(client).ends_with("\r\n\r\n0"));
}

#[test]
fn a_large_answer_arrives_whole_at_a_slow_reader() {
    let large: Vec<u8> = (0..20_000_000_u32).map(|at| (at % 251) as u8).collect();
    let answer = large.clone();
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => conn.reply(200, &[], &answer),
        Event::Write(bytes) => told.push(bytes.to_string()),
        _ => {}
    });
    let address = polled.listen_with("https://127.0.0.1:0", secured());
    let mut client = tls_asking(address, LAST);
    wait_until("the peer is behind", || !log.all().is_empty());
    let conn = polled.handle.connections().pop().unwrap();
    assert!(conn.unsent_len() > 1_000_000, "what the kernel has not taken is not sent");
    let mut text = Vec::new();
    let mut piece = [0; 10_000];
    loop {
        match client.read(&mut piece).unwrap() {
            0 => break,
            length => text.extend_from_slice(&piece[..length]),
        }
    }
    let body = text.len() - large.len();
    assert!(text[body..] == large, "it differs");
    wait_until("the end", || !conn.is_open());
    let sent: usize = log.all().iter().map(|bytes| bytes.parse::<usize>().unwrap()).sum();
    assert_eq!(sent, text.len(), "each byte is told once");
}

#[test]
fn a_file_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..5_000_001_u32).map(|at| (at % 253) as u8).collect();
    std::fs::write(folder.path().join("large.bin"), &large).unwrap();
    let files = exeunt_manager::Files::open(folder.path()).unwrap();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            conn.serve_dir(request, &files).unwrap();
        }
    });
    let address = polled.listen_with("https://127.0.0.1:0", secured());
    let mut client = tls_asking(address, "GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut text = Vec::new();
    client.read_to_end(&mut text).unwrap();
    assert!(text.ends_with(&large) && text.starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn raw_streams_echo_both_ways_at_once() {
    let polled = Polled::new(echo);
    let address = polled.listen_with("tls://127.0.0.1:0", secured());
    let mut client = tls_client(address);
    for round in 0..50_usize {
        let piece = vec![round as u8; 1 + round * 997];
        client.write_all(&piece).unwrap();
        let mut back = vec![0; piece.len()];
        client.read_exact(&mut back).unwrap();
        assert_eq!(back, piece);
        if round % 10 == 0 {
            client.conn.refresh_traffic_keys().unwrap();
        }
    }
    client.conn.send_close_notify();
    assert_eq!(tls_to_end(client), "");
}

#[test]
fn the_name_chooses_the_certificate() {
    let one = authority().sign(&["localhost"]);
    let two = authority().sign(&["two.example", "*.three.example"]);
    let tls = one.tls().certificate(two.chain.as_str(), two.key.as_str());
    let polled = Polled::new(hello);
    let address = polled.listen_with("https://127.0.0.1:0", Listen::new().tls(tls));
    for (asked, expected) in [
        ("localhost", Ok(())),
        ("two.example", Ok(())),
        ("a.three.example", Ok(())),
        ("three.example", Err(())),
        ("a.b.three.example", Err(())),
        ("unknown.example", Err(())),
    ] {
        let name = asked.to_owned().try_into().unwrap();
        let session = rustls::ClientConnection::new(client_config().into(), name).unwrap();
        let mut client = TlsClient::new(session, client(address));
        let said = client.write_all(LAST.as_bytes()).and_then(|()| client.flush());
        let said = said.and_then(|()| client.read(&mut [0]).map(drop));
        assert_eq!(said.map_err(drop), expected, "{asked}");
    }
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
fn a_certificate_of_version_1_serves_whoever_does_not_verify() {
    let Some(made) = version_1() else { return };
    let mut manager = Manager::new(hello);
    let listener = manager.listen_with("https://127.0.0.1:0", Listen::new().tls(made.tls())).unwrap();
    let (log, url) = (Log::default(), format!("tls://{}", address(&listener)));
    let told = log.clone();
    let how = exeunt_manager::Connect::new().tls(Tls::new().skip_verification()).handler(
        move |conn: &Connection, event: Event<'_>| match event {
            Event::TlsHandshake => conn.send(LAST).unwrap(),
            Event::Read(bytes) => told.push(String::from_utf8_lossy(bytes)),
            event => told.push(name(&event)),
        },
    );
    manager.connect_with(&url, how).unwrap();
    poll_until(&mut manager, "the answer", || log.has("close"));
    assert!(log.all().iter().any(|text| text.ends_with("hello")), "{:?}", log.all());
    // Another's key is found out all the same.
    let another = authority().sign(&["localhost"]);
    let wrong = Listen::new().tls(Tls::new().certificate(made.chain, another.key));
    assert!(manager.listen_with("https://127.0.0.1:0", wrong).is_err());
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
fn whoever_is_refused_hears_why_though_more_of_his_is_on_its_way() {
    let tls = localhost().tls().client_ca(authority().pem());
    let polled = Polled::new(hello);
    for url in ["https://127.0.0.1:0", "tls://127.0.0.1:0"] {
        let address = polled.listen_with(url, Listen::new().tls(tls.clone()));
        for _ in 0..20 {
            let mut client = tls_client(address);
            // Its last words of the handshake, in which the certificate is missing, and more than is read at once.
            client.conn.writer().write_all(&[b'x'; 50_000]).unwrap();
            let ended = client.flush().and_then(|()| client.read(&mut [0]).map(drop));
            let error = ended.unwrap_err().to_string();
            assert!(error.contains("CertificateRequired"), "{url}: {error}");
        }
    }
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
    let mut plain = crate::support::asking(address, &first);
    // No more than that: the server's handshake follows at once.
    plain.read_exact(&mut [0; b"220 hello\r\n220 go on\r\n".len()]).unwrap();
    let mut client = TlsClient::new(session, plain);
    tls_read_to(&mut client, "secret\r\n");
    drop(client);
    wait_until("the handshake", || log.has("secured"));

    // Somebody has slipped a command in behind it: it is neither obeyed nor taken for a protected one.
    log.clear();
    let mut plain = crate::support::asking(address, "STARTTLS\r\nMAIL FROM evil\r\n");
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
    assert!(crate::support::to_end(crate::support::asking(address, LAST)).ends_with("hello"));
    assert_eq!(log.all(), ["Err(Spoken)"]);
}

#[test]
fn sessions_are_resumed() {
    let polled = Polled::new(hello);
    let address = polled.listen_with("https://127.0.0.1:0", secured());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(authority().der());
        let provider = rustls::crypto::ring::default_provider();
        let config = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = std::sync::Arc::new(config);
        for round in 0..3 {
            let name = "localhost".try_into().unwrap();
            let session = rustls::ClientConnection::new(std::sync::Arc::clone(&config), name).unwrap();
            let mut client = TlsClient::new(session, client(address));
            client.write_all(LAST.as_bytes()).unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            assert!(text.ends_with("hello"));
            let resumed = client.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            assert_eq!(resumed, round > 0, "{version:?} {round}");
        }
    }
}

#[test]
fn clients_show_the_certificates_that_a_server_asks_for() {
    let known = authority().sign(&["client.example"]);
    let tls = localhost().tls().client_ca(authority().pem());
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        match event {
            Event::Accept => assert_eq!(conn.tls_info(), None),
            Event::Error(text) => told.push(text),
            Event::TlsHandshake => {
                let info = conn.tls_info().unwrap();
                assert_eq!((info.version, info.protocol.as_deref()), ("TLSv1.3", None));
                assert!(info.cipher_suite.starts_with("TLS13_"), "{info:?}");
                assert_eq!(info.server_name.as_deref(), Some("localhost"));
                assert_eq!(info.peer_certificates.len(), 1);
            }
            _ => {}
        }
        hello(conn, event);
    });
    let address = polled.listen_with("https://127.0.0.1:0", Listen::new().tls(tls));
    let url = format!("tls://localhost:{}", address.port());
    let trusting = crate::certificates::trusting();
    for (tls, expected) in
        [(trusting.clone(), "AlertReceived"), (trusting.certificate(known.chain, known.key), "hello")]
    {
        let answer = Log::default();
        let told = answer.clone();
        let how =
            exeunt_manager::Connect::new().tls(tls).handler(move |conn: &Connection, event: Event<'_>| {
                match event {
                    Event::TlsHandshake => conn.send(LAST).unwrap(),
                    Event::Read(bytes) => told.push(String::from_utf8_lossy(bytes)),
                    event => told.push(name(&event)),
                }
            });
        polled.handle.connect_with(&url, how).unwrap();
        wait_until("the end", || answer.has("close"));
        let all = answer.all();
        if expected == "hello" {
            assert!(all.iter().any(|line| line.ends_with(expected)), "{all:?}");
        } else {
            assert!(!all.iter().any(|line| line.ends_with("hello")), "{all:?}");
            wait_until("the error", || log.all().iter().any(|line| line.contains("sent no certificates")));
        }
    }
    assert_eq!(log.all().len(), 1);
}
