//! Certificates of servers and of clients, and what is kept of a handshake (rule M18).

use crate::certificates::{TlsClient, authority, client_config, localhost, tls_client, version_1};
use crate::support::{LAST, LIMIT, Log, Polled, address, client, hello, name, poll_until, wait_until};
use exeunt_manager::{Connection, Event, Limits, Listen, Manager, Tls};
use std::io::{Read as _, Write as _};

fn secured() -> Listen {
    Listen::new().tls(localhost().tls())
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
fn whoever_is_refused_hears_why_though_more_of_his_is_on_its_way() {
    let tls = localhost().tls().client_ca(authority().pem());
    let mut limits = Limits::default();
    limits.drain.linger = LIMIT;
    for url in ["https://127.0.0.1:0", "tls://127.0.0.1:0"] {
        let log = Log::default();
        let told = log.clone();
        let polled =
            Polled::of(Manager::with_limits(limits.clone(), move |_: &Connection, event: Event<'_>| {
                if let Event::Error(text) = event {
                    told.push(text);
                }
            }));
        let address = polled.listen_with(url, Listen::new().tls(tls.clone()));
        let mut client = tls_client(address);
        // Its last words of the handshake, in which the certificate is missing, and more than is read at once.
        client.conn.writer().write_all(&[b'x'; 50_000]).unwrap();
        client.flush().unwrap();
        wait_until("the refusal", || !log.all().is_empty());
        // A reset for the one would be the end of the other.
        client.sock.write_all(b"more").unwrap();
        client.sock.write_all(b"and more").unwrap();
        let error = client.read(&mut [0]).unwrap_err().to_string();
        assert!(error.contains("CertificateRequired"), "{url}: {error}");
    }
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
