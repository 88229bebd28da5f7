//! Bodies that are told as they come.

use super::head;
use crate::certificates::{localhost, tls_client};
use crate::support::{Log, Polled, asking, client, name, to_end, wait_until};
use exeunt_manager::{Connection, Event, Listen};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn a_body_is_told_as_it_comes() {
    let log = Log::default();
    let handler = {
        let log = log.clone();
        move |conn: &Connection, event: Event<'_>| match event {
            Event::HttpHeaders(_) => {
                conn.stream_body(50_000_000).unwrap();
                conn.set_data(std::sync::Mutex::new((0_u64, 0_u64)));
            }
            Event::HttpBody(piece) => {
                let data = conn.data::<std::sync::Mutex<(u64, u64)>>().unwrap();
                let mut data = data.lock().unwrap();
                data.0 += piece.len() as u64;
                data.1 += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                assert!(piece.len() <= 1024 * 1024 && conn.received_len() <= 1024 * 1024);
            }
            Event::HttpMessage(request) => {
                assert!(request.body().is_empty());
                let data = conn.data::<std::sync::Mutex<(u64, u64)>>().unwrap();
                let (length, sum) = *data.lock().unwrap();
                conn.reply(200, &[], format!("{length} {sum}"));
            }
            Event::Error(text) => log.push(text),
            _ => {}
        }
    };
    let polled = Polled::new(handler);
    let address = polled.listen("http://127.0.0.1:0");
    let body: Vec<u8> = (0..20_000_000_u32).map(|i| (i % 251) as u8).collect();
    let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
    for chunk in [None, Some(1_000), Some(1_000_000)] {
        let mut client = client(address);
        let framing = match chunk {
            None => format!("Content-Length: {}", body.len()),
            Some(_) => "Transfer-Encoding: chunked".to_owned(),
        };
        client.write_all(head(&framing).as_bytes()).unwrap();
        for piece in body.chunks(chunk.unwrap_or(body.len())) {
            if chunk.is_some() {
                write!(client, "{:x}\r\n", piece.len()).unwrap();
            }
            client.write_all(piece).unwrap();
            client.write_all(if chunk.is_some() { b"\r\n" } else { b"" }).unwrap();
        }
        client.write_all(if chunk.is_some() { b"0\r\n\r\n" } else { b"" }).unwrap();
        let answer = to_end(client);
        assert!(answer.ends_with(&format!("{} {sum}", body.len())), "{chunk:?}: {answer}");
    }
    let refused = to_end(asking(address, head("Content-Length: 50000001")));
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    assert_eq!(log.all(), ["the body is longer than it may be"]);
}

#[test]
fn pieces_are_told_in_order() {
    let log = Log::default();
    let polled = Polled::new({
        let log = log.clone();
        move |conn: &Connection, event: Event<'_>| {
            match event {
                Event::HttpHeaders(_) => conn.stream_body(10).unwrap(),
                Event::HttpMessage(_) => conn.reply(200, &[], ""),
                _ => {}
            }
            if !matches!(event, Event::Poll | Event::Write(_)) {
                log.push(name(&event));
            }
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    log.push("connects");
    let mut client = asking(address, head("Content-Length: 6") + "abc");
    wait_until("the first read", || log.has("read"));
    client.write_all(b"def").unwrap();
    to_end(client);
    wait_until("the close", || log.has("close"));
    let connection = ["open", "accept", "headers", "body", "read", "body", "message", "read", "close"];
    assert_eq!(log.all(), [&["open", "connects"][..], &connection].concat());
}

/// A program that pauses behind each piece, until it is woken, and a client that sends so much by that connection.
fn sends_with_pauses<C: Read + Write + Send + 'static>(
    url: &str,
    how: Listen,
    size: u64,
    connects: impl FnOnce(SocketAddr) -> C,
) {
    let seen = Arc::new(AtomicU64::new(0));
    let handler = {
        let seen = Arc::clone(&seen);
        move |conn: &Connection, event: Event<'_>| match event {
            Event::HttpHeaders(_) => conn.stream_body(u64::MAX).unwrap(),
            Event::HttpBody(piece) => {
                conn.pause_body(true);
                seen.fetch_add(piece.len() as u64, Ordering::SeqCst);
            }
            Event::Wakeup(_) => conn.pause_body(false),
            Event::HttpMessage(_) => conn.reply(200, &[], "all of it"),
            _ => {}
        }
    };
    let polled = Polled::new(handler);
    let mut client = connects(polled.listen_with(url, how));
    let sending = std::thread::spawn(move || {
        client.write_all(head(&format!("Content-Length: {size}")).as_bytes()).unwrap();
        client.write_all(&vec![b'x'; size as usize]).unwrap();
        client.flush().unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    });
    let so_far = || seen.load(Ordering::SeqCst);
    wait_until("the first piece", || so_far() > 0);
    let conn = polled.handle.connections().into_iter().find(|conn| !conn.is_listening()).unwrap();
    // Passes of the loop, which read nothing: the kernel has taken what it can, and the client waits.
    let first = so_far();
    for _ in 0..50 {
        polled.handle.wake();
        assert!(conn.received_len() <= 64 * 1024);
    }
    assert_eq!(so_far(), first);
    assert!(!sending.is_finished());
    while !sending.is_finished() {
        let before = so_far();
        conn.wakeup("").ok();
        wait_until("the next piece", || so_far() > before || sending.is_finished());
    }
    assert!(sending.join().unwrap().ends_with("all of it"));
    assert_eq!(so_far(), size);
}

#[test]
fn a_pause_holds_the_client_back() {
    sends_with_pauses("http://127.0.0.1:0", Listen::new(), 30_000_000, client);
    // What TLS has read already waits as well, and is not forgotten.
    let how = Listen::new().tls(localhost().tls());
    sends_with_pauses("https://127.0.0.1:0", how, 8_000_000, tls_client);
}
