//! What a server does for its clients.

use super::peer::{UPGRADE, close_frame, frame, opened, read_frame, read_head};
use crate::support::{GET, Log, Polled, address, asking, name, poll_until, to_end, wait_until};
use exeunt_manager::{Connection, Event, Manager, SendError, WsControl, WsHandshake, WsOp};
use std::io::Write as _;

/// Answers every message with itself.
pub(crate) fn echo(conn: &Connection, event: Event<'_>) {
    match event {
        Event::HttpMessage(_) => _ = conn.ws_upgrade(&[]),
        Event::WsMessage(message) => {
            let op = if message.is_binary() { WsOp::Binary } else { WsOp::Text };
            // What has crossed our Close cannot be answered.
            match conn.ws_send(op, message.data()) {
                Ok(()) | Err(SendError::SaidClose) => {}
                Err(error) => panic!("{error}"),
            }
        }
        _ => {}
    }
}

pub(crate) fn told(event: &Event<'_>) -> String {
    match event {
        Event::WsOpen(WsHandshake::Asked(request)) => format!("ws open {}", request.uri()),
        Event::WsOpen(WsHandshake::Answered(_)) => "ws answered".to_owned(),
        Event::WsMessage(message) => format!("ws {}", message.text().unwrap_or("binary")),
        Event::WsControl(WsControl::Close { code, reason }) => format!("ws close {code} {reason}"),
        Event::WsControl(control) => format!("{control:?}"),
        other => name(other),
    }
}

#[test]
fn events_come_in_the_order_that_is_documented() {
    let log = Log::default();
    let tell = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if conn.is_listening() || matches!(event, Event::Write(_)) {
            return;
        }
        tell.push(told(&event));
        if let Event::HttpMessage(_) = event {
            assert!(!conn.is_websocket());
            conn.ws_upgrade(&[("Sec-WebSocket-Protocol", "chat")]).unwrap();
            assert!(conn.is_websocket());
            tell.push("upgraded");
        }
        if let Event::WsOpen(_) = event {
            conn.ws_send(WsOp::Text, "welcome").unwrap();
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    let (mut client, answer) = opened(address);
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    assert!(answer.contains("Upgrade: websocket\r\nConnection: Upgrade\r\n"), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Protocol: chat\r\n"), "{answer}");
    assert_eq!(read_frame(&mut client), Some((0x81, b"welcome".to_vec())));
    client.write_all(&[frame(0x81, b"one"), frame(0x82, b"two"), frame(0x89, b"?")].concat()).unwrap();
    assert_eq!(read_frame(&mut client), Some((0x8a, b"?".to_vec())));
    client.write_all(&frame(0x88, b"\x03\xe8bye")).unwrap();
    assert_eq!(read_frame(&mut client), Some((0x88, b"\x03\xe8".to_vec())));
    assert_eq!(read_frame(&mut client), None);
    wait_until("the close", || log.has("close"));
    let expected = [
        "open",
        "accept",
        "headers",
        "message",
        "ws open /ws",
        "upgraded",
        "read",
        "ws one",
        "ws binary",
        "Ping(b\"?\")",
        "read",
        "ws close 1000 bye",
        "read",
        "close",
    ];
    assert_eq!(log.all(), expected);
}

#[test]
fn what_came_behind_the_upgrade_is_frames() {
    let polled = Polled::new(echo);
    let address = polled.listen("ws://127.0.0.1:0");
    let mut client =
        asking(address, [UPGRADE.as_bytes(), &frame(0x81, b"early"), &close_frame(1000)].concat());
    read_head(&mut client);
    assert_eq!(read_frame(&mut client), Some((0x81, b"early".to_vec())));
    assert_eq!(read_frame(&mut client), Some((0x88, b"\x03\xe8".to_vec())));
    assert_eq!(read_frame(&mut client), None);
}

#[test]
fn what_is_no_upgrade_is_answered_426_and_said() {
    let log = Log::default();
    let tell = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            tell.push(conn.ws_upgrade(&[]).unwrap_err().to_string());
            tell.push(conn.ws_upgrade(&[]).unwrap_err().to_string());
        }
    });
    let address = polled.listen("http://127.0.0.1:0");
    let mut client = asking(address, GET);
    let answer = read_head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("Upgrade: websocket\r\n"), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Version: 13\r\n"), "{answer}");
    let said = log.all();
    assert!(said[0].contains("`Upgrade: websocket`") && said[0].contains("426"), "{said:?}");
    assert!(said[1].contains("answered already"), "{said:?}");
    // It goes on as HTTP.
    client.write_all(GET.as_bytes()).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 426 "));
}

#[test]
fn headers_that_are_none_are_refused_before_anything_is_sent() {
    let log = Log::default();
    let tell = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            for header in [("X\r\n", "y"), ("X", "y\r\nz"), ("X", "y\0"), ("", ""), ("Upgrade", "h2c")] {
                tell.push(conn.ws_upgrade(&[header]).unwrap_err().to_string());
                assert_eq!(conn.unsent_len(), 0);
            }
            conn.ws_upgrade(&[("X-Percent", "%s%n%d")]).unwrap();
        }
    });
    let (_client, answer) = opened(polled.listen("http://127.0.0.1:0"));
    assert!(answer.contains("X-Percent: %s%n%d\r\n"), "{answer}");
    let said = log.all();
    assert!(said[0].contains("Header name") && said[0].contains("illegal character"), "{said:?}");
    assert!(said[1].contains("Header value") && said[2].contains("Header value"), "{said:?}");
    assert!(said[4].contains("`Upgrade` is written by the handshake"), "{said:?}");
}

#[test]
fn an_upgrade_may_come_later_and_from_another_thread() {
    let log = Log::default();
    let tell = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => {
            let conn = conn.clone();
            std::thread::spawn(move || {
                // What comes meanwhile waits for it.
                wait_until("the frames", || conn.received_len() > 0);
                conn.ws_upgrade(&[]).unwrap();
                conn.ws_send(WsOp::Text, "behind").unwrap();
            });
        }
        Event::WsOpen(_) => {
            tell.push("open");
            conn.ws_send(WsOp::Text, "first").unwrap();
        }
        Event::WsMessage(message) => {
            tell.push("message");
            conn.ws_send(WsOp::Text, message.data()).unwrap();
        }
        _ => {}
    });
    let address = polled.listen("http://127.0.0.1:0");
    for _ in 0..20 {
        let mut client = asking(address, [UPGRADE.as_bytes(), &frame(0x81, b"early")].concat());
        read_head(&mut client);
        assert_eq!(read_frame(&mut client), Some((0x81, b"first".to_vec())));
        let both = [read_frame(&mut client).unwrap().1, read_frame(&mut client).unwrap().1];
        assert!(both.contains(&b"early".to_vec()) && both.contains(&b"behind".to_vec()), "{both:?}");
    }
    let told = log.all();
    assert!(told.chunks(2).all(|both| both == ["open", "message"]), "{told:?}");
}

#[test]
fn a_large_message_arrives_past_every_buffer() {
    let polled = Polled::new(echo);
    let (mut client, _) = opened(polled.listen("http://127.0.0.1:0"));
    // Larger than what is received or sent before somebody waits.
    let large: Vec<u8> = (0..5_000_000_u32).map(|index| (index % 251) as u8).collect();
    client.write_all(&frame(0x82, &large)).unwrap();
    assert_eq!(read_frame(&mut client), Some((0x82, large)));
}

#[test]
fn garbage_and_huge_headers_harm_nobody_else() {
    let polled = Polled::new(echo);
    let address = polled.listen("http://127.0.0.1:0");
    let (mut good, _) = opened(address);
    let bad: [(Vec<u8>, u16); 4] = [
        (vec![0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4], 1009),
        ((0..200).collect(), 1002),
        (vec![0x81, 0x01, b'x'], 1002),
        (frame(0x81, b"\xff"), 1007),
    ];
    for (bytes, code) in bad {
        let (mut client, _) = opened(address);
        client.write_all(&bytes).unwrap();
        assert_eq!(read_frame(&mut client), Some((0x88, code.to_be_bytes().to_vec())));
        assert_eq!(to_end(client), "");
        good.write_all(&frame(0x81, b"still here")).unwrap();
        assert_eq!(read_frame(&mut good), Some((0x81, b"still here".to_vec())));
    }
}

#[test]
fn what_is_said_wrongly_is_an_error_and_no_bytes() {
    let log = Log::default();
    let tell = log.clone();
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => {
            tell.push(conn.ws_send(WsOp::Text, "too early").unwrap_err().to_string());
            conn.ws_upgrade(&[]).unwrap();
        }
        Event::WsOpen(_) => {
            let waiting = conn.unsent_len();
            for error in [
                conn.send("bytes"),
                conn.ws_send(WsOp::Text, b"\xff"),
                conn.ws_send(WsOp::Ping, [0; 126]),
                conn.ws_send(WsOp::Close, [3]),
                conn.ws_close(1005, ""),
                conn.ws_close(1000, &"x".repeat(124)),
            ] {
                tell.push(error.unwrap_err().to_string());
            }
            assert!(conn.try_reply(200, &[], "").is_err() && conn.chunk("x").is_err());
            assert_eq!((conn.unsent_len(), conn.consume(10)), (waiting, 0));
            conn.ws_close(3000, &"x".repeat(123)).unwrap();
            tell.push(conn.ws_send(WsOp::Text, "too late").unwrap_err().to_string());
            tell.push(conn.ws_close(1000, "").unwrap_err().to_string());
        }
        _ => {}
    });
    let (mut client, _) = opened(polled.listen("http://127.0.0.1:0"));
    let (first, payload) = read_frame(&mut client).unwrap();
    assert_eq!((first, &payload[..2], payload.len()), (0x88, &3000_u16.to_be_bytes()[..], 125));
    client.write_all(&close_frame(3000)).unwrap();
    assert_eq!(read_frame(&mut client), None);
    let words = [
        "no WebSocket",
        "ws_send",
        "UTF-8",
        "126 bytes",
        "code 3",
        "code 1005",
        "126 bytes",
        "closed",
        "closed",
    ];
    let said = log.all();
    assert_eq!(said.len(), words.len(), "{said:?}");
    for (said, word) in said.iter().zip(words) {
        assert!(said.contains(word), "{said}: {word}");
    }
}

#[test]
fn m15_an_interrupt_leaves_the_other_messages_for_the_next_poll() {
    let log = Log::default();
    let tell = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::HttpMessage(_) => conn.ws_upgrade(&[]).unwrap(),
        Event::WsMessage(message) => {
            tell.push(message.text().unwrap());
            conn.manager().unwrap().interrupt();
        }
        _ => {}
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let messages: Vec<u8> = (0..10).flat_map(|index| frame(0x81, index.to_string().as_bytes())).collect();
    let _client = asking(address(&listener), [UPGRADE.as_bytes(), &messages].concat());
    let mut told = 0;
    poll_until(&mut manager, "all of them", || {
        let now = log.all().len();
        assert!(now <= told + 1, "{} in one poll", now - told);
        told = now;
        told == 10
    });
    assert_eq!(log.all(), (0..10).map(|index| index.to_string()).collect::<Vec<_>>());
}

#[test]
fn m12_a_handler_that_panics_costs_its_own_websocket() {
    let polled = Polled::new(|conn: &Connection, event: Event<'_>| match event {
        Event::WsMessage(message) if message.text() == Some("panic") => panic!("as it was asked"),
        other => echo(conn, other),
    });
    let address = polled.listen("ws://127.0.0.1:0");
    let ((mut good, _), (mut bad, _)) = (opened(address), opened(address));
    bad.write_all(&[frame(0x81, b"panic"), frame(0x81, b"not told")].concat()).unwrap();
    assert_eq!(read_frame(&mut bad), Some((0x88, 1011_u16.to_be_bytes().to_vec())));
    assert_eq!(to_end(bad), "");
    good.write_all(&frame(0x81, b"still here")).unwrap();
    assert_eq!(read_frame(&mut good), Some((0x81, b"still here".to_vec())));
}
