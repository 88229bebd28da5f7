//! A WebSocket that we have asked for (rules M16 and M17).

use super::super::Session;
use super::bench::{Bench, End};
use crate::Limits;
use crate::core::{Core, Stage};
use crate::websocket::{Role, UpgradeError, WsOp, write};
use bytes::BytesMut;
use tungstenite::handshake::derive_accept_key;

const GOOD: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";

fn echo(session: &mut Session, core: &Core, told: &str) {
    if let Some(text) = told.strip_prefix("text ") {
        _ = session.ws_send(core, WsOp::Text, text.as_bytes());
    }
}

/// It has asked, with these headers; and what accepts it.
fn asking(headers: &[(&str, &str)]) -> (Bench, String) {
    let mut bench = Bench::client(Limits::default(), echo);
    bench.does(|session, core| session.ws_ask(core, "/ws?a", headers).unwrap());
    let text = bench.text();
    assert!(text.starts_with("GET /ws?a HTTP/1.1\r\nHost: "), "{text}");
    for field in ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"] {
        assert!(text.contains(&format!("\r\n{field}\r\n")), "{text}");
    }
    let key = text.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let accept = derive_accept_key(key.as_bytes());
    bench.wire.clear();
    (bench, accept)
}

fn opened() -> Bench {
    let (mut bench, accept) = asking(&[]);
    bench.arrives(format!("{GOOD}{accept}\r\n\r\n"));
    assert_eq!(bench.told, ["opened 101"]);
    assert!(bench.session.is_websocket());
    bench.told.clear();
    bench
}

/// A frame of the server's.
fn frame(op: WsOp, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    write(&mut bytes, Role::Server, op, payload);
    bytes.to_vec()
}

const CLOSE: &[u8] = b"\x03\xe8";

/// The payloads of what we have sent, unmasked.
fn said(bench: &Bench) -> Vec<(u8, Vec<u8>)> {
    let (mut rest, mut all) = (&bench.wire[..], Vec::new());
    while let [first, length, a, b, c, d, payload @ ..] = rest {
        assert_eq!(length & 0x80, 0x80, "masked");
        let (payload, behind) = payload.split_at(usize::from(length & 0x7f));
        let mask = [a, b, c, d].into_iter().cycle();
        all.push((*first, payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()));
        rest = behind;
    }
    all
}

#[test]
fn it_opens_when_the_server_agrees_however_that_comes() {
    for size in [1, 2, 50, 1000] {
        let (mut bench, accept) = asking(&[("Sec-WebSocket-Protocol", "a, chat"), ("X", "y")]);
        let answer = format!("{GOOD}{accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
        // What comes behind it in the same read is frames.
        let bytes = [answer.as_bytes(), &frame(WsOp::Text, b"early"), &frame(WsOp::Ping, b"?")].concat();
        for piece in bytes.chunks(size) {
            bench.arrives(piece);
        }
        assert_eq!(bench.told, ["opened 101", "text early", "ping ?"], "{size}");
        assert_eq!(said(&bench), [(0x81, b"early".to_vec()), (0x8a, b"?".to_vec())]);
        assert!(bench.reads && bench.end.is_none());
    }
}

#[test]
fn a_handshake_that_is_none_is_an_error() {
    let table: [(&str, &str); 8] = [
        (
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
             Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n",
            "more than one",
        ),
        (
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            "Sec-WebSocket-Accept",
        ),
        ("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n", "Upgrade: websocket"),
        ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n", "Connection"),
        ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "Sec-WebSocket-Accept"),
        (
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x{}\r\n\r\n",
            "Sec-WebSocket-Accept",
        ),
        (
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
             Sec-WebSocket-Protocol: chat\r\n\r\n",
            "subprotocol",
        ),
        (
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
             Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            "extension",
        ),
    ];
    for (answer, word) in table {
        let (mut bench, accept) = asking(&[]);
        bench.arrives(answer.replace("{}", &accept)).arrives(frame(WsOp::Text, b"x"));
        assert_eq!(bench.told.len(), 2, "{:?}", bench.told);
        assert!(bench.told[0].contains("error") && bench.told[0].contains(word), "{:?}", bench.told);
        assert_eq!((bench.told[1].as_str(), bench.end), ("close", Some(End::Closed)));
    }
}

#[test]
fn another_answer_is_told_as_it_is_then_an_error_and_the_end() {
    for (answer, told) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "response 404 no"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "response 200 hi"),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "response 302 "),
    ] {
        let (mut bench, _) = asking(&[]);
        bench.arrives(answer);
        let head = told.replace("response", "head");
        let head = head.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let error = "error the server has answered, and opened no WebSocket";
        assert_eq!(bench.told, [head.as_str(), told, error, "close"]);
        assert_eq!(bench.end, Some(End::Closed));
    }
    let (mut bench, _) = asking(&[]);
    bench.peer_ends();
    assert_eq!(bench.told.len(), 2, "one error: {:?}", bench.told);
}

#[test]
fn the_answer_has_its_time() {
    let (mut bench, _) = asking(&[]);
    // It was asked a moment behind the beginning.
    assert!(bench.wakes_at().is_some_and(|at| (10_000..11_000).contains(&at)));
    bench.ticks_at(11_000);
    assert!(bench.told[0].contains("no answer came for 10s"), "{:?}", bench.told);
    assert_eq!((bench.told.len(), bench.end), (2, Some(End::Closed)));
}

#[test]
fn headers_that_are_none_are_refused() {
    let mut bench = Bench::client(Limits::default(), echo);
    bench.does(|session, core| {
        for (name, value) in [("X", "a\r\nb"), ("X\n", "")] {
            let error = session.ws_ask(core, "/", &[(name, value)]).unwrap_err();
            assert!(matches!(error, UpgradeError::Header(_)), "{error}");
        }
        let error = session.ws_ask(core, "/", &[("sec-websocket-key", "x")]).unwrap_err();
        assert!(matches!(error, UpgradeError::Reserved { .. }), "{error}");
        assert_eq!(session.unsent_len(), 0);
    });
    let mut raw = Bench::raw(Limits::default(), echo);
    raw.does(|session, core| {
        assert!(matches!(session.ws_ask(core, "/", &[]), Err(UpgradeError::NotHttp)));
    });
}

#[test]
fn the_client_waits_for_the_server_to_close_first() {
    let mut bench = opened();
    bench.does(|session, core| session.ws_close(core, 1000, "").unwrap());
    bench.at(500).arrives(frame(WsOp::Close, CLOSE));
    assert_eq!(bench.told, ["end 1000 "]);
    assert!(!bench.lingers && bench.reads, "the server is to close (RFC 6455 §7.1.1)");
    // What comes behind a Close is nothing.
    bench.arrives(frame(WsOp::Text, b"x")).peer_ends();
    assert_eq!((bench.told.len(), bench.end), (2, Some(End::Closed)));

    let mut bench = opened();
    bench.at(500).arrives(frame(WsOp::Close, CLOSE));
    assert_eq!(said(&bench), [(0x88, CLOSE.to_vec())]);
    assert_eq!(bench.wakes_at(), Some(10_500));
    bench.ticks_at(10_500);
    assert!(bench.lingers, "but not for ever");
    assert_eq!(bench.told, ["end 1000 ", "close"]);
}

#[test]
fn a_server_that_masks_is_refused() {
    let mut bytes = BytesMut::new();
    write(&mut bytes, Role::Client, WsOp::Text, b"x");
    let mut bench = opened();
    bench.arrives(&bytes);
    assert_eq!(said(&bench), [(0x88, 1002_u16.to_be_bytes().to_vec())]);
    assert!(bench.told[0].contains("masked") && bench.lingers, "{:?}", bench.told);
}

#[test]
fn d6_the_drain_says_1001_to_servers_too() {
    let mut bench = opened();
    bench.at(1000).enters(Stage::Draining);
    assert_eq!(said(&bench), [(0x88, 1001_u16.to_be_bytes().to_vec())]);
    bench.arrives(frame(WsOp::Close, b"\x03\xe9")).peer_ends();
    assert_eq!((bench.told.last().map(String::as_str), bench.end), (Some("close"), Some(End::Closed)));

    // What is asked before the drain is awaited, and then told at once.
    let (mut bench, accept) = asking(&[]);
    bench.hears_of_drain().at(1000).enters(Stage::Draining);
    assert_eq!(bench.end, None);
    bench.at(1500).arrives(format!("{GOOD}{accept}\r\n\r\n"));
    assert_eq!(bench.told, ["opened 101"]);
    assert_eq!(said(&bench), [(0x88, 1001_u16.to_be_bytes().to_vec())]);
}
