//! What is written for what a program says.

use super::*;

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn reply<'a>(status: u16, headers: &'a [(&'a str, &'a str)], body: &'a str) -> Reply<'a> {
    Reply { status, headers, body: body.as_bytes() }
}

const GET: Answering<'_> =
    Answering { version: Version::Http11, head_only: false, connect: false, close: false, date: DATE };
const HEAD: Answering<'_> = Answering { head_only: true, ..GET };
const CLOSE: Answering<'_> = Answering { close: true, ..GET };
const CONNECT: Answering<'_> = Answering { connect: true, ..GET };
const OLD: Answering<'_> = Answering { version: Version::Http10, ..GET };
const OLD_CLOSE: Answering<'_> = Answering { close: true, ..OLD };

/// What is written, with ` | ` for line ends and without the date.
fn written(reply: Reply<'_>, answering: Answering<'_>) -> (String, Form) {
    let mut out = BytesMut::from(&b"before"[..]);
    let form = write(&mut out, reply, answering).unwrap();
    let text = String::from_utf8(out.to_vec()).unwrap();
    let text = text.strip_prefix("before").unwrap();
    let dates = text.matches(&format!("\r\nDate: {DATE}\r\n")).count();
    let own = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date"));
    assert_eq!(dates, usize::from(!own && form != Form::Interim), "{text}");
    (text.replace(&format!("Date: {DATE}\r\n"), "").replace("\r\n", " | "), form)
}

#[test]
fn the_whole_of_a_reply() {
    let mut out = BytesMut::new();
    let headers = [("Content-Type", "text/plain"), ("X-a", "")];
    assert_eq!(write(&mut out, reply(200, &headers, "hello"), GET), Ok(Form::Whole { close: false }));
    let text = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nX-a: \r\n\
        Content-Length: 5\r\n\r\nhello";
    assert_eq!(out, text);
}

#[test]
fn what_is_added_depends_on_the_request_and_the_status() {
    type Case =
        (u16, &'static [(&'static str, &'static str)], &'static str, Answering<'static>, &'static str, Form);
    let whole = Form::Whole { close: false };
    let last = Form::Whole { close: true };
    let chunks: &[(&str, &str)] = &[("transfer-encoding", "Chunked")];
    let table: &[Case] = &[
        (200, &[], "", GET, "HTTP/1.1 200 OK | Content-Length: 0 |  | ", whole),
        (404, &[], "no", GET, "HTTP/1.1 404 Not Found | Content-Length: 2 |  | no", whole),
        (299, &[], "", GET, "HTTP/1.1 299  | Content-Length: 0 |  | ", whole),
        (999, &[], "", GET, "HTTP/1.1 999  | Content-Length: 0 |  | ", whole),
        (200, &[], "hello", HEAD, "HTTP/1.1 200 OK | Content-Length: 5 |  | ", whole),
        (200, &[("content-length", "9")], "", HEAD, "HTTP/1.1 200 OK | Content-Length: 9 |  | ", whole),
        (
            200,
            &[("Content-Length", " 5")],
            "hello",
            GET,
            "HTTP/1.1 200 OK | Content-Length: 5 |  | hello",
            whole,
        ),
        (
            200,
            &[("Content-Length", "0"), ("content-length", "0")],
            "",
            GET,
            "HTTP/1.1 200 OK | Content-Length: 0 |  | ",
            whole,
        ),
        // As long as those that matter.
        (
            200,
            &[("Etag", "d"), ("X-Connecte", "close"), ("Content-Langth", "9"), ("Transfer-Encodang", "gzip")],
            "",
            GET,
            "HTTP/1.1 200 OK | Etag: d | X-Connecte: close | Content-Langth: 9 | Transfer-Encodang: gzip | Content-Length: 0 |  | ",
            whole,
        ),
        // No content, and its length.
        (205, &[], "lost", GET, "HTTP/1.1 205 Reset Content | Content-Length: 0 |  | ", whole),
        (
            205,
            &[("Content-Length", "4")],
            "lost",
            GET,
            "HTTP/1.1 205 Reset Content | Content-Length: 0 |  | ",
            whole,
        ),
        (205, chunks, "lost", GET, "HTTP/1.1 205 Reset Content | Content-Length: 0 |  | ", whole),
        // A tunnel.
        (200, &[], "lost", CONNECT, "HTTP/1.1 200 OK |  | ", Form::Switching),
        (299, chunks, "lost", Answering { close: true, ..CONNECT }, "HTTP/1.1 299  |  | ", Form::Switching),
        (200, &[("Content-Length", "9")], "", CONNECT, "HTTP/1.1 200 OK |  | ", Form::Switching),
        (405, &[], "no", CONNECT, "HTTP/1.1 405 Method Not Allowed | Content-Length: 2 |  | no", whole),
        // No body, and no length.
        (204, &[], "", GET, "HTTP/1.1 204 No Content |  | ", whole),
        (204, &[("Content-Length", "0")], "lost", GET, "HTTP/1.1 204 No Content |  | ", whole),
        (204, chunks, "", GET, "HTTP/1.1 204 No Content |  | ", whole),
        (304, &[], "lost", GET, "HTTP/1.1 304 Not Modified |  | ", whole),
        (
            304,
            &[("Content-Length", "7")],
            "",
            GET,
            "HTTP/1.1 304 Not Modified | Content-Length: 7 |  | ",
            whole,
        ),
        (304, &[], "", CLOSE, "HTTP/1.1 304 Not Modified | Connection: close |  | ", last),
        // Interim ones.
        (100, &[], "", CLOSE, "HTTP/1.1 100 Continue |  | ", Form::Interim),
        (103, &[("Link", "</a>")], "", GET, "HTTP/1.1 103 Early Hints | Link: </a> |  | ", Form::Interim),
        (103, &[], "", OLD, "", Form::Interim),
        (
            101,
            &[("Connection", "Upgrade"), ("Upgrade", "x")],
            "",
            CLOSE,
            "HTTP/1.1 101 Switching Protocols | Connection: Upgrade | Upgrade: x |  | ",
            Form::Switching,
        ),
        // Persistence.
        (200, &[], "", CLOSE, "HTTP/1.1 200 OK | Content-Length: 0 | Connection: close |  | ", last),
        (
            200,
            &[("connection", "x, Close")],
            "",
            GET,
            "HTTP/1.1 200 OK | connection: x, Close | Content-Length: 0 |  | ",
            last,
        ),
        (
            200,
            &[("Connection", "close")],
            "",
            CLOSE,
            "HTTP/1.1 200 OK | Connection: close | Content-Length: 0 |  | ",
            last,
        ),
        (
            200,
            &[("Connection", "keep-alive")],
            "",
            GET,
            "HTTP/1.1 200 OK | Connection: keep-alive | Content-Length: 0 |  | ",
            whole,
        ),
        (
            200,
            &[("Connection", "Keep-Alive")],
            "",
            CLOSE,
            "HTTP/1.1 200 OK | Content-Length: 0 | Connection: close |  | ",
            last,
        ),
        (200, &[], "", OLD, "HTTP/1.1 200 OK | Content-Length: 0 | Connection: keep-alive |  | ", whole),
        (
            200,
            &[("Connection", "keep-alive")],
            "",
            OLD,
            "HTTP/1.1 200 OK | Connection: keep-alive | Content-Length: 0 |  | ",
            whole,
        ),
        (200, &[], "", OLD_CLOSE, "HTTP/1.1 200 OK | Content-Length: 0 | Connection: close |  | ", last),
        (
            200,
            &[("Connection", "close")],
            "",
            OLD,
            "HTTP/1.1 200 OK | Connection: close | Content-Length: 0 |  | ",
            last,
        ),
        // Chunks.
        (
            200,
            chunks,
            "",
            GET,
            "HTTP/1.1 200 OK | transfer-encoding: Chunked |  | ",
            Form::Chunked { close: false },
        ),
        (
            200,
            chunks,
            "hello, world!!!!!",
            GET,
            "HTTP/1.1 200 OK | transfer-encoding: Chunked |  | 11 | hello, world!!!!! | ",
            Form::Chunked { close: false },
        ),
        (
            200,
            chunks,
            "a",
            CLOSE,
            "HTTP/1.1 200 OK | transfer-encoding: Chunked | Connection: close |  | 1 | a | ",
            Form::Chunked { close: true },
        ),
        (
            200,
            chunks,
            "a",
            HEAD,
            "HTTP/1.1 200 OK | transfer-encoding: Chunked |  | ",
            Form::Chunked { close: false },
        ),
        (200, chunks, "a", OLD, "HTTP/1.1 200 OK | Connection: close |  | a", Form::UntilClose),
        (
            200,
            &[("Transfer-Encoding", "gzip, chunked")],
            "",
            GET,
            "HTTP/1.1 200 OK | Transfer-Encoding: gzip, chunked |  | ",
            Form::Chunked { close: false },
        ),
    ];
    for (status, headers, body, answering, text, form) in table {
        let reply = reply(*status, headers, body);
        let (got, got_form) = written(reply, *answering);
        assert_eq!((got.as_str(), got_form), (*text, *form), "{reply:?} {answering:?}");
        let closes = text.to_lowercase().contains("close") && !text.contains("X-Connecte: close");
        assert_eq!(form.closes(), closes, "{reply:?} {answering:?}");
    }
}

#[test]
fn the_programs_own_date_is_kept() {
    let (text, _) = written(reply(200, &[("date", "today")], ""), GET);
    assert_eq!(text, "HTTP/1.1 200 OK | date: today | Content-Length: 0 |  | ");
    let mut out = BytesMut::new();
    write(&mut out, reply(100, &[], ""), GET).unwrap();
    assert_eq!(out, "HTTP/1.1 100 Continue\r\n\r\n", "an interim reply has none");
}

#[test]
fn what_would_break_the_head_is_refused_and_nothing_written() {
    type Case = (u16, &'static [(&'static str, &'static str)], &'static str, &'static str);
    let table: &[Case] = &[
        (200, &[("X\r\nY", "")], "", r#"Header name "X\r\nY" has the illegal character '\r'"#),
        (200, &[("X\nY", "")], "", "Header name \"X\\nY\" has the illegal character '\\n'"),
        (200, &[("X\0", "")], "", "Header name \"X\\0\" has the illegal character '\\0'"),
        (200, &[("X:", "")], "", "Header name \"X:\" has the illegal character ':'"),
        (200, &[("X Y", "")], "", "Header name \"X Y\" has the illegal character ' '"),
        (200, &[("Ü", "")], "", "Header name \"Ü\" has the illegal character 'Ü'"),
        (200, &[("", "v")], "", "Header name is empty, and its value \"v\""),
        (
            200,
            &[("A", "b"), ("X", "a\r\nSet-Cookie: b")],
            "",
            r#"Header value of "X" has the illegal character '\r'"#,
        ),
        (200, &[("X", "a\n")], "", "Header value of \"X\" has the illegal character '\\n'"),
        (200, &[("X", "\0")], "", "Header value of \"X\" has the illegal character '\\0'"),
        (99, &[], "", "status 99 is not between 100 and 999"),
        (1000, &[], "", "status 1000 is not between 100 and 999"),
        (0, &[], "", "status 0 is not"),
        (200, &[("Content-Length", "4")], "hello", "Content-Length \"4\" was given with a body of 5 bytes"),
        (200, &[("Content-Length", "-5")], "hello", "Content-Length \"-5\""),
        (200, &[("Content-Length", "+5")], "hello", "Content-Length \"+5\""),
        (200, &[("Content-Length", "")], "", "Content-Length \"\""),
        (200, &[("Content-Length", "5"), ("Content-Length", "6")], "hello", "Content-Length \"5\""),
        (200, &[("Content-Length", "6"), ("Content-Length", "5")], "hello", "Content-Length \"6\""),
        (
            200,
            &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
            "hello",
            "Content-Length was given beside",
        ),
        (
            200,
            &[("Transfer-Encoding", "chunked"), ("Content-Length", "5")],
            "hello",
            "Content-Length was given beside",
        ),
        (200, &[("Transfer-Encoding", "gzip")], "", "Transfer-Encoding \"gzip\" does not end with chunked"),
        (
            200,
            &[("Transfer-Encoding", "chunked, gzip")],
            "",
            "Transfer-Encoding \"chunked, gzip\" does not end",
        ),
        (200, &[("Transfer-Encoding", "")], "", "Transfer-Encoding \"\" does not end"),
        (
            200,
            &[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
            "",
            "Transfer-Encoding was given twice",
        ),
    ];
    for (status, headers, body, says) in table {
        for answering in [GET, CLOSE, OLD] {
            let mut out = BytesMut::from(&b"before"[..]);
            let error = write(&mut out, reply(*status, headers, body), answering).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
            assert_eq!(out, "before", "{error}");
        }
    }
}

#[test]
fn other_characters_in_values_are_the_programs_own() {
    let (text, _) = written(reply(200, &[("X", "ü\t\x1b%s")], ""), GET);
    assert_eq!(text, "HTTP/1.1 200 OK | X: ü\t\x1b%s | Content-Length: 0 |  | ");
}

#[test]
fn room_is_made_for_all_of_it() {
    let body = "x".repeat(10_000);
    let headers: Vec<_> = (0..50).map(|_| ("X-Some-Header", "some value")).collect();
    for (status, answering) in [(200, GET), (511, OLD), (200, CLOSE)] {
        for chunked in [&[][..], &[("Transfer-Encoding", "chunked")]] {
            let headers = [&headers[..], chunked].concat();
            let mut out = BytesMut::new();
            write(&mut out, reply(status, &headers, &body), answering).unwrap();
            let needed: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
            assert!(out.len() <= needed + body.len() + ROOM, "{} and more", out.len());
        }
    }
}

#[test]
fn chunks_are_framed() {
    let mut out = BytesMut::new();
    for bytes in [&b"a"[..], b"0123456789", b"0123456789abcdef", &[b'x'; 4096], b""] {
        out.clear();
        chunk(&mut out, bytes);
        let size = format!("{:x}\r\n", bytes.len());
        assert_eq!(out, [size.as_bytes(), bytes, b"\r\n"].concat(), "{}", bytes.len());
    }
}
