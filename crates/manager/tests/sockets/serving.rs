//! Requests are answered.

use crate::support::{Polled, client, to_end};
use exeunt_manager::{Connection, Event, Manager};
use std::io::Write as _;
use std::net::Shutdown;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

fn hello(conn: &Connection, event: Event<'_>) {
    match event {
        Event::HttpMessage(request) if request.uri() == "/" => conn.reply(200, &[], b"hello"),
        Event::HttpMessage(_) => conn.reply(404, &[], b""),
        _ => {}
    }
}

#[test]
fn a_request_is_answered() {
    let polled = Polled::new(hello);
    let address = polled.listen("http://127.0.0.1:0");
    let mut client = client(address);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let answer = to_end(client);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let polled = Polled::new(hello);
    let address = polled.listen("http://127.0.0.1:0");
    let mut client = client(address);
    let one = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client.write_all(format!("{one}{one}{one}{last}").as_bytes()).unwrap();
    let answer = to_end(client);
    assert_eq!(answer.matches("200 OK").count(), 3, "{answer}");
    assert_eq!(answer.matches("404 Not Found").count(), 1, "{answer}");
}

#[test]
fn an_answer_may_come_later_from_another_thread() {
    let (ask, asked): (_, Receiver<Connection>) = channel();
    let ask = std::sync::Mutex::new(ask);
    let polled = Polled::new(move |conn, event| {
        if let Event::HttpMessage(_) = event {
            ask.lock().unwrap().send(conn.clone()).unwrap();
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    let mut client = client(address);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /held").unwrap();
    let conn = asked.recv().unwrap();
    conn.reply(200, &[], "later");
    assert!(to_end(client).ends_with("later"));
}

#[test]
fn raw_bytes_are_echoed_and_a_half_close_ends_it() {
    let polled = Polled::new(|conn, event| {
        if let Event::Read(bytes) = event {
            conn.send(bytes).unwrap();
            conn.consume(bytes.len());
        }
    });
    let address = polled.listen("tcp://127.0.0.1:0");
    let mut client = client(address);
    client.write_all(b"some bytes").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(client), "some bytes");
}

#[test]
fn a_drain_answers_what_is_owed_and_ends() {
    let mut manager = Manager::new(|conn, event| {
        if let Event::HttpMessage(_) = event {
            let conn = conn.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                conn.reply(200, &[], "in time");
            });
        }
    });
    let address =
        manager.listen("http://127.0.0.1:0").unwrap().local_address().unwrap().as_socket_addr().unwrap();
    let mut client = client(address);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    while manager.connections().len() < 2 {
        manager.poll(Duration::from_secs(1)).unwrap();
    }
    let report = manager.drain(Instant::now() + Duration::from_secs(20)).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.listeners.len(), 1);
    let answer = to_end(client);
    assert!(answer.contains("Connection: close\r\n") && answer.ends_with("in time"), "{answer}");
}
