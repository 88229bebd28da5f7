//! Heads of responses, as tables.

use super::*;

const MOST: usize = 1024;

fn parse(text: &[u8], asked: AskedAs) -> Result<AnswerHead, &'static str> {
    let whole = HeadParser::new().parse_answer(text, MOST, asked).map(|head| head.expect("a whole head"));
    // However it comes.
    for size in 1..text.len() {
        let mut parser = HeadParser::new();
        let mut cut = Ok(None);
        for end in (size..text.len()).step_by(size).chain([text.len()]) {
            cut = parser.parse_answer(&text[..end], MOST, asked);
            if !matches!(cut, Ok(None)) {
                break;
            }
        }
        let cut = cut.map(|head| head.expect("a whole head"));
        // Of one that trickles, another thing that is wrong may be found first.
        assert_eq!(cut.is_err(), whole.is_err(), "{size}");
        if whole.is_ok() {
            assert_eq!(cut, whole, "{size}");
        }
    }
    whole
}

fn ends(text: &str, asked: AskedAs) -> Result<(Ends, bool), &'static str> {
    parse(format!("{text}\r\n\r\n").as_bytes(), asked).map(|head| (head.ends, head.close))
}

const GET: AskedAs = AskedAs { head_only: false, connect: false };
const HEAD: AskedAs = AskedAs { head_only: true, connect: false };
const CONNECT: AskedAs = AskedAs { head_only: false, connect: true };

#[test]
fn a_response_ends_where_it_says() {
    use Ends::{Framed, Switches, WithConnection};
    use Framing::{Chunked, Length, None};
    let table: &[(&str, AskedAs, Ends, bool)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 5", GET, Framed(Length(5)), false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close", GET, Framed(Length(0)), true),
        ("HTTP/1.1 200\r\nTransfer-Encoding: chunked", GET, Framed(Chunked), false),
        ("HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\nConnection: x, Close", GET, Framed(Chunked), true),
        ("HTTP/1.1 200 OK", GET, WithConnection, true),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive", GET, WithConnection, true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5", GET, Framed(Length(5)), true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive", GET, Framed(Length(5)), false),
        ("HTTP/1.1 204 No Content", GET, Framed(None), false),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5", GET, Framed(None), false),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5", GET, Framed(None), false),
        ("HTTP/1.1 103 Early Hints\r\nLink: x", GET, Framed(None), false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5", HEAD, Framed(None), false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", HEAD, Framed(None), false),
        ("HTTP/1.1 200 OK", HEAD, Framed(None), false),
        ("HTTP/1.1 101 Switching Protocols", GET, Switches, false),
        ("HTTP/1.1 200 Connection established\r\nContent-Length: 5", CONNECT, Switches, false),
        ("HTTP/1.1 407 No\r\nContent-Length: 5", CONNECT, Framed(Length(5)), false),
        ("HTTP/1.1 999 \r\nContent-Length: 5", GET, Framed(Length(5)), false),
        // What a server says of hosts concerns nobody.
        ("HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\nContent-Length: 1", GET, Framed(Length(1)), false),
    ];
    for (text, asked, end, close) in table {
        assert_eq!(ends(text, *asked), Ok((*end, *close)), "{text}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for (text, why) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", "beside"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6", "more than one"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5", "not a number"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5", "not a number"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip", "other than chunked"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked", "other than chunked"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked", "behind chunked"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", "HTTP/1.0"),
        ("HTTP/2.0 200 OK", "neither"),
        ("HTTP/1.1 2000 OK", "three digits"),
        ("HTTP/1.1 099 OK", "less than 100"),
        ("HTTP/1.1 20x OK", "three digits"),
        ("HTTP/1.1 200 OK\r\nBad Name: x", "token"),
        ("HTTP/1.1 200 OK\r\nX: a\r\n folded", "token"),
        ("HTTP/1.1 200 OK\r\nX: a\0", "control character"),
        ("HTTP/1.1 200 OK\nContent-Length: 5", "bare LF"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\nX: y", "bare LF"),
        ("<html>", "neither"),
        ("220 mail.example.org ESMTP", "neither"),
    ] {
        let error = ends(text, GET).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    for text in [&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\n"[..], b"\nHTTP/1.1 200 OK\r\n\r\n"] {
        let bare = parse(text, GET).unwrap_err();
        assert!(bare.contains("bare LF"), "{bare}");
    }
}

#[test]
fn a_head_has_its_limits() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(MOST));
    let error = HeadParser::new().parse_answer(long.as_bytes(), MOST, GET).unwrap_err();
    assert!(error.contains("longer"), "{error}");
    let endless = "H".repeat(MOST);
    assert!(HeadParser::new().parse_answer(endless.as_bytes(), MOST, GET).is_err());
    for (count, good) in [(64, true), (65, true), (HeadParser::FIELDS, true), (HeadParser::FIELDS + 1, false)]
    {
        let text = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(count));
        let head = HeadParser::new().parse_answer(text.as_bytes(), usize::MAX, GET);
        assert_eq!(head.as_ref().is_ok_and(Option::is_some), good, "{count}: {head:?}");
        if let Ok(Some(head)) = head {
            assert_eq!(head.fields().of(text.as_bytes()).len(), count);
        }
    }
}

#[test]
fn the_parts_are_where_they_were() {
    let text = b"\r\nHTTP/1.1 404 Not here\r\nX-One:  a \r\nEmpty:\r\nContent-Length: 2\r\n\r\nhi";
    let head = HeadParser::new().parse_answer(text, MOST, GET).unwrap().unwrap();
    assert_eq!((head.status, head.reason.of(text), head.len), (404, &b"Not here"[..], text.len() - 2));
    let fields: Vec<_> = head.fields().of(text).collect();
    assert_eq!(fields[..2], [(&b"X-One"[..], &b"a"[..]), (b"Empty", b"")]);
    let head = HeadParser::new().parse_answer(b"HTTP/1.1 200\r\n\r\n", MOST, GET).unwrap().unwrap();
    assert_eq!(head.reason.of(b"HTTP/1.1 200\r\n\r\n"), b"");
}
