//! Clients of HTTP behind TLS.

use crate::certificates::{localhost, trusting};
use crate::support::{LIMIT, Log, Polled, name, poll_until};
use exeunt_manager::{Connect, Connection, Event, Listen, Manager};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

fn telling(log: &Log) -> impl Fn(&Connection, Event<'_>) + Send + Sync + 'static {
    let told = log.clone();
    move |_: &Connection, event: Event<'_>| match event {
        Event::HttpResponse(response) => {
            told.push(format!("{} {}", response.status(), String::from_utf8_lossy(response.body())));
        }
        Event::Error(_) | Event::Close => told.push(name(&event)),
        _ => {}
    }
}

/// A server of somebody else's that answers once, and says that its answer has ended, or not.
fn answering(answer: &'static str, says_so: bool) -> SocketAddr {
    let made = localhost();
    let chain = CertificateDer::pem_slice_iter(made.chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        stream.read_exact(&mut [0; 16]).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        if says_so {
            stream.conn.send_close_notify();
        }
        stream.flush().unwrap();
        stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
        _ = stream.sock.read_to_end(&mut Vec::new());
    });
    address
}

#[test]
fn what_ends_unannounced_is_not_whole() {
    let until_end = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let torn = "error GET /: the connection broke: it ended without TLS's close_notify";
    for (answer, says_so, expected) in [
        (until_end, true, &["200 until the end", "close"][..]),
        (until_end, false, &[torn, "close"]),
        // HTTP knows where that ends.
        (length, true, &["200 hello", "close"]),
        (length, false, &["200 hello", "close"]),
    ] {
        let peer = answering(answer, says_so);
        let log = Log::default();
        let mut manager = Manager::new(telling(&log));
        let how = Connect::new().tls(trusting());
        let conn = manager.connect_with(&format!("https://localhost:{}/", peer.port()), how).unwrap();
        // Nothing of it goes before the handshake is done.
        conn.request("GET", "/", &[], "").unwrap();
        poll_until(&mut manager, "the end", || log.has("close"));
        assert_eq!(log.all(), expected, "{answer} {says_so}");
    }
}

#[test]
fn our_own_server_is_asked_and_its_name_is_looked_at() {
    let server = Polled::new(crate::support::hello);
    let peer = server.listen_with("https://0.0.0.0:0", Listen::new().tls(localhost().tls()));
    let log = Log::default();
    let mut manager = Manager::new(telling(&log));
    let connect = |manager: &Manager, host: &str| {
        let how = Connect::new().tls(trusting());
        let conn = manager.connect_with(&format!("https://{host}:{}", peer.port()), how).unwrap();
        conn.request("GET", "/", &[], "").unwrap();
        conn
    };
    let conn = connect(&manager, "localhost");
    poll_until(&mut manager, "an answer", || log.has("200 hello"));
    assert!(conn.is_tls() && conn.is_client());
    for _ in 0..3 {
        conn.request("GET", "/", &[], "").unwrap();
    }
    poll_until(&mut manager, "answers", || log.count("200 hello") == 4);
    connect(&manager, "127.0.0.2");
    poll_until(&mut manager, "the end", || log.has("close"));
    let all = log.all();
    assert!(all[4].starts_with("error the TLS handshake failed"), "{all:?}");
    assert_eq!(all.len(), 6);
}
