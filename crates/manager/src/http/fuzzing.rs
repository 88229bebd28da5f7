//! What must hold for any bytes at all: asserted here, tried by `make fuzz`, and for the kept corpus by the tests.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a panic is the finding")]

use bytes::{Bytes, BytesMut};
use exeunt_drain::Framing;

use super::{BodyReader, Head, HeadParser, Outgoing, Refusal, Request, chunk};
use crate::url::{Url, decode, encode, matches};

mod forms;
mod responses;

pub use forms::multipart;
pub use responses::responses;

/// Small, so that inputs pass them.
const HEAD: usize = 1024;
const BODY: u64 = 256;

/// Requests, one behind the other: however they are cut into reads, they are the same; and each that is taken reads the
/// same when it is written again.
pub fn requests(bytes: &[u8]) {
    // What trickles may be refused later. This ends everything: heads by empty lines, bodies by their length.
    let end = &[b'\n'; HEAD + BODY as usize][..];
    let whole = follow([&[bytes, end].concat()[..]]);
    assert!(whole.refused.is_some());
    for size in [1, 7] {
        assert_eq!(whole, follow(bytes.chunks(size).chain([end])), "{size} bytes at a time");
    }
    for request in &whole.requests {
        assert_is_strict(request.head_bytes());
        assert_rewritten_is_same(request);
    }
}

/// A chunked body: however it is cut into reads, its end and content are the same; the content comes back when it is
/// chunked anew; and a reply that has this body ends where it does.
pub fn chunked(bytes: &[u8]) {
    let mut reader = BodyReader::new(Framing::Chunked, BODY);
    let whole = reader.read(bytes);
    let mut trickled = BodyReader::new(Framing::Chunked, BODY);
    let answer = (0..=bytes.len()).map(|end| trickled.read(bytes.get(..end).unwrap_or_default()));
    let first = answer.into_iter().find(|answer| *answer != Ok(None)).unwrap_or(Ok(None));
    assert_eq!(whole, first, "one byte at a time");
    let Ok(Some(len)) = whole else { return };

    let raw = Bytes::copy_from_slice(bytes.get(..len).unwrap_or_default());
    let content = reader.body(&raw, 0);
    let mut anew = BytesMut::new();
    for piece in content.chunks(3) {
        chunk(&mut anew, piece);
    }
    chunk(&mut anew, b"");
    let mut reader = BodyReader::new(Framing::Chunked, u64::MAX);
    assert_eq!(reader.read(&anew), Ok(Some(anew.len())));
    assert_eq!(reader.body(&anew.freeze(), 0), content);

    let mut reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let head = reply.len();
    reply.extend_from_slice(bytes);
    let mut out = BytesMut::new();
    let progress = Outgoing::new(false, false).write(&reply, &mut out, || false);
    assert!(progress.done && !progress.closes);
    assert_eq!((out.len(), progress.surplus), (head + len, bytes.len() - len));
}

/// An address that is taken reads the same when it is written again; escapes come back; and patterns match as their
/// definition says.
pub fn url(text: &str) {
    if let Ok(url) = Url::parse(text) {
        let user = url.user().map(|user| match url.password() {
            Some(password) => format!("{}:{}@", encode(user), encode(password)),
            None => format!("{}@", encode(user)),
        });
        let host = if url.host().contains(':') {
            format!("[{}]", url.host().replace('%', "%25"))
        } else {
            url.host().to_owned()
        };
        let again = match url.socket().and_then(|path| path.to_str()) {
            Some(path) if url.speaks_http() => format!("http+unix://{}{}", encode(path), url.uri()),
            Some(path) if path.starts_with('/') => format!("unix://{path}"),
            Some(path) => format!("unix:{path}"),
            None => {
                format!("{}://{}{host}:{}{}", url.scheme(), user.unwrap_or_default(), url.port(), url.uri())
            }
        };
        assert_eq!(Url::parse(&again).as_ref(), Ok(&url), "{again}");
    }
    assert_eq!(decode(&encode(text)), text);
    let (text, pattern) = text.split_once('\n').unwrap_or((text, text));
    if text.len() <= 12 && pattern.len() <= 8 {
        let captures = matches(text, pattern);
        assert_eq!(captures.is_some(), is_match(text, pattern), "{text:?} {pattern:?}");
        let filled = captures.map(|captures| {
            let mut captures = captures.into_iter();
            let fill = |part: char| match part {
                '?' | '*' | '#' => captures.next().expect("a capture for each wildcard"),
                _ => part.to_string(),
            };
            pattern.chars().map(fill).collect::<String>()
        });
        assert!(filled.is_none_or(|filled| filled == text), "{text:?} {pattern:?}");
    }
}

/// What came of a stream of bytes.
#[derive(Debug, PartialEq, Eq)]
struct Followed {
    requests: Vec<Seen>,
    refused: Option<Refusal>,
    /// Bytes behind the last whole request.
    left: usize,
}

/// As the loop does it: the reads are joined, and each request is taken away when it is whole.
fn follow<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> Followed {
    let mut followed = Followed { requests: Vec::new(), refused: None, left: 0 };
    let mut input = BytesMut::new();
    let mut heads = HeadParser::new();
    let mut body: Option<(Head, BodyReader)> = None;
    for read in reads {
        input.extend_from_slice(read);
        while followed.refused.is_none() {
            match step(&mut input, &mut heads, &mut body) {
                Ok(Some(request)) => followed.requests.push(Seen(request)),
                Ok(None) => break,
                Err(refusal) => followed.refused = Some(refusal),
            }
        }
    }
    followed.left = input.len();
    followed
}

fn step(
    input: &mut BytesMut,
    heads: &mut HeadParser,
    body: &mut Option<(Head, BodyReader)>,
) -> Result<Option<Request>, Refusal> {
    if body.is_none() {
        *body = heads.parse(input, HEAD)?.map(|head| {
            let reader = BodyReader::new(head.framing, BODY);
            (head, reader)
        });
    }
    let Some((head, reader)) = body.as_mut() else { return Ok(None) };
    let Some(len) = reader.read(input.get(head.len..).unwrap_or_default())? else { return Ok(None) };
    let Some((head, reader)) = body.take() else { return Ok(None) };
    let raw = input.split_to(head.len + len).freeze();
    let content = reader.body(&raw, head.len);
    Ok(Some(Request::new(raw, head, content)))
}

/// A request, compared by all that is in it.
#[derive(Debug)]
struct Seen(Request);

impl std::ops::Deref for Seen {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.0
    }
}

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes() && self.head() == other.head() && self.body() == other.body()
    }
}

impl Eq for Seen {}

/// Said again, without a parser: a head is lines that end with CRLF and have neither CR, LF nor NUL in them.
fn assert_is_strict(head: &[u8]) {
    let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends with an empty line");
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(!line.contains(&b'\r') && !line.contains(&0), "{:?}", head.escape_ascii());
        assert!(!line.is_empty() && !line.starts_with(b" ") && !line.starts_with(b"\t"));
        assert!(index == 0 || line.contains(&b':'));
    }
    assert_eq!(bytecount(head, b'\r'), bytecount(head, b'\n'));
    let lengths =
        text.to_ascii_lowercase().windows(16).filter(|window| window == b"\ncontent-length:").count();
    assert!(lengths <= 1, "{:?}", head.escape_ascii());
}

fn bytecount(bytes: &[u8], byte: u8) -> usize {
    memchr::memchr_iter(byte, bytes).count()
}

fn assert_rewritten_is_same(request: &Request) {
    let mut text =
        format!("{} {} {}\r\n", request.method(), request.target(), request.version()).into_bytes();
    for (name, value) in request.headers() {
        text.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    text.extend_from_slice(b"\r\n");
    let head = HeadParser::new().parse(&text, 2 * HEAD).expect("taken before").expect("whole");
    assert_eq!(head.len, text.len());
    let was = request.head();
    assert_eq!((head.framing, head.close, head.version), (was.framing, was.close, was.version));
    assert_eq!((head.expect_continue, head.upgrade), (was.expect_continue, was.upgrade));
    let again = Request::new(text.into(), head, Bytes::new());
    assert_eq!(
        (again.method(), again.uri(), again.query()),
        (request.method(), request.uri(), request.query())
    );
    assert!(again.headers().eq(request.headers()));
    for (name, _) in request.headers() {
        assert_eq!(again.header_bytes(&name.to_ascii_uppercase()), request.header_bytes(name));
    }
}

/// The definition, tried in all ways.
fn is_match(text: &str, pattern: &str) -> bool {
    let mut wanted = pattern.chars();
    let rest =
        |text: &str| text.chars().next().and_then(|first| text.get(first.len_utf8()..).map(str::to_owned));
    match wanted.next() {
        None => text.is_empty(),
        Some('?') => rest(text).is_some_and(|rest| is_match(&rest, wanted.as_str())),
        Some(kind @ ('*' | '#')) => {
            is_match(text, wanted.as_str())
                || (kind == '#' || !text.starts_with('/'))
                    && rest(text).is_some_and(|rest| is_match(&rest, pattern))
        }
        Some(letter) => text.strip_prefix(letter).is_some_and(|rest| is_match(rest, wanted.as_str())),
    }
}

#[cfg(test)]
mod tests;
