//! Frames: tables in the manner of Autobahn's, in both roles; any bytes; and the handshake.

use super::fuzzing::frames;
use super::{Failure, Incoming, Reader, Role, WsControl, WsOp, accepts, close_payload, write};
use crate::http::{BodyReader, HeadParser, Request};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use std::{fs, path::Path};

const ROLES: [Role; 2] = [Role::Server, Role::Client];
const FIN: u8 = 0x80;
const MIB: usize = 1 << 20;

/// A frame to whoever has that role, written without the writer.
fn frame(to: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let flag = if to == Role::Server { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(flag | length as u8),
        length @ 126..65536 => {
            bytes.push(flag | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(flag | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    match to {
        Role::Client => bytes.extend_from_slice(payload),
        Role::Server => {
            bytes.extend_from_slice(&mask);
            bytes.extend(payload.iter().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
    }
    bytes
}

/// What bytes come to, that many at a time, in words.
fn read(role: Role, bytes: &[u8], size: usize) -> Vec<String> {
    let mut reader = Reader::new(role);
    let mut got = Vec::new();
    for mut piece in bytes.chunks(size) {
        while !piece.is_empty() {
            match reader.read(&mut piece, MIB) {
                Ok(None) => {}
                Ok(Some(incoming)) => got.push(words(&incoming)),
                Err(Failure { code, .. }) => {
                    got.push(format!("failed {code}"));
                    return got;
                }
            }
        }
    }
    if reader.is_amid() {
        got.push("amid".to_owned());
    }
    got
}

fn words(incoming: &Incoming) -> String {
    match incoming {
        Incoming::Message(message) => match message.text() {
            Some(text) => format!("text {text}"),
            None => format!("binary {}", message.data().escape_ascii()),
        },
        Incoming::Control(WsControl::Ping(payload)) => format!("ping {}", payload.escape_ascii()),
        Incoming::Control(WsControl::Pong(payload)) => format!("pong {}", payload.escape_ascii()),
        Incoming::Control(WsControl::Close { code, reason }) => format!("close {code} {reason}"),
    }
}

/// Frames by their first byte and payload, and what they come to, in both roles and in any pieces.
fn assert_reads(what: &[(u8, &[u8])], expected: &[&str]) {
    for role in ROLES {
        let bytes: Vec<u8> = what.iter().flat_map(|(first, payload)| frame(role, *first, payload)).collect();
        for size in [1, 2, 3, 5, 8, bytes.len().max(1)] {
            assert_eq!(read(role, &bytes, size), expected, "{role:?} {size} {what:x?}");
        }
    }
}

#[test]
fn every_length_of_every_kind_arrives() {
    for length in [0, 1, 125, 126, 127, 128, 65535, 65536, 65537] {
        let text = "x".repeat(length);
        for role in ROLES {
            for (first, op, name) in [(0x81, WsOp::Text, "text"), (0x82, WsOp::Binary, "binary")] {
                let bytes = frame(role, first, text.as_bytes());
                let sizes = if length > 1000 { [997, bytes.len(), 65537] } else { [1, 7, bytes.len()] };
                for size in sizes {
                    assert_eq!(read(role, &bytes, size), [format!("{name} {text}")], "{length} {size}");
                }
                let from = if role == Role::Server { Role::Client } else { Role::Server };
                let mut written = BytesMut::new();
                write(&mut written, from, op, text.as_bytes());
                assert_eq!(written.len(), bytes.len());
                assert_eq!(read(role, &written, usize::MAX), [format!("{name} {text}")]);
            }
        }
    }
}

#[test]
fn masks_are_another_each_time() {
    let mut masked = BytesMut::new();
    (0..50).for_each(|_| write(&mut masked, Role::Client, WsOp::Text, b""));
    let masks: std::collections::HashSet<_> = masked.chunks(6).map(|frame| frame[2..].to_vec()).collect();
    assert!(masks.len() > 45, "{}", masks.len());
}

#[test]
fn control_frames_have_125_bytes_at_most() {
    let long = [b'p'; 126];
    for length in [0, 1, 124, 125] {
        let payload = &long[..length];
        let text = payload.escape_ascii();
        assert_reads(
            &[(0x89, payload), (0x8a, payload)],
            &[&format!("ping {text}"), &format!("pong {text}")],
        );
    }
    for first in [0x88, 0x89, 0x8a] {
        assert_reads(&[(first, &long)], &["failed 1002"]);
    }
    // By the head alone: nobody waits for the rest.
    for role in ROLES {
        let head = &frame(role, 0x89, &long)[..if role == Role::Server { 8 } else { 4 }];
        assert_eq!(read(role, head, 1), ["failed 1002"]);
    }
}

#[test]
fn reserved_bits_and_opcodes_are_refused() {
    for bits in [0x40, 0x20, 0x10, 0x70] {
        for opcode in [1, 2, 8, 9, 10] {
            assert_reads(&[(0x81, b"before"), (FIN | bits | opcode, b"x")], &["text before", "failed 1002"]);
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for fin in [0, FIN] {
            for payload in [&b""[..], b"x"] {
                assert_reads(&[(fin | opcode, payload)], &["failed 1002"]);
            }
        }
    }
}

#[test]
fn fragments_are_put_together() {
    type Table = &'static [(&'static [(u8, &'static [u8])], &'static [&'static str])];
    let table: Table = &[
        (&[(1, b"frag"), (0x80, b"ment")], &["text fragment"]),
        (&[(2, b"a"), (0, b"b"), (0, b""), (0x80, b"c")], &["binary abc"]),
        (&[(1, b""), (0, b""), (0x80, b"")], &["text "]),
        (&[(1, b""), (0, b"middle"), (0x80, b"")], &["text middle"]),
        (&[(1, b"a"), (0x89, b"p"), (0x80, b"b")], &["ping p", "text ab"]),
        (
            &[(1, b"a"), (0x89, b"1"), (0, b"b"), (0x8a, b"2"), (0x80, b"c")],
            &["ping 1", "pong 2", "text abc"],
        ),
        (&[(1, b"a"), (0x88, b"\x03\xe8bye")], &["close 1000 bye", "amid"]),
        (&[(0x80, b"x")], &["failed 1002"]),
        (&[(0, b"x")], &["failed 1002"]),
        (&[(0x81, b"x"), (0x80, b"y")], &["text x", "failed 1002"]),
        (&[(1, b"a"), (0x81, b"b")], &["failed 1002"]),
        (&[(2, b"a"), (1, b"b")], &["failed 1002"]),
        (&[(1, b"a"), (0x80, b"b"), (0x80, b"c")], &["text ab", "failed 1002"]),
        (&[(9, b"x")], &["failed 1002"]),
        (&[(10, b"x")], &["failed 1002"]),
        (&[(8, b"\x03\xe8")], &["failed 1002"]),
        (&[(1, b"a"), (9, b"x")], &["failed 1002"]),
        (&[(1, b"a")], &["amid"]),
    ];
    for (what, expected) in table {
        assert_reads(what, expected);
    }
}

#[test]
fn text_is_utf_8_wherever_it_is_cut() {
    let good = "κόσμε €uro 𐍈 \u{10ffff} \u{feff}";
    assert_reads(&[(0x81, good.as_bytes())], &[&format!("text {good}")]);
    for cut in 0..=good.len() {
        let (one, two) = good.as_bytes().split_at(cut);
        assert_reads(&[(1, one), (0x80, two)], &[&format!("text {good}")]);
        assert_reads(&[(1, one), (0x89, b""), (0, b""), (0x80, two)], &["ping ", &format!("text {good}")]);
    }
    let bad: [&[u8]; 8] = [
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", // a surrogate
        b"\xf4\x90\x80\x80",                                               // beyond the last
        b"\xc0\xaf",                                                       // longer than need be
        b"\x80",
        b"\xff",
        b"ab\xfe",
        b"\xe2\x82",     // cut off
        b"\xf0\x9f\x98", // the same
    ];
    for bad in bad {
        assert_reads(&[(0x81, bad)], &["failed 1007"]);
        for cut in 0..=bad.len() {
            let (one, two) = bad.split_at(cut);
            assert_reads(&[(1, one), (0x80, two)], &["failed 1007"]);
        }
        assert_reads(&[(0x82, bad)], &[&format!("binary {}", bad.escape_ascii())]);
    }
}

#[test]
fn text_that_is_none_is_refused_before_it_is_whole() {
    for role in ROLES {
        let bytes = frame(role, 0x81, &[b"good \xff".as_slice(), &[b'x'; 1000]].concat());
        assert_eq!(read(role, &bytes[..20], 1), ["failed 1007"]);
    }
}

#[test]
fn close_codes_are_those_that_may_be_sent() {
    for code in
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
    {
        let payload = close_payload(code, "réason");
        assert_reads(&[(0x88, &payload)], &[&format!("close {code} réason")]);
        assert_reads(&[(0x88, &payload[..2])], &[&format!("close {code} ")]);
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        assert_reads(&[(0x88, &code.to_be_bytes())], &["failed 1002"]);
        assert_reads(&[(0x88, &[&code.to_be_bytes()[..], b"why"].concat())], &["failed 1002"]);
    }
    assert_reads(&[(0x88, b"")], &["close 1005 "]);
    assert_reads(&[(0x88, b"\x03")], &["failed 1002"]);
    assert_reads(&[(0x88, b"\x03\xe8\xff")], &["failed 1007"]);
    assert_reads(&[(0x88, b"\x03\xe8\xe2\x82")], &["failed 1007"]);
    let longest = format!("close 1000 {}", "r".repeat(123));
    assert_reads(&[(0x88, &close_payload(1000, &"r".repeat(200)))], &[&longest]);
    assert_eq!(close_payload(1000, &"€".repeat(60)).len(), 2 + 123, "cut between characters");
}

#[test]
fn who_masks_is_who_must() {
    assert_eq!(read(Role::Server, &frame(Role::Client, 0x81, b"x"), 9), ["failed 1002"]);
    assert_eq!(read(Role::Client, &frame(Role::Server, 0x81, b"x"), 9), ["failed 1002"]);
    // Before the payload comes.
    assert_eq!(read(Role::Server, &frame(Role::Client, 0x81, &[b'x'; 100])[..2], 9), ["failed 1002"]);
}

#[test]
fn a_limit_is_held_by_the_announcement_and_costs_no_memory() {
    let failure = |role, bytes: &[u8], most| {
        let mut reader = Reader::new(role);
        let mut input = bytes;
        let got = loop {
            match reader.read(&mut input, most) {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(failure) => break Some(failure.code),
            }
        };
        (got, reader)
    };
    for role in ROLES {
        assert_eq!(failure(role, &frame(role, 0x82, &[0; 100]), 100).0, None);
        assert_eq!(failure(role, &frame(role, 0x82, &[0; 101]), 100).0, Some(1009));
        let parts = [frame(role, 2, &[0; 60]), frame(role, 0x80, &[0; 41])].concat();
        assert_eq!(failure(role, &parts, 100).0, Some(1009));
        let announced = |length: u64| {
            let mut head = vec![0x82, 127 | if role == Role::Server { 0x80 } else { 0 }];
            head.extend_from_slice(&length.to_be_bytes());
            head.extend_from_slice(&[0; 4]);
            head
        };
        for length in [1 << 30, u64::MAX, 1 << 63] {
            assert_eq!(failure(role, &announced(length), 16 * MIB).0, Some(1009));
        }
        let (none, reader) = failure(role, &announced(16 * MIB as u64), 16 * MIB);
        assert_eq!(none, None);
        assert!(reader.room() <= 64 * 1024, "{}", reader.room());
    }
}

#[test]
fn a_message_has_the_memory_that_it_needs() {
    for size in [1, 1000, 70_000, 1_000_000] {
        let bytes = frame(Role::Server, 0x82, &vec![7; 1_000_000]);
        let mut reader = Reader::new(Role::Server);
        for mut piece in bytes.chunks(size) {
            assert!(reader.room() <= 1_000_000, "{}", reader.room());
            reader.read(&mut piece, MIB).unwrap();
        }
    }
}

#[test]
fn an_idle_reader_keeps_no_buffer() {
    for role in ROLES {
        let mut reader = Reader::new(role);
        for size in [1, 5, 100_000] {
            let bytes = [frame(role, 0x82, &[7; 100_000]), frame(role, 0x89, b"ping")].concat();
            for mut piece in bytes.chunks(size) {
                while !piece.is_empty() {
                    reader.read(&mut piece, MIB).unwrap();
                }
            }
            assert_eq!((reader.room(), reader.is_amid()), (0, false));
        }
    }
    assert!(size_of::<Reader>() <= 160, "{}", size_of::<Reader>());
}

#[test]
fn the_corpus_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/frames");
    let inputs: Vec<_> = fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() > 5, "{} has {} inputs", corpus.display(), inputs.len());
    for input in inputs {
        frames(&fs::read(&input).unwrap());
    }
}

fn some_frame() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let first = prop_oneof![
        6 => prop::sample::select(vec![0x81_u8, 0x82, 0x89, 0x8a, 1, 2, 0, 0x80]),
        1 => Just(0x88_u8),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        "[a-z€𐍈]{0,20}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..140),
        prop::sample::select(vec![1000_u16, 1005, 1014, 999]).prop_map(|code| code.to_be_bytes().to_vec()),
    ];
    (first, payload)
}

proptest! {
    #[test]
    fn any_frames_hold(what in prop::collection::vec(some_frame(), 0..8), cut in 0_usize..10) {
        for role in ROLES {
            let bytes: Vec<u8> = what.iter().flat_map(|(first, payload)| frame(role, *first, payload)).collect();
            frames(bytes.get(..bytes.len().saturating_sub(cut)).unwrap());
        }
    }

    #[test]
    fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        frames(&bytes);
    }
}

fn request(text: &str) -> Request {
    let head = HeadParser::new().parse(text.as_bytes(), 64 * 1024).unwrap().unwrap();
    let mut reader = BodyReader::new(head.framing, 1024);
    _ = reader.read(&text.as_bytes()[head.len..]).unwrap();
    Request::new(Bytes::copy_from_slice(text.as_bytes()), head, Bytes::new())
}

#[test]
fn a_handshake_is_one_of_rfc_6455() {
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
    const BOTH: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    let with =
        |fields: &[&str]| accepts(&request(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields.concat())));
    // RFC 6455 §1.3.
    assert_eq!(with(&[BOTH, KEY, VERSION]).as_deref(), Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let good: [&[&str]; 5] = [
        &["upgrade: WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n", KEY, VERSION],
        &["Upgrade: h2c, websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n", KEY, VERSION],
        &[BOTH, "Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==  \r\n", VERSION],
        &[BOTH, "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n", VERSION],
        &[BOTH, KEY, VERSION, "Sec-WebSocket-Extensions: permessage-deflate\r\nOrigin: x\r\n"],
    ];
    for fields in good {
        assert!(with(fields).is_ok(), "{fields:?}");
    }
    let bad: [(&[&str], &str); 14] = [
        (&[BOTH, KEY, KEY, VERSION], "Key"),
        (&[BOTH, KEY, VERSION, "Sec-WebSocket-Version: 8\r\n"], "Version"),
        (&[KEY, VERSION], "Upgrade"),
        (&["Upgrade: websocket\r\n", KEY, VERSION], "Connection"),
        (&["Connection: Upgrade\r\n", KEY, VERSION], "Upgrade"),
        (&["Upgrade: websockets\r\nConnection: Upgrade\r\n", KEY, VERSION], "Upgrade"),
        (&["Upgrade: websocket\r\nConnection: close\r\n", KEY, VERSION], "Connection"),
        (&[BOTH, VERSION], "Key"),
        (&[BOTH, KEY], "Version"),
        (&[BOTH, KEY, "Sec-WebSocket-Version: 8\r\n"], "Version"),
        (&[BOTH, KEY, "Sec-WebSocket-Version: 13, 8\r\n"], "Version"),
        (&[BOTH, "Sec-WebSocket-Key: \r\n", VERSION], "Key"),
        (&[BOTH, "Sec-WebSocket-Key: c2hvcnQ=\r\n", VERSION], "Key"),
        (&[BOTH, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEyMzQ=\r\n", VERSION], "Key"),
    ];
    for (fields, what) in bad {
        assert!(with(fields).is_err_and(|why| why.contains(what)), "{fields:?} {:?}", with(fields));
    }
    let other = |line: &str| accepts(&request(&format!("{line}\r\nHost: a\r\n{BOTH}{KEY}{VERSION}\r\n")));
    assert!(other("GET / HTTP/1.1").is_ok());
    assert!(other("POST / HTTP/1.1").is_err_and(|why| why.contains("GET")));
    assert!(other("GET / HTTP/1.0").is_err_and(|why| why.contains("HTTP/1.1")));
}

#[test]
fn a_message_is_not_moved_with_each_of_its_fragments() {
    let most = 100_000;
    let mut reader = Reader::new(Role::Server);
    let mut rooms = Vec::new();
    for at in 0..most {
        let fragment = frame(Role::Server, if at == 0 { 0x02 } else { 0x00 }, b"x");
        assert_eq!(reader.read(&mut &fragment[..], most), Ok(None));
        rooms.push(reader.room());
    }
    rooms.dedup();
    assert!(rooms.len() < 20 && rooms.iter().all(|room| *room <= most), "{rooms:?}");
    let last = reader.read(&mut &frame(Role::Server, FIN, b"")[..], most);
    let Ok(Some(Incoming::Message(message))) = last else { panic!("{last:?}") };
    assert_eq!((message.data().len(), reader.room()), (most, 0));
}
