//! Replies, written.

use bytes::BytesMut;

use super::reply_error::check;
use super::{ReplyError, Version, status, token};

/// A reply, as the program gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// What the reply answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answering<'a> {
    pub(crate) version: Version,
    /// The request was HEAD: the head is as for GET, and no body follows.
    pub(crate) head_only: bool,
    /// The connection does not persist: because the request said so, or because of a stop (D2).
    pub(crate) close: bool,
    /// `Date`, as RFC 9110 §5.6.7 writes it.
    pub(crate) date: &'a str,
}

/// What was written, and what comes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A 1xx: the final reply is still to come.
    Interim,
    /// The whole reply. `close`: the connection closes behind it.
    Whole { close: bool },
    /// Chunks follow, up to an empty one (none are written if the request was HEAD).
    Chunked { close: bool },
    /// An HTTP/1.0 client cannot read chunks: what follows is the body as it is, up to the end of the connection.
    UntilClose,
}

impl Form {
    pub(crate) fn closes(self) -> bool {
        match self {
            Self::Interim => false,
            Self::Whole { close } | Self::Chunked { close } => close,
            Self::UntilClose => true,
        }
    }
}

/// Writes a reply behind what is in `out`, or nothing if it is an error.
///
/// Added to what the program says: `Date`; `Content-Length`, except where none may be; `Connection`, if it must say
/// something. A body that the status (or HEAD) does not allow is left out. `Transfer-Encoding: chunked` begins a chunked
/// reply, whose first chunk is `body`, unless that is empty.
pub(crate) fn write(
    out: &mut BytesMut,
    reply: Reply<'_>,
    answering: Answering<'_>,
) -> Result<Form, ReplyError> {
    let Reply { status, headers, body } = reply;
    if !(100..=999).contains(&status) {
        return Err(ReplyError::Status { status });
    }
    let mut said = Said::default();
    let mut size = 160 + body.len(); // status line, Date, Content-Length, Connection, a chunk's frame
    for (name, value) in headers {
        check(name, value)?;
        said.hear(name, value);
        size += name.len() + value.len() + 4;
    }
    let switches = status == 101;
    let interim = status < 200 && !switches;
    let bodiless = status::has_no_body(status);
    let chunked = said.coding(bodiless)?;
    let length = said.length(body.len(), answering.head_only || bodiless)?;

    let until_close = chunked && answering.version == Version::Http10;
    let close = !switches && !interim && (answering.close || said.close || until_close);
    let keep = !close && !interim && answering.version == Version::Http10;

    out.reserve(size);
    push_status(out, status);
    if !said.date && !interim {
        push_field(out, "Date", answering.date);
    }
    for (name, value) in headers {
        match said.special && is_ours(name, value, bodiless, until_close, close) {
            true => {}
            false => push_field(out, name, value),
        }
    }
    if !chunked && (!bodiless || length.is_some_and(|_| status == 304)) {
        out.extend_from_slice(b"Content-Length: ");
        push_decimal(out, length.unwrap_or(body.len() as u64));
        out.extend_from_slice(b"\r\n");
    }
    if close && !said.close {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if keep && !said.keep_alive {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");

    if !bodiless && !answering.head_only {
        match chunked && !until_close {
            true if body.is_empty() => {}
            true => chunk(out, body),
            false => out.extend_from_slice(body),
        }
    }
    Ok(match (interim, chunked, until_close) {
        (true, ..) => Form::Interim,
        (_, true, true) => Form::UntilClose,
        (_, true, false) => Form::Chunked { close },
        _ => Form::Whole { close },
    })
}

/// Writes one chunk; an empty one is the last (RFC 9112 §7.1).
pub(crate) fn chunk(out: &mut BytesMut, bytes: &[u8]) {
    if bytes.is_empty() {
        out.extend_from_slice(b"0\r\n\r\n");
        return;
    }
    out.reserve(bytes.len() + 20);
    let mut digits = [0; 16];
    let mut left = bytes.len();
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[left % 16];
        left /= 16;
        from -= 1;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(from..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// What the program's own fields say that concerns the framing.
#[derive(Default)]
struct Said<'a> {
    /// Any of those below but `date`.
    special: bool,
    date: bool,
    close: bool,
    keep_alive: bool,
    length: Option<&'a str>,
    /// A second length, if it differs.
    other_length: Option<&'a str>,
    coding: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn hear(&mut self, name: &str, value: &'a str) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is("date") => self.date = true,
            10 if is("connection") => {
                self.special = true;
                for option in token::members(value.as_bytes()) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if is("content-length") => {
                self.special = true;
                let before = self.length.replace(value);
                self.other_length =
                    self.other_length.or(before.filter(|before| before.trim() != value.trim()));
            }
            17 if is("transfer-encoding") => {
                self.special = true;
                self.coding = Some(value);
            }
            _ => {}
        }
    }

    fn coding(&self, bodiless: bool) -> Result<bool, ReplyError> {
        let Some(said) = self.coding else { return Ok(false) };
        if self.length.is_some() {
            return Err(ReplyError::LengthOfChunked);
        }
        let last = token::members(said.as_bytes()).last().unwrap_or_default();
        match last.eq_ignore_ascii_case(b"chunked") {
            true => Ok(!bodiless),
            false => Err(ReplyError::TransferEncoding { said: said.to_owned() }),
        }
    }

    /// The length that the program gave. `free`: no body follows that it could contradict.
    fn length(&self, body: usize, free: bool) -> Result<Option<u64>, ReplyError> {
        let Some(said) = self.other_length.or(self.length) else { return Ok(None) };
        let number = token::trim(said.as_bytes());
        let digits = number.iter().all(u8::is_ascii_digit);
        let length = str::from_utf8(number).ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
        match length {
            Some(length) if self.other_length.is_none() && (free || length == body as u64) => {
                Ok(Some(length))
            }
            _ => Err(ReplyError::ContentLength { said: said.to_owned(), body }),
        }
    }
}

/// Whether a field of the program is left out, because we write it, or because it may not be there.
fn is_ours(name: &str, value: &str, bodiless: bool, until_close: bool, close: bool) -> bool {
    match name.len() {
        10 => {
            name.eq_ignore_ascii_case("connection")
                && close
                && value.trim().eq_ignore_ascii_case("keep-alive")
        }
        14 => name.eq_ignore_ascii_case("content-length"),
        17 => name.eq_ignore_ascii_case("transfer-encoding") && (bodiless || until_close),
        _ => false,
    }
}

fn push_status(out: &mut BytesMut, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    match status::line(status) {
        Some(line) => out.extend_from_slice(line.as_bytes()),
        None => {
            push_decimal(out, u64::from(status));
            out.extend_from_slice(b" "); // the blank is due even without a phrase (RFC 9112 §4)
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn push_field(out: &mut BytesMut, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn push_decimal(out: &mut BytesMut, mut number: u64) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        from -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(from..).unwrap_or_default());
}
