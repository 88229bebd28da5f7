//! Slow and hostile peers.

use crate::support::{
    GET, LAST, LIMIT, Log, Polled, asking, client, hello, name, poll_until, read_to, to_end, wait_until,
};
use exeunt_manager::{Connection, Event, Manager};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

fn reset(client: std::net::TcpStream) {
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
}

#[test]
fn a_request_may_trickle() {
    let polled = Polled::new(hello);
    let address = polled.listen("http://127.0.0.1:0");
    let mut slow = client(address);
    slow.set_nodelay(true).unwrap();
    for byte in LAST.as_bytes() {
        slow.write_all(&[*byte]).unwrap();
        assert!(to_end(asking(address, LAST)).ends_with("hello"), "others are served meanwhile");
    }
    assert!(to_end(slow).ends_with("hello"));
}

#[test]
fn who_has_ended_his_side_gets_his_answer() {
    let polled = Polled::new(|conn, event| {
        if let Event::HttpMessage(_) = event {
            let conn = conn.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                conn.reply(200, &[], "late");
            });
        }
    });
    let client = asking(polled.listen("http://127.0.0.1:0"), [GET, GET].concat());
    client.shutdown(Shutdown::Write).unwrap();
    let text = to_end(client);
    assert_eq!(text.matches("late").count(), 2, "{text}");
    wait_until("its end", || polled.handle.connections().len() == 1);
}

#[test]
fn a_reset_is_the_end_wherever_it_comes() {
    let log = Log::default();
    let told = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        told.push(name(&event));
        if let Event::HttpMessage(request) = event {
            match request.uri() {
                "/never" => {}
                "/large" => conn.reply(200, &[], vec![b'x'; 10_000_000]),
                "/stream" => conn.sse("", "first").unwrap(),
                _ => conn.reply(200, &[], "hello"),
            }
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let requests =
        [String::new(), get("/")[..9].to_owned(), get("/never"), get("/large"), get("/stream"), get("/")];
    for (round, request) in requests.iter().enumerate() {
        let mut client = asking(address, request);
        if round > 2 {
            client.read_exact(&mut [0; 1]).unwrap();
        } else {
            wait_until("it is there", || log.count("accept") == round + 1);
        }
        reset(client);
        wait_until("its end", || log.count("close") == round + 1);
        assert_eq!(polled.handle.connections().len(), 1);
    }
}

#[test]
fn garbage_is_refused_and_harms_nobody() {
    let polled = Polled::new(hello);
    let address = polled.listen("http://127.0.0.1:0");
    let mut kept = asking(address, GET);
    read_to(&mut kept, "hello");
    let random: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let tls_hello = [&[0x16, 3, 1, 2, 0, 1][..], &[0; 500]].concat();
    let table: [(&str, &[u8]); 6] = [
        ("random", &random),
        ("TLS", &tls_hello),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("two lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ("NUL", b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("bare LF", b"GET / HTTP/1.1\nHost: a\n\n"),
    ];
    for (name, bytes) in table {
        let mut client = client(address);
        // It may be closed before all is written.
        _ = client.write_all(bytes);
        let mut text = Vec::new();
        _ = client.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 505"),
            "{name}: {text}"
        );
        assert!(!text.contains("hello"), "{name}");
        kept.write_all(GET.as_bytes()).unwrap();
        read_to(&mut kept, "hello");
    }
}

#[test]
fn five_hundred_headers_are_told() {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            conn.reply(200, &[], format!("{} {:?}", request.headers().len(), request.header("X-499")));
        }
    });
    let fields: String = (0..500).map(|i| format!("X-{i}: {i}\r\n")).collect();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    assert!(to_end(asking(polled.listen("http://127.0.0.1:0"), request)).ends_with("502 Some(\"499\")"));
}

#[test]
fn a_client_that_waits_for_leave_gets_it_from_a_real_socket() {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(request) = event {
            conn.reply(200, &[], request.body());
        }
    });
    let head =
        "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut client = asking(polled.listen("http://127.0.0.1:0"), head);
    assert_eq!(read_to(&mut client, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hello").unwrap();
    assert!(to_end(client).ends_with("\r\n\r\nhello"));
}

#[test]
fn many_clients_at_once_are_all_answered() {
    let polled = Polled::new(hello);
    let address = polled.listen("http://127.0.0.1:0");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut kept = client(address);
                for _ in 0..100 {
                    kept.write_all(GET.as_bytes()).unwrap();
                    read_to(&mut kept, "hello");
                    assert!(to_end(asking(address, LAST)).ends_with("hello"));
                }
            });
        }
    });
}

#[test]
fn a_connection_that_closes_reads_on_so_that_the_answer_arrives() {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| {
        if let Event::HttpHeaders(_) = event {
            conn.reply(413, &[("Connection", "close")], vec![b'x'; 100_000]);
        }
    });
    let mut client = client(polled.listen("http://127.0.0.1:0"));
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n").unwrap();
    client.write_all(&[b'b'; 30_000]).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    client.write_all(&[b'b'; 30_000]).unwrap();
    let mut text = Vec::new();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.read_to_end(&mut text).unwrap();
    assert!(text.len() > 100_000, "D7: no reset ate it");
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |_: &Connection, event: Event<'_>| told.push(name(&event)));
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let mut client = client(crate::support::address(&listener));
    poll_until(&mut manager, "the client", || log.has("accept"));
    manager.poll(Duration::from_millis(10)).unwrap();
    // One edge for both.
    client.write_all(b"last").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    poll_until(&mut manager, "the end", || log.has("close"));
    assert_eq!(log.count("read"), 1);
}
