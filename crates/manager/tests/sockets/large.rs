//! Large bodies, both ways.

use crate::support::{LIMIT, Polled, address, asking, client, poll_until};
use exeunt_manager::{Connection, Event, Manager};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SIZE: usize = 20_000_000;

fn body() -> Vec<u8> {
    (0..SIZE).map(|i| (i % 251) as u8).collect()
}

/// Reads an answer to its end, slowly at the beginning; whether its body is the one above.
fn reader(mut client: TcpStream) -> JoinHandle<bool> {
    std::thread::spawn(move || {
        let mut text = vec![0; 10_000];
        client.read_exact(&mut text).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        client.read_to_end(&mut text).unwrap();
        let head = text.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        text[head..] == body()
    })
}

fn serve(conn: &Connection, event: Event<'_>) {
    if let Event::HttpMessage(_) = event {
        conn.reply(200, &[], body());
    }
}

#[test]
fn twenty_megabytes_arrive_whole() {
    let polled = Polled::new(serve);
    let address = polled.listen("http://127.0.0.1:0");
    let readers: Vec<_> = (0..3).map(|_| reader(asking(address, crate::support::LAST))).collect();
    assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
}

#[test]
fn twenty_megabytes_in_flight_arrive_whole_in_a_drain() {
    let mut manager = Manager::new(serve);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    // One that is kept, one that ends, and one that is in the queue still when the drain begins.
    let first = asking(address(&listener), crate::support::LAST);
    let kept = asking(address(&listener), crate::support::GET);
    let handle = manager.handle();
    poll_until(&mut manager, "both", || {
        handle.connections().iter().filter(|conn| conn.is_writable()).count() == 2
    });
    let queued = reader(asking(address(&listener), crate::support::GET));
    // Nobody reads before both are under way: on a busy machine the first could be done.
    let (first, kept) = (reader(first), reader(kept));
    let report = manager.drain(Instant::now() + LIMIT).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(first.join().unwrap() && kept.join().unwrap() && queued.join().unwrap());
}

fn count(conn: &Connection, event: Event<'_>) {
    if let Event::HttpMessage(request) = event {
        let sum: u64 = request.body().iter().map(|byte| u64::from(*byte)).sum();
        conn.reply(200, &[], format!("{} {sum}", request.body().len()));
    }
}

#[test]
fn uploads_arrive_whole_by_length_and_in_chunks() {
    let polled = Polled::new(count);
    let address = polled.listen("http://127.0.0.1:0");
    let body = &body()[..8_000_000];
    let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
    for chunk in [None, Some(1000), Some(1_000_000)] {
        let mut client = client(address);
        let framing = match chunk {
            None => format!("Content-Length: {}", body.len()),
            Some(_) => "Transfer-Encoding: chunked".to_owned(),
        };
        write!(client, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}\r\n\r\n").unwrap();
        match chunk {
            None => client.write_all(body).unwrap(),
            Some(size) => {
                for piece in body.chunks(size) {
                    write!(client, "{:X}\r\n", piece.len()).unwrap();
                    client.write_all(piece).unwrap();
                    client.write_all(b"\r\n").unwrap();
                }
                client.write_all(b"0\r\n\r\n").unwrap();
            }
        }
        let answer = crate::support::to_end(client);
        assert!(answer.ends_with(&format!("{} {sum}", body.len())), "{chunk:?}: {answer}");
    }
}

#[test]
fn a_stream_of_many_chunks_arrives_whole() {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => {
            conn.reply(200, &[("Transfer-Encoding", "chunked")], "");
            conn.set_data(std::sync::atomic::AtomicU32::new(0));
            conn.chunk([b'x'; 10_000]).unwrap();
        }
        Event::Write(_) => {
            let Some(count) = conn.data::<std::sync::atomic::AtomicU32>() else { return };
            match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                ..500 => conn.chunk([b'x'; 10_000]).unwrap(),
                500 => conn.chunk("").unwrap(),
                _ => {}
            }
        }
        _ => {}
    });
    let answer = crate::support::to_end(asking(polled.listen("http://127.0.0.1:0"), crate::support::LAST));
    assert_eq!(answer.matches('x').count(), 501 * 10_000);
    assert!(answer.ends_with("\r\n0\r\n\r\n"));
}
