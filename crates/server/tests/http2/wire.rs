//! What a peer does against RFC 9113, case by case: how it is told, and that nobody else is harmed.

use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GET, GOAWAY, HEADERS, PING, POST, RST_STREAM,
    Raw, SETTINGS, WINDOW_UPDATE, frame, get, post,
};
use crate::support::http2::Client;
use crate::support::{House, hello, patient};
use exeunt_lifecycle::Config;
use http::StatusCode;

const PRIORITY: u8 = 2;
const PUSH_PROMISE: u8 = 5;
const PADDED: u8 = 8;

/// RFC 9113 §7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Code {
    Protocol = 1,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    Compression = 9,
}
use Code::{Compression, FlowControl, FrameSize, Protocol, StreamClosed};

/// A SETTINGS frame with one setting.
fn setting(identifier: u8, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, identifier][..], &value.to_be_bytes()].concat())
}

/// A request with these further fields, which are written out.
fn request(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = GET.to_vec();
    for (name, value) in fields {
        // RFC 7541 §6.2.2: a literal without indexing, with a new name.
        block.extend([0, u8::try_from(name.len()).unwrap()]);
        block.extend(name.as_bytes());
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    }
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

/// Whether it was told with one of these codes. The HTTP layer says `PROTOCOL_ERROR` for much that has a code of its own:
/// that is for people to read (§7).
fn is_told(told: u32, codes: &[Code]) -> bool {
    told == Protocol as u32 || codes.iter().any(|code| *code as u32 == told)
}

/// The first GOAWAY or `RST_STREAM` that comes of this.
async fn outcome(house: &House, sent: &[u8]) -> Frame {
    let mut raw = Raw::open(house.address()).await;
    raw.send(sent).await;
    raw.next_of(&[GOAWAY, RST_STREAM]).await.unwrap_or_else(|| panic!("closed without a word: {sent:?}"))
}

/// Everybody else goes on being served.
async fn others_are_served(house: &House) {
    assert_eq!(Client::connect(house).await.get("/").await, (StatusCode::OK, b"hello".to_vec()));
}

#[tokio::test]
async fn errors_of_the_connection_end_it_with_their_code() {
    let max = ((1_u32 << 31) - 1).to_be_bytes();
    let cases: &[(&str, Vec<u8>, &[Code])] = &[
        ("§4.2 a frame too long", frame(DATA, 0, 1, &[0; 16385]), &[FrameSize]),
        ("§4.3 a header block that is none", frame(HEADERS, END_HEADERS, 1, &[0xff; 8]), &[Compression]),
        ("§5.1 DATA on an idle stream", frame(DATA, 0, 1, b"a"), &[Protocol]),
        ("§5.1 RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, &[0; 4]), &[Protocol]),
        ("§5.1 WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), &[Protocol]),
        ("§5.1 CONTINUATION on an idle stream", frame(CONTINUATION, END_HEADERS, 1, GET), &[Protocol]),
        ("§5.1.1 an even stream", get(2), &[Protocol]),
        ("§5.1.1 a lower stream", [get(5), get(3)].concat(), &[Protocol, StreamClosed]),
        ("§6.1 DATA on stream 0", frame(DATA, 0, 0, b"a"), &[Protocol]),
        ("§6.1 more padding than frame", [post(1), frame(DATA, PADDED, 1, &[9, 1])].concat(), &[Protocol]),
        ("§6.2 HEADERS on stream 0", frame(HEADERS, END_HEADERS, 0, GET), &[Protocol]),
        ("§6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0; 5]), &[Protocol]),
        ("§6.4 RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &[0; 4]), &[Protocol]),
        (
            "§6.4 RST_STREAM of another size",
            [post(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            &[FrameSize],
        ),
        ("§6.5 an ACK that sets", frame(SETTINGS, ACK, 0, &[0; 6]), &[FrameSize]),
        ("§6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), &[Protocol]),
        ("§6.5 SETTINGS of another size", frame(SETTINGS, 0, 0, &[0; 5]), &[FrameSize]),
        ("§6.5.2 ENABLE_PUSH of 2", setting(2, 2), &[Protocol]),
        ("§6.5.2 INITIAL_WINDOW_SIZE too large", setting(4, 1 << 31), &[FlowControl]),
        ("§6.5.2 MAX_FRAME_SIZE too small", setting(5, 1), &[Protocol]),
        (
            "§6.6 PUSH_PROMISE by a client",
            [post(1), frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])].concat(),
            &[Protocol],
        ),
        ("§6.7 PING on a stream", frame(PING, 0, 1, &[0; 8]), &[Protocol]),
        ("§6.7 PING of another size", frame(PING, 0, 0, &[0; 6]), &[FrameSize]),
        ("§6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), &[Protocol]),
        ("§6.9 a window that does not grow", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), &[Protocol]),
        ("§6.9 WINDOW_UPDATE of another size", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), &[FrameSize]),
        ("§6.9.1 a window too large", frame(WINDOW_UPDATE, 0, 0, &max), &[FlowControl]),
        (
            "§6.10 another frame in a header block",
            [frame(HEADERS, END_STREAM, 1, POST), frame(PING, 0, 0, &[0; 8])].concat(),
            &[Protocol],
        ),
        (
            "§6.10 CONTINUATION of another stream",
            [frame(HEADERS, END_STREAM, 1, POST), frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
            &[Protocol],
        ),
    ];
    let house = House::open(Config::default(), patient(), hello);
    let mut wrong = Vec::new();
    for (case, sent, codes) in cases {
        let told = outcome(&house, sent).await;
        let expected = told.kind == GOAWAY && is_told(told.word(1), codes);
        if !expected {
            wrong.push(format!("{case}: {told:?}, not {codes:?}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
    others_are_served(&house).await;
}

#[tokio::test]
async fn errors_of_a_stream_reset_it() {
    let cases: &[(&str, Vec<u8>, &[Code])] = &[
        ("§8.2 a field in upper case", request(&[("Name", "value")]), &[Protocol]),
        ("§8.2.2 a field of the connection", request(&[("connection", "close")]), &[Protocol]),
        ("§8.2.2 a coding", request(&[("transfer-encoding", "chunked")]), &[Protocol]),
        ("§8.2.2 TE that is not trailers", request(&[("te", "gzip")]), &[Protocol]),
        ("§8.3 a pseudo-field nobody knows", request(&[(":name", "value")]), &[Protocol]),
        ("§8.3 a pseudo-field of responses", request(&[(":status", "200")]), &[Protocol]),
        ("§8.3 one behind the fields", request(&[("name", "value"), (":path", "/")]), &[Protocol]),
        ("§8.3.1 a path twice", request(&[(":path", "/other")]), &[Protocol]),
        ("§8.3.1 no path", frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\x86\x41\x04test"), &[Protocol]),
        (
            "§8.3.1 no method",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x84\x86\x41\x04test"),
            &[Protocol],
        ),
        ("§8.1.1 a length that is not the body's", request(&[("content-length", "1")]), &[Protocol]),
        (
            "§6.9 a window that does not grow",
            [post(1), frame(WINDOW_UPDATE, 0, 1, &[0; 4])].concat(),
            &[Protocol],
        ),
        (
            "§6.9.1 a window too large",
            [post(1), frame(WINDOW_UPDATE, 0, 1, &((1_u32 << 31) - 1).to_be_bytes())].concat(),
            &[FlowControl],
        ),
        ("§5.1 DATA behind the end", [get(1), frame(DATA, 0, 1, b"a")].concat(), &[StreamClosed]),
    ];
    let (_begun, _go, gated) = crate::support::gate("never");
    let house = House::open(Config::default(), patient(), gated);
    let mut wrong = Vec::new();
    for (case, sent, codes) in cases {
        let told = outcome(&house, sent).await;
        // §5.4.2 lets errors of a stream be taken for the connection's.
        let place = if told.kind == GOAWAY { 1 } else { 0 };
        let expected = is_told(told.word(place), codes);
        if !expected {
            wrong.push(format!("{case}: {told:?}, not {codes:?}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn what_nobody_knows_is_passed_over() {
    let house = House::open(Config::default(), patient(), hello);
    let mut raw = Raw::open(house.address()).await;
    let unknown = [frame(99, 0xff, 0, b"what"), frame(99, 0, 7, b"ever"), setting(99, 1)].concat();
    raw.send(&[unknown, frame(PING, 0, 0, b"12345678"), get(1)].concat()).await;
    let pong = raw.next_of(&[PING]).await.unwrap();
    assert_eq!((pong.flags, &pong.payload[..]), (ACK, &b"12345678"[..]));
    assert_eq!(raw.next_of(&[DATA]).await.unwrap().payload, b"hello");
}

#[tokio::test]
async fn a_preface_that_goes_wrong_is_no_request() {
    let house = House::open(Config::default(), patient(), hello);
    let mut peer = house.peer().await;
    peer.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
    assert!(peer.response().await.0.starts_with("http/1.1 400"));
}
