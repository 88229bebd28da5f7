//! Where raw replies begin and end, and what is added to them.

use proptest::prelude::*;

use super::*;
use crate::http::{Answering, Form, Reply, Version, chunk, write};

const BEGUN: Progress =
    Progress { begun: true, done: false, switched: false, head_at: None, closes: false, surplus: 0 };
const DONE: Progress = Progress { done: true, ..BEGUN };
const LAST: Progress = Progress { closes: true, ..DONE };
const SWITCHED: Progress = Progress { switched: true, ..OPEN };
const OPEN: Progress = Progress { closes: true, ..BEGUN };

/// What goes out of these writes, and what is known at the end.
fn follow<'a>(
    head_only: bool,
    writes: impl IntoIterator<Item = &'a [u8]>,
    must_close: bool,
) -> (String, Progress) {
    let mut outgoing = Outgoing::new(head_only, false);
    let (mut out, mut progress, mut surplus) = (BytesMut::new(), Progress::default(), 0);
    for bytes in writes {
        progress = outgoing.write(bytes, &mut out, || must_close);
        surplus += progress.surplus;
    }
    (String::from_utf8_lossy(&out).into_owned(), Progress { surplus, head_at: None, ..progress })
}

#[test]
fn replies_end_where_they_say() {
    let surplus = |count| Progress { surplus: count, ..DONE };
    let table = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", DONE),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", BEGUN),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", DONE),
        ("HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", DONE),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", DONE),
        ("HTTP/1.1 204 No Content\r\n\r\n", DONE),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", DONE),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", DONE),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", BEGUN),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", DONE),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", DONE),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi", OPEN),
        ("HTTP/1.1 200 OK\r\n\r\nhi", OPEN),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", OPEN),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhi", OPEN),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot chunked", OPEN),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nhi", LAST),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", LAST),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", DONE),
        // Interim ones.
        ("HTTP/1.1 100 Continue\r\n\r\n", Progress { begun: false, ..BEGUN }),
        ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", DONE),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\0\x01", SWITCHED),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\nx", SWITCHED),
        ("HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n", DONE),
        // No HTTP.
        ("hello", OPEN),
        ("HTTP", Progress::default()),
        ("HTTPS", OPEN),
        ("HTTP/2.0 200 OK\r\n\r\n", OPEN),
        ("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", OPEN),
        ("HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n", OPEN),
        ("HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", OPEN),
        ("HTTP/1.1 20\r\nContent-Length: 0\r\n\r\n", OPEN),
        ("HTTP/1.1-200 OK\r\nContent-Length: 0\r\n\r\n", OPEN),
        ("HTTP/1.1 abc\r\n\r\n", OPEN),
        ("HTTP/1.1  200 OK\r\n\r\n", OPEN),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Progress::default()),
        ("", Progress::default()),
        // Too much.
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\n", surplus(1)),
        ("HTTP/1.1 204 No Content\r\n\r\nhello", surplus(5)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1", surplus(8)),
    ];
    for (text, progress) in table {
        let (out, whole) = follow(false, [text.as_bytes()], false);
        assert_eq!(whole, progress, "{text:?}");
        let gone = text.len() - progress.surplus;
        let held = !progress.begun && !text.ends_with("Continue\r\n\r\n");
        assert_eq!(out, if held { "" } else { &text[..gone] }, "{text:?}");
        let bytewise = follow(false, text.as_bytes().chunks(1), false);
        assert_eq!(bytewise, (out, whole), "{text:?}, one byte at a time");
    }
}

#[test]
fn a_reply_to_head_ends_with_its_head() {
    for length in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let text = format!("HTTP/1.1 200 OK\r\n{length}\r\n");
        assert_eq!(follow(true, [text.as_bytes()], false), (text.clone(), DONE), "{length:?}");
        let more = format!("{text}hello");
        assert_eq!(
            follow(true, [more.as_bytes()], false),
            (text, Progress { surplus: 5, ..DONE }),
            "{length:?}"
        );
    }
}

#[test]
fn a_tunnel_begins_behind_a_2xx_to_connect() {
    for (text, tunnel) in [
        ("HTTP/1.1 200 OK\r\n\r\nbytes", true),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 299 x\r\nContent-Length: 2\r\n\r\nbytes", true),
        ("HTTP/1.1 405 No\r\nContent-Length: 5\r\n\r\nbytes", false),
    ] {
        let mut out = BytesMut::new();
        let progress = Outgoing::new(false, true).write(text.as_bytes(), &mut out, || false);
        assert_eq!((progress.switched, progress.done), (tunnel, !tunnel), "{text}");
        assert_eq!(out, text);
    }
}

#[test]
fn the_end_may_be_announced_afterwards() {
    let table = [
        (
            "1234HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "1234HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        ),
        (
            "1234HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n",
            "1234HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        ),
        ("1234no head", "1234no head"),
        ("12", "12"),
    ];
    for (text, expected) in table {
        let mut out = BytesMut::from(text);
        announce_end(&mut out, 4);
        assert_eq!(out, expected);
    }
}

#[test]
fn the_end_is_announced_where_the_program_has_not() {
    let table = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        ),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
        (
            "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\n\r\n",
        ),
        ("HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\nA: b\nConnection: close\r\n\n"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        ),
        (
            "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n\r\n",
            "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n\r\n",
        ),
        ("no HTTP\r\n\r\n", "no HTTP\r\n\r\n"),
    ];
    for (text, sent) in table {
        for size in [1, 5, 1000] {
            let (out, progress) = follow(false, text.as_bytes().chunks(size), true);
            assert_eq!(out, sent, "{size} bytes at a time");
            assert!(progress.closes, "{text:?}");
        }
    }
}

#[test]
fn whether_to_close_is_asked_once_and_late() {
    let mut outgoing = Outgoing::new(false, false);
    let mut out = BytesMut::new();
    let never = || -> bool { panic!("asked too soon, or twice") };
    outgoing.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n", &mut out, never);
    let mut asked = false;
    outgoing.write(b"\r\n", &mut out, || {
        asked = true;
        false
    });
    assert!(asked);
    assert!(outgoing.write(b"x", &mut out, never).done);
}

#[test]
fn what_is_held_back_can_be_let_out() {
    let mut outgoing = Outgoing::new(false, false);
    let mut out = BytesMut::new();
    outgoing.write(b"HTTP/1.1 200 OK\r\nA:", &mut out, || true);
    assert!(!outgoing.held().is_empty() && out.is_empty());
    assert_eq!(outgoing.release(&mut out), OPEN);
    assert!(outgoing.held().is_empty());
    assert_eq!(out, "HTTP/1.1 200 OK\r\nA:");

    let mut nothing = Outgoing::new(false, false);
    assert_eq!(nothing.release(&mut out), Progress::default());
}

#[test]
fn a_head_is_not_held_back_for_ever() {
    let endless = [b"HTTP/1.1 200 OK\r\nA: ", &[b'x'; Outgoing::LONGEST_HEAD][..]].concat();
    for size in [1, 10_000] {
        let (out, progress) = follow(false, endless.chunks(size), true);
        assert_eq!((out.len(), progress), (endless.len(), OPEN));
    }
}

fn reply() -> impl Strategy<Value = (u16, Vec<(String, String)>, Vec<u8>, bool, bool)> {
    let status = prop_oneof![Just(200_u16), Just(204), Just(304), Just(404), Just(500)];
    let headers = prop::collection::vec(("X-[A-Za-z0-9]{1,8}", "[ -~]{0,12}"), 0..4);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    (status, headers, body, any::<bool>(), any::<bool>())
}

proptest! {
    /// What `write` writes is followed to the end that it has, however it is cut.
    #[test]
    fn what_is_written_is_followed(
        (status, headers, body, chunked, close) in reply(),
        head_only: bool,
        cuts in prop::collection::vec(1_usize..30, 0..20),
    ) {
        let mut fields: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if chunked {
            fields.push(("Transfer-Encoding", "chunked"));
        }
        let mut text = BytesMut::new();
        let answering = Answering { version: Version::Http11, head_only, connect: false, close, date: "now" };
        let form = write(&mut text, Reply { status, headers: &fields, body: &body }, answering).unwrap();
        if matches!(form, Form::Chunked { .. }) && !head_only {
            chunk(&mut text, b"more");
            chunk(&mut text, b"");
        }
        let mut rest = &text[..];
        let mut writes: Vec<&[u8]> = Vec::new();
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            writes.push(now);
            rest = later;
        }
        writes.push(rest);
        let (out, progress) = follow(head_only, writes, false);
        prop_assert_eq!(out, String::from_utf8_lossy(&text));
        prop_assert_eq!(progress, Progress { closes: close, ..DONE });
    }

    /// Whatever is written, once it is let out all of it has gone out but what was too much.
    #[test]
    fn nothing_is_lost(
        text in "(HTTP/1\\.[01] (100|200|204|101)( OK)?\r?\n)?(([A-Z]:|Content-Length: |Transfer-Encoding: chunked|[0-9]|[a-z]|\r|\n|\r\n){0,12})",
        size in 1_usize..20,
    ) {
        let mut outgoing = Outgoing::new(false, false);
        let (mut out, mut surplus) = (BytesMut::new(), 0);
        for bytes in text.as_bytes().chunks(size) {
            surplus += outgoing.write(bytes, &mut out, || false).surplus;
        }
        outgoing.release(&mut out);
        prop_assert_eq!(&out[..], &text.as_bytes()[..text.len() - surplus]);
    }
}
