//! What is said on TLS (rule M18), with a client that the test moves by hand.

use crate::certificates::{localhost, tls_asking, tls_client, tls_read_to, tls_to_end};
use crate::support::{GET, LAST, Log, Polled, echo, hello, name, wait_until};
use exeunt_manager::{Connection, Event, Listen};
use std::io::{Read as _, Write as _};

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
