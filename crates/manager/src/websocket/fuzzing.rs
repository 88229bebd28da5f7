//! What must hold for any bytes at all: asserted here, tried by `make fuzz`, and for the kept corpus by the tests.

#![allow(clippy::expect_used, clippy::missing_panics_doc, clippy::panic, reason = "a panic is the finding")]

use super::{Failure, Incoming, Reader, Role, WsControl, WsMessage, WsOp, close_payload, write};
use bytes::BytesMut;
use std::io::{self, Read, Write};
use tungstenite::protocol::{self, Message, WebSocketConfig};

/// Small, so that inputs pass it.
const MOST: usize = 200;

/// Frames, as a server and as a client gets them: however they are cut into reads, they come to the same; tungstenite
/// makes the same of them, up to the first that is none; and what they come to reads the same when it is written again.
pub fn frames(bytes: &[u8]) {
    for role in [Role::Server, Role::Client] {
        let whole = follow(role, [bytes]);
        for size in [1, 7] {
            assert_eq!(whole, follow(role, bytes.chunks(size)), "{role:?}, {size} bytes at a time");
        }
        // It refuses a frame when it is whole, so that there must be enough for that.
        let padded = [bytes, &[0; 2 * MOST]].concat();
        assert_same(&follow(role, [&padded[..]]), &by_tungstenite(role, &padded));
        let mut again = BytesMut::new();
        for incoming in &whole.incoming {
            write_again(&mut again, role, incoming);
        }
        assert_eq!(follow(role, [&again[..]]).incoming, whole.incoming, "written again");
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Followed {
    incoming: Vec<Incoming>,
    failure: Option<Failure>,
}

/// Up to a Close, as the loop does it.
fn follow<'a>(role: Role, reads: impl IntoIterator<Item = &'a [u8]>) -> Followed {
    let mut reader = Reader::new(role);
    let mut followed = Followed { incoming: Vec::new(), failure: None };
    for mut read in reads {
        while !read.is_empty() {
            match reader.read(&mut read, MOST) {
                Ok(None) => assert!(read.is_empty(), "all of it is taken"),
                Ok(Some(incoming)) => {
                    let is_close = matches!(incoming, Incoming::Control(WsControl::Close { .. }));
                    followed.incoming.push(incoming);
                    if is_close {
                        return followed;
                    }
                }
                Err(failure) => {
                    followed.failure = Some(failure);
                    return followed;
                }
            }
        }
    }
    followed
}

/// What is read, and what is written nobody wants to know.
struct Input<'a>(&'a [u8]);

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Input<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Its messages, and whether they end with an error.
fn by_tungstenite(role: Role, bytes: &[u8]) -> (Vec<Message>, bool) {
    let role = match role {
        Role::Server => protocol::Role::Server,
        Role::Client => protocol::Role::Client,
    };
    let config = WebSocketConfig::default().max_message_size(Some(MOST)).max_frame_size(Some(MOST));
    let mut socket = protocol::WebSocket::from_raw_socket(Input(bytes), role, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => {
                let is_close = message.is_close();
                messages.push(message);
                if is_close {
                    return (messages, false);
                }
            }
            Err(tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return (messages, false),
            Err(_) => return (messages, true),
        }
    }
}

fn assert_same(ours: &Followed, (theirs, failed): &(Vec<Message>, bool)) {
    let mut incoming = ours.incoming.iter();
    for theirs in theirs {
        match incoming.next() {
            Some(ours) => assert!(is_same(ours, theirs), "{ours:?} {theirs:?}"),
            // It answers this one, and we fail for it.
            None => return assert!(ours.failure.is_some() && is_violation(theirs), "{ours:?} {theirs:?}"),
        }
    }
    assert_eq!(incoming.next(), None, "{theirs:?}");
    assert_eq!(ours.failure.is_some(), *failed, "{ours:?} {theirs:?}");
}

fn is_same(ours: &Incoming, theirs: &Message) -> bool {
    match (ours, theirs) {
        (Incoming::Message(ours), Message::Text(theirs)) => ours.text() == Some(theirs.as_str()),
        (Incoming::Message(ours), Message::Binary(theirs)) => ours.is_binary() && ours.data() == theirs,
        (Incoming::Control(WsControl::Ping(ours)), Message::Ping(theirs))
        | (Incoming::Control(WsControl::Pong(ours)), Message::Pong(theirs)) => ours == theirs,
        (Incoming::Control(WsControl::Close { code: 1005, .. }), Message::Close(None)) => true,
        // Registered later than it knows.
        (Incoming::Control(WsControl::Close { code: 1014, .. }), Message::Close(_)) => is_violation(theirs),
        (Incoming::Control(WsControl::Close { code, reason }), Message::Close(Some(theirs))) => {
            *code == u16::from(theirs.code) && *reason == theirs.reason.as_str()
        }
        _ => false,
    }
}

fn is_violation(message: &Message) -> bool {
    matches!(message, Message::Close(Some(close)) if u16::from(close.code) == 1002 && close.reason.as_str() == "Protocol violation")
}

/// As the other side would send it.
fn write_again(out: &mut BytesMut, role: Role, incoming: &Incoming) {
    let role = match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    match incoming {
        Incoming::Message(message) => write(out, role, op(message), message.data()),
        Incoming::Control(WsControl::Ping(payload)) => write(out, role, WsOp::Ping, payload),
        Incoming::Control(WsControl::Pong(payload)) => write(out, role, WsOp::Pong, payload),
        Incoming::Control(WsControl::Close { code, reason }) => {
            write(out, role, WsOp::Close, &close_payload(*code, reason));
        }
    }
}

fn op(message: &WsMessage) -> WsOp {
    if message.is_binary() { WsOp::Binary } else { WsOp::Text }
}
