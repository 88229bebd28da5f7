//! What we are as a client.

use super::peer::UPGRADE;
use super::serving::{echo, told};
use crate::certificates::{localhost, trusting};
use crate::support::{LIMIT, Log, Polled, address, client, poll_until, wait_until};
use exeunt_manager::{
    Connect, ConnectError, Connection, Event, Listen, Manager, WsControl, WsHandshake, WsOp,
};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Sends three messages, one for each echo, and parts.
fn three(log: Log) -> impl Fn(&Connection, Event<'_>) + Send + Sync + 'static {
    move |conn: &Connection, event: Event<'_>| {
        if matches!(event, Event::Poll | Event::Write(_) | Event::Read(_)) {
            return;
        }
        log.push(told(&event));
        match event {
            Event::WsOpen(WsHandshake::Answered(response)) => {
                assert_eq!(response.status(), 101);
                assert!(conn.is_websocket() && conn.is_client());
                conn.ws_send(WsOp::Text, "1").unwrap();
            }
            Event::WsMessage(message) if message.text() == Some("3") => conn.ws_close(1000, "done").unwrap(),
            Event::WsMessage(message) => {
                let next = message.text().unwrap().parse::<u32>().unwrap() + 1;
                conn.ws_send(WsOp::Text, next.to_string()).unwrap();
            }
            _ => {}
        }
    }
}

const EVENTS: [&str; 9] =
    ["open", "resolve", "connect", "ws answered", "ws 1", "ws 2", "ws 3", "ws close 1000 ", "close"];

#[test]
fn client_and_server_in_one_loop() {
    let log = Log::default();
    let polled = Polled::new(echo);
    let address = polled.listen("ws://127.0.0.1:0");
    let how = Connect::new().handler(three(log.clone()));
    polled.handle.ws_connect_with(&format!("ws://{address}/chat"), &[], how).unwrap();
    wait_until("the end", || log.has("close"));
    assert_eq!(log.all(), EVENTS);
}

#[test]
fn wss_is_the_same_on_tls() {
    let log = Log::default();
    let polled = Polled::new(echo);
    let address = polled.listen_with("wss://127.0.0.1:0", Listen::new().tls(localhost().tls()));
    let how = Connect::new().tls(trusting()).handler(three(log.clone()));
    polled.handle.ws_connect_with(&format!("wss://localhost:{}/", address.port()), &[], how).unwrap();
    wait_until("the end", || log.has("close"));
    let all: Vec<_> = log.all().into_iter().filter(|line| line != "TlsHandshake").collect();
    assert_eq!(all, EVENTS);
}

#[test]
fn what_cannot_be_asked_is_said_at_once() {
    let manager = Manager::without_handler();
    let table = [
        ("ws://127.0.0.1:1/", ("X", "a\r\nb"), "illegal character"),
        ("ws://127.0.0.1:1/", ("Upgrade", "h2c"), "written by the handshake"),
        ("tcp://127.0.0.1:1", ("X", "y"), "HTTP"),
        ("udp://127.0.0.1:1", ("X", "y"), "HTTP"),
    ];
    for (url, header, word) in table {
        let error = manager.ws_connect(url, &[header]).unwrap_err();
        assert!(matches!(error, ConnectError::WebSocket { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with("Failed to connect to") && text.contains(word), "{text}");
    }
    assert!(manager.ws_connect("nonsense", &[]).is_err());
    assert!(manager.connections().is_empty());
}

/// A server that says this to whoever comes; what it was asked.
fn saying(answer: &'static str) -> (SocketAddr, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0);
            asked.extend_from_slice(&piece[..length]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        _ = stream.read_to_end(&mut Vec::new());
        String::from_utf8(asked).unwrap()
    });
    (address, thread)
}

#[test]
fn a_refusal_is_told_as_it_is_and_the_end() {
    let log = Log::default();
    let polled = Polled::new(|_, _| {});
    let (address, server) = saying("HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nwho?");
    let tell = log.clone();
    let how = Connect::new().handler(move |_, event| match event {
        Event::HttpResponse(response) => tell.push(format!("{} {:?}", response.status(), response.body())),
        Event::Error(why) => tell.push(why),
        Event::Close => tell.push("close"),
        _ => {}
    });
    let headers = [("Authorization", "Basic eDp5"), ("Origin", "http://a")];
    polled.handle.ws_connect_with(&format!("ws://{address}/a?b"), &headers, how).unwrap();
    wait_until("the end", || log.has("close"));
    let said = ["401 b\"who?\"", "the server has answered, and opened no WebSocket", "close"];
    assert_eq!(log.all(), said);
    let asked = server.join().unwrap();
    assert!(asked.starts_with("GET /a?b HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("Authorization: Basic eDp5\r\nOrigin: http://a\r\n"), "{asked}");
    assert!(asked.contains(&format!("Host: {address}\r\n")), "{asked}");
}

#[test]
fn d6_a_drain_parts_with_servers_too() {
    let server = Polled::new(echo);
    let address = server.listen("ws://127.0.0.1:0");
    let log = Log::default();
    let tell = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::WsOpen(_) => tell.push("open"),
        Event::Drain => conn.ws_send(WsOp::Text, "goodbye").unwrap(),
        Event::WsMessage(message) => tell.push(message.text().unwrap()),
        Event::WsControl(WsControl::Close { code, .. }) => tell.push(code.to_string()),
        _ => {}
    });
    manager.ws_connect(&format!("ws://{address}/"), &[]).unwrap();
    poll_until(&mut manager, "it", || log.has("open"));
    assert!(manager.drain(Instant::now() + LIMIT).unwrap().is_clean());
    assert_eq!(log.all(), ["open", "goodbye", "1001"]);
}

#[test]
fn a_proxy_of_websockets_loses_nothing() {
    let back = Polled::new(echo);
    let back_address = back.listen("ws://127.0.0.1:0");
    let front = Polled::new(move |front: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => {
            let other = front.clone();
            let waiting = Arc::new(Mutex::new(Some(())));
            let how = Connect::new().handler(move |back, event| match event {
                Event::WsOpen(_) if waiting.lock().unwrap().take().is_some() => {
                    other.set_data(back.clone());
                    other.ws_upgrade(&[]).unwrap();
                }
                Event::WsMessage(message) => other.ws_send(WsOp::Text, message.data()).unwrap(),
                Event::WsControl(WsControl::Close { code, .. }) => _ = other.ws_close(*code, ""),
                _ => {}
            });
            let manager = front.manager().unwrap();
            manager.ws_connect_with(&format!("ws://{back_address}/"), &[], how).unwrap();
        }
        Event::WsMessage(message) => {
            front.data::<Connection>().unwrap().ws_send(WsOp::Text, message.data()).unwrap();
        }
        Event::WsControl(WsControl::Close { code, .. }) => {
            _ = front.data::<Connection>().unwrap().ws_close(*code, "");
        }
        _ => {}
    });
    let address = front.listen("ws://127.0.0.1:0");
    let log = Log::default();
    let clients = Polled::new(|_, _| {});
    for _ in 0..10 {
        let how = Connect::new().handler(three(log.clone()));
        clients.handle.ws_connect_with(&format!("ws://{address}/"), &[], how).unwrap();
    }
    wait_until("all of them", || log.count("close") == 10);
    assert_eq!((log.count("ws 3"), log.count("ws close 1000 ")), (10, 10), "{:?}", log.all());
}

#[test]
fn what_is_asked_by_hand_and_by_us_is_answered_alike() {
    let polled = Polled::new(echo);
    let address = polled.listen("http://127.0.0.1:0");
    let mut by_hand = client(address);
    by_hand.write_all(UPGRADE.as_bytes()).unwrap();
    let answer = super::peer::read_head(&mut by_hand);
    let log = Log::default();
    let tell = log.clone();
    let how = Connect::new().handler(move |_, event| {
        if let Event::WsOpen(WsHandshake::Answered(response)) = event {
            let names: Vec<_> = response.headers().map(|(name, _)| name.to_owned()).collect();
            tell.push(names.join(" "));
        }
    });
    polled.handle.ws_connect_with(&format!("http://{address}/ws"), &[], how).unwrap();
    wait_until("the other", || !log.all().is_empty());
    for name in log.all()[0].split(' ') {
        assert!(answer.contains(&format!("\r\n{name}: ")), "{answer}");
    }
}

#[test]
fn unix_sockets_carry_them_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket").to_str().unwrap().replace('/', "%2F");
    let url = format!("http+unix://{path}/ws");
    let log = Log::default();
    let polled = Polled::new(echo);
    polled.handle.listen(&url).unwrap();
    let how = Connect::new().handler(three(log.clone()));
    polled.handle.ws_connect_with(&url, &[], how).unwrap();
    wait_until("the end", || log.has("close"));
    assert_eq!(log.all(), EVENTS);
}

#[test]
fn d6_a_drain_of_a_server_on_tls_parts_in_peace() {
    let mut server = Manager::new(echo);
    let listener = server.listen_with("wss://127.0.0.1:0", Listen::new().tls(localhost().tls())).unwrap();
    let url = format!("wss://localhost:{}/", address(&listener).port());
    let log = Log::default();
    let clients = Polled::new(|_, _| {});
    for _ in 0..20 {
        let tell = log.clone();
        let how = Connect::new().tls(trusting()).handler(move |_, event| {
            if !matches!(event, Event::Poll | Event::Write(_) | Event::Read(_)) {
                tell.push(told(&event));
            }
        });
        clients.handle.ws_connect_with(&url, &[], how).unwrap();
    }
    poll_until(&mut server, "all of them", || log.count("ws answered") == 20);
    assert!(server.drain(Instant::now() + LIMIT).unwrap().is_clean());
    wait_until("the end", || log.count("close") == 20);
    assert_eq!(log.count("ws close 1001 "), 20);
    assert!(!log.all().iter().any(|line| line.starts_with("error")), "{:?}", log.all());
}
