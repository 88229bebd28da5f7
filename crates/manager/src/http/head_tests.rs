//! What is taken for a request, and what is not.

use exeunt_drain::Framing;

use super::{Head, HeadParser};
use crate::http::{Refusal, Request, Version};

fn parse(text: &[u8]) -> Result<Option<Head>, Refusal> {
    HeadParser::new().parse(text, 64 * 1024)
}

fn request(text: &str) -> Request {
    let head = parse(text.as_bytes()).unwrap().unwrap();
    Request::new(text.to_owned().into(), head, bytes::Bytes::new())
}

/// The status of a request with these lines behind the request line and Host.
fn status_with(lines: &str) -> u16 {
    refused(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

fn refused(text: &str) -> u16 {
    match parse(text.as_bytes()) {
        Ok(None) => 0,
        Ok(Some(_)) => 200,
        Err(refusal) => refusal.status,
    }
}

#[test]
fn framing_that_can_be_read_in_two_ways_is_refused() {
    // Forms that request smuggling is known to use: RFC 9112 §11.2 and the reports on CL.TE, TE.CL, TE.TE and CL.0.
    let table = [
        ("", 200),
        ("Content-Length: 5\r\n", 200),
        ("content-length:5\r\n", 200),
        ("Content-Length:  5 \t\r\n", 200),
        ("Content-Length: 00005\r\n", 200),
        ("Content-Length: 18446744073709551615\r\n", 200),
        ("Transfer-Encoding: chunked\r\n", 200),
        ("Transfer-Encoding: Chunked\r\n", 200),
        ("transfer-encoding:\tchunked \r\n", 200),
        // Lengths.
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 5\r\ncontent-length: 6\r\n", 400),
        ("Content-Length: 0\r\nContent-Length: 44\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length: 5,6\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: 5.0\r\n", 400),
        ("Content-Length: 5 5\r\n", 400),
        ("Content-Length: 1_000\r\n", 400),
        ("Content-Length: \"5\"\r\n", 400),
        ("Content-Length: 5;\r\n", 400),
        ("Content-Length: five\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: ٣\r\n", 400),
        ("Content-Length: 18446744073709551616\r\n", 400),
        ("Content-Length: 99999999999999999999999999\r\n", 400),
        // Both.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        ("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", 400),
        // Codings.
        ("Transfer-Encoding:\r\n", 400),
        ("Transfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 400),
        ("Transfer-Encoding: chunked, gzip\r\n", 400),
        ("Transfer-Encoding: chunked, identity\r\n", 400),
        ("Transfer-Encoding: gzip, identity\r\n", 400),
        ("Transfer-Encoding: chunked, gzip, chunked\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 400),
        ("Transfer-Encoding: chunkedx\r\n", 400),
        ("Transfer-Encoding: chunke\r\n", 400),
        ("Transfer-Encoding: x chunked\r\n", 400),
        ("Transfer-Encoding: \"chunked\"\r\n", 400),
        ("Transfer-Encoding: 'chunked'\r\n", 400),
        ("Transfer-Encoding: chunked;q=1\r\n", 400),
        ("Transfer-Encoding: ,chunked\r\n", 400),
        ("Transfer-Encoding: chunked,\r\n", 400),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Transfer-Encoding: chunked\x0b\r\n", 400),
        ("Transfer-Encoding: chunked\x0c\r\n", 400),
        ("Transfer-Encoding: \u{a0}chunked\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: identity, chunked\r\n", 501),
        // Fields that only look like those.
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Transfer-Encoding\t: chunked\r\n", 400),
        (" Transfer-Encoding: chunked\r\n", 400),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", 400),
        ("X: y\r\n\tTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding:\r\n chunked\r\n", 400),
        ("X: y\nTransfer-Encoding: chunked\r\n", 400),
        ("X: y\rTransfer-Encoding: chunked\r\n", 400),
        ("X: y\r\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding\0: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\0\r\n", 400),
        ("Content-Length: 5\0\r\n", 400),
        ("Content-Length\r\n: 5\r\n", 400),
        ("Content Length: 5\r\n", 400),
        (": 5\r\n", 400),
        ("Content-Length 5\r\n", 400),
        ("\u{feff}Content-Length: 5\r\n", 400),
        ("Content_Length: 5\r\n", 200), // another field
    ];
    for (lines, status) in table {
        assert_eq!(status_with(lines), status, "{lines:?}");
    }
    // A proxy that speaks HTTP/1.0 forwards what it does not understand.
    for (line, status) in [("Transfer-Encoding: chunked", 400), ("Content-Length: 5", 200)] {
        assert_eq!(refused(&format!("POST / HTTP/1.0\r\n{line}\r\n\r\n")), status, "{line}");
    }
}

#[test]
fn request_lines_are_strict() {
    let table = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 200), // a method that the program will not know
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("GET /\r\n\r\n", 400), // HTTP/0.9
        ("GET / \r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        ("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/11\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
        ("GET / XTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.0\n\r\n", 400),
        ("GET / HTTP/1.0\r\n\n", 400),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200), // RFC 9112 §2.2
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}", 400), // TLS
        ("", 0),
        ("\r\n", 0),
        ("\r", 0),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r", 0),
    ];
    for (text, status) in table {
        assert_eq!(refused(text), status, "{text:?}");
    }
}

#[test]
fn targets_have_one_of_four_forms() {
    let table = [
        ("GET /a/b?c=d?e HTTP/1.1", Some(("/a/b", "c=d?e"))),
        ("GET /? HTTP/1.1", Some(("/", ""))),
        ("GET //a HTTP/1.1", Some(("//a", ""))),
        ("GET /ü?ß HTTP/1.1", Some(("/ü", "ß"))),
        ("GET http://b/p?q HTTP/1.1", Some(("/p", "q"))),
        ("GET HTTP://b:80 HTTP/1.1", Some(("/", ""))),
        ("GET https://[::1]:80?q HTTP/1.1", Some(("/", "q"))),
        ("OPTIONS * HTTP/1.1", Some(("*", ""))),
        ("CONNECT b.example:443 HTTP/1.1", Some(("b.example:443", ""))),
        ("CONNECT [::1]:443 HTTP/1.1", Some(("[::1]:443", ""))),
        ("GET * HTTP/1.1", None),
        ("OPTIONS *x HTTP/1.1", None),
        ("GET a HTTP/1.1", None),
        ("GET ?a HTTP/1.1", None),
        ("GET b.example:443 HTTP/1.1", None),
        ("GET /a#b HTTP/1.1", None),
        ("GET /?a#b HTTP/1.1", None),
        ("GET http://b/#c HTTP/1.1", None),
        ("GET http:///p HTTP/1.1", None),
        ("GET http://:80/p HTTP/1.1", None),
        ("GET http://u@b/p HTTP/1.1", None),
        ("GET http://b:x/p HTTP/1.1", None),
        ("GET ftp://b/p HTTP/1.1", None),
        ("CONNECT / HTTP/1.1", None),
        ("CONNECT b HTTP/1.1", None),
        ("CONNECT b: HTTP/1.1", None),
        ("CONNECT b:65536 HTTP/1.1", None),
        ("CONNECT http://b:443 HTTP/1.1", None),
    ];
    for (line, parts) in table {
        let text = format!("{line}\r\nHost: a\r\n\r\n");
        match parts {
            Some((uri, query)) => {
                let request = request(&text);
                assert_eq!((request.uri(), request.query()), (uri, query), "{line}");
                assert_eq!(Some(request.target()), line.split(' ').nth(1), "{line}");
            }
            None => assert_eq!(refused(&text), 400, "{line}"),
        }
    }
    let not_utf8 = b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(parse(not_utf8).unwrap_err().status, 400);
}

#[test]
fn there_is_one_host_and_it_is_one() {
    let table = [
        ("Host: a.example\r\n", 200),
        ("hOsT:a.example:8000\r\n", 200),
        ("Host: 127.0.0.1:0\r\n", 200),
        ("Host: [::1]:80\r\n", 200),
        ("Host: a:\r\n", 200),
        ("Host:\r\n", 200), // RFC 9112 §3.2: of a target without an authority
        ("Host: a%2fb_c~\r\n", 200),
        ("", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a\r\nX: y\r\nhost: b\r\n", 400),
        ("Host: a, b\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: a/b\r\n", 400),
        ("Host: u@a\r\n", 400),
        ("Host: a:b\r\n", 400),
        ("Host: a:80:80\r\n", 400),
        ("Host: a:-1\r\n", 400),
        ("Host: a:65536\r\n", 400),
        ("Host: a:000080\r\n", 400),
        ("Host: ::1\r\n", 400),
        ("Host: [::1\r\n", 400),
        ("Host: [a]\r\n", 400),
        ("Host: [::1]a\r\n", 400),
        ("Host: a%2\r\n", 400),
        ("Host: a%zz\r\n", 400),
        ("Host: \"a\"\r\n", 400),
        ("Host: ü\r\n", 400),
        ("Host : a\r\n", 400),
    ];
    for (lines, status) in table {
        assert_eq!(refused(&format!("GET / HTTP/1.1\r\n{lines}\r\n")), status, "{lines:?}");
    }
    assert_eq!(refused("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
}

#[test]
fn a_connection_persists_as_its_version_says() {
    let table = [
        ("1.1", "", false),
        ("1.1", "Connection: keep-alive\r\n", false),
        ("1.1", "Connection: close\r\n", true),
        ("1.1", "Connection: x,\tCLOSE ,y\r\n", true),
        ("1.1", "Connection: x\r\nconnection: close\r\n", true),
        ("1.1", "Connection: keep-alive, close\r\n", true),
        ("1.1", "Connection: closed\r\n", false),
        ("1.1", "X-Connection: close\r\n", false),
        ("1.1", "User-Agent: close\r\n", false),
        ("1.0", "", true),
        ("1.0", "Connection: Keep-Alive\r\n", false),
        ("1.0", "Connection: keep-alive, close\r\n", true),
    ];
    for (version, lines, close) in table {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
        let head = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(head.close, close, "{version} {lines:?}");
        assert_eq!(head.version, if version == "1.0" { Version::Http10 } else { Version::Http11 });
    }
}

#[test]
fn what_a_client_waits_for_is_seen() {
    let wanting = [
        ("1.1", "Expect: 100-Continue\r\nContent-Length: 1\r\n", true, false),
        ("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", true, false),
        ("1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n", false, false),
        ("1.1", "Expect: 100-continue\r\n", false, false),
        ("1.1", "Expect: x\r\nContent-Length: 1\r\n", false, false),
        ("1.1", "Cookie: 100-continue\r\nContent-Length: 1\r\n", false, false),
        ("1.1", "Connection: upgrade\r\nReferer: websocket\r\n", false, false),
        ("1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n", false, false),
        ("1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", false, true),
        ("1.1", "Connection: upgrade\r\n", false, false),
        ("1.1", "Upgrade: websocket\r\n", false, false),
        ("1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false, false),
    ];
    for (version, lines, expect_continue, upgrade) in wanting {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
        let head = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((head.expect_continue, head.upgrade), (expect_continue, upgrade), "{version} {lines:?}");
    }
}

#[test]
fn framing_is_read_off_the_fields() {
    let table = [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("Content-Length: 12\r\n", Framing::Length(12)),
        ("Accept-Charset: 12\r\nIf-Modified-Since: chunked\r\n", Framing::None),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
    ];
    for (lines, framing) in table {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let head = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((head.framing, head.len), (framing, text.len()), "{lines:?}");
    }
}

#[test]
fn many_fields_are_kept_and_too_many_refused() {
    for (count, status) in [(16, 200), (17, 200), (64, 200), (65, 200), (500, 200), (1024, 200), (1025, 431)]
    {
        let fields: String = (1..count).map(|index| format!("X-{index}: {index}\r\n")).collect();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(refused(&text), status, "{count}");
        if status == 200 {
            let request = request(&text);
            assert_eq!(request.headers().len(), count);
            assert_eq!(request.header(&format!("x-{}", count - 1)), Some(format!("{}", count - 1).as_str()));
        }
    }
}

#[test]
fn a_head_may_be_so_long_and_no_longer() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in [text.len(), text.len() + 10] {
        let behind = format!("{text}more and more");
        let whole = HeadParser::new().parse(&behind.as_bytes()[..cut], text.len());
        assert_eq!(whole.unwrap().unwrap().len, text.len(), "{cut}");
    }
    for (most, status) in [(1, 414), (15, 414), (16, 431), (text.len() - 1, 431)] {
        assert_eq!(HeadParser::new().parse(text.as_bytes(), most).unwrap_err().status, status, "{most}");
        let mut trickled = HeadParser::new();
        let first = (0..=text.len()).map(|end| trickled.parse(&text.as_bytes()[..end], most));
        let refused = first.into_iter().find(|answer| !matches!(answer, Ok(None)));
        assert_eq!(refused.unwrap().unwrap_err().status, status, "{most}, trickled");
    }
    // Empty lines count, so that nobody sends them for ever.
    let mut parser = HeadParser::new();
    let lines = "\r\n".repeat(100);
    assert_eq!(parser.parse(lines.as_bytes(), 201).unwrap(), None);
    assert!(parser.parse(lines.as_bytes(), 200).is_err());
}

#[test]
fn what_is_wrong_is_refused_before_the_head_is_whole() {
    assert_eq!(refused("GET / HTTP/2"), 505);
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: a\r\nA B"), 400);
    // Trickling, at the latest when as much again has come.
    let mut parser = HeadParser::new();
    let text = format!("GET / HTTP/1.1\r\nHost a\r\n{}", "X: y\r\n".repeat(10));
    let refused = (0..text.len()).find(|end| parser.parse(&text.as_bytes()[..*end], 1024).is_err());
    assert!(refused.is_some_and(|end| end <= 64), "{refused:?}");
}

#[test]
fn every_empty_line_is_found_wherever_the_reads_end() {
    let texts = [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nA: b\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.0\r\nA: b\r\nC: d\r\n\r\n",
    ];
    for text in texts {
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut parser = HeadParser::new();
                for end in [first, second] {
                    assert_eq!(
                        parser.parse(&text.as_bytes()[..end], 1024),
                        Ok(None),
                        "{text:?} {first} {second}"
                    );
                }
                let head = parser.parse(text.as_bytes(), 1024).unwrap();
                assert_eq!(head.map(|head| head.len), Some(text.len()), "{text:?} {first} {second}");
            }
        }
    }
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let table = [
        ("GET / HTTP/1.1\r\n\r\n", "without Host"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "Host is not a host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "more than one Host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "not a number of bytes"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "more than one Content-Length",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "beside"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "behind chunked"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
            "the last transfer coding is not chunked",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: a, chunked\r\n\r\n",
            "a transfer coding other than chunked",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \r\n\r\n", "an empty member"),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "in an HTTP/1.0 request"),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", "bare LF"),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", "does not end with CRLF"),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", "directly before its colon"),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "folded"),
        ("GET / HTTP/1.1\r\nA: \0\r\n\r\n", "a control character"),
        ("GET / HTTP/2.0\r\n\r\n", "505: neither HTTP/1.1 nor HTTP/1.0"),
        ("GET / HTTX/1.1\r\n\r\n", "does not end with an HTTP version"),
        ("GET /\r\n\r\n", "not a method, a target and a version"),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "neither a path"),
        ("GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n", "authority"),
        ("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", "fragment"),
        ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "host:port"),
    ];
    for (text, why) in table {
        let refusal = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(refusal.contains(why), "{text:?}: {refusal}");
    }
}

#[test]
fn a_head_that_trickles_is_parsed_only_when_it_has_doubled() {
    let fields: String = (0..200).map(|index| format!("X-{index}: {index}\r\n")).collect();
    let text = format!("GET / HTTP/1.1\r\n{fields}");
    let mut parser = HeadParser::new();
    let mut tried = Vec::new();
    for end in 0..text.len() {
        assert_eq!(parser.parse(&text.as_bytes()[..end], 64 * 1024), Ok(None));
        if tried.last() != Some(&parser.tried) {
            tried.push(parser.tried);
        }
    }
    assert_eq!(tried, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048], "of {} bytes", text.len());
}
