//! Replies, written.

use bytes::BytesMut;

use super::reply_error::check;
use super::said::Said;
use super::{ReplyError, Version, status};

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
    /// The request was CONNECT: a 2xx has no body and no length, and behind it are the tunnel's bytes (RFC 9110 §9.3.6).
    pub(crate) connect: bool,
    /// The connection does not persist: because the request said so, or because of a stop (D2).
    pub(crate) close: bool,
    /// `Date`, as RFC 9110 §5.6.7 writes it.
    pub(crate) date: &'a str,
}

/// What was written, and what comes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A 1xx, for a client that knows of them (RFC 9110 §15.2): the final reply is still to come.
    Interim,
    /// The whole reply. `close`: the connection closes behind it.
    Whole { close: bool },
    /// Chunks follow, up to an empty one (none are written if the request was HEAD).
    Chunked { close: bool },
    /// Another protocol begins behind it: a 101, or a 2xx to CONNECT.
    Switching,
    /// An HTTP/1.0 client cannot read chunks: what follows is the body as it is, up to the end of the connection.
    UntilClose,
}

impl Form {
    pub(crate) fn closes(self) -> bool {
        match self {
            Self::Interim | Self::Switching => false,
            Self::Whole { close } | Self::Chunked { close } => close,
            Self::UntilClose => true,
        }
    }
}

/// Enough for the longest status line, `Date`, `Content-Length`, `Connection`, and a chunk's frame.
const ROOM: usize = 192;

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
    let mut size = ROOM + body.len();
    for (name, value) in headers {
        check(name, value)?;
        said.hear(name, value);
        size += name.len() + value.len() + 4;
    }
    let tunnels = answering.connect && (200..300).contains(&status);
    let switches = status == 101 || tunnels;
    let interim = status < 200 && !switches;
    let bodiless = tunnels || status::has_no_body(status);
    // Ends by its length as others do, but has no content (RFC 9110 §15.3.6).
    let emptied = status == 205;
    let chunked = said.coding(bodiless || emptied)?;
    let length = said.length(body.len(), answering.head_only || bodiless || emptied)?;
    let (body, length) = if emptied { (&[][..], None) } else { (body, length) };

    if interim && answering.version == Version::Http10 {
        return Ok(Form::Interim);
    }
    let until_close = chunked && answering.version == Version::Http10;
    let close = !switches && !interim && (answering.close || said.close || until_close);
    let keep = !close && !interim && answering.version == Version::Http10;

    out.reserve(size);
    push_status(out, status);
    if !said.date && !interim {
        push(out, &[b"\r\nDate: ", answering.date.as_bytes()]);
    }
    for (name, value) in headers {
        if !(said.special && is_left_out(name, value, bodiless || emptied || until_close, close)) {
            push(out, &[b"\r\n", name.as_bytes(), b": ", value.as_bytes()]);
        }
    }
    // A 304 may say how long the body would be (RFC 9110 §8.6), 1xx and 204 may not.
    if !chunked && (!bodiless || status == 304 && length.is_some()) {
        out.extend_from_slice(b"\r\nContent-Length: ");
        push_number::<10>(out, length.unwrap_or(body.len() as u64));
    }
    if close && !said.close {
        out.extend_from_slice(b"\r\nConnection: close");
    } else if keep && !said.keep_alive {
        out.extend_from_slice(b"\r\nConnection: keep-alive");
    }
    out.extend_from_slice(b"\r\n\r\n");

    if bodiless || answering.head_only || body.is_empty() {
    } else if chunked && !until_close {
        chunk(out, body);
    } else {
        out.extend_from_slice(body);
    }
    Ok(match (interim, chunked, until_close) {
        _ if switches => Form::Switching,
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
    push_number::<16>(out, bytes.len() as u64);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Whether a field of the program is not written: because we write it, or because it may not be there.
fn is_left_out(name: &str, value: &str, unchunked: bool, close: bool) -> bool {
    match name.len() {
        10 => {
            name.eq_ignore_ascii_case("connection")
                && close
                && value.trim().eq_ignore_ascii_case("keep-alive")
        }
        14 => name.eq_ignore_ascii_case("content-length"),
        17 => name.eq_ignore_ascii_case("transfer-encoding") && unchunked,
        _ => false,
    }
}

fn push_status(out: &mut BytesMut, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    match status::line(status) {
        Some(line) => out.extend_from_slice(line.as_bytes()),
        None => {
            push_number::<10>(out, u64::from(status));
            out.extend_from_slice(b" "); // the blank is due even without a phrase (RFC 9112 §4)
        }
    }
}

fn push(out: &mut BytesMut, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn push_number<const RADIX: u64>(out: &mut BytesMut, mut number: u64) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        let value = (number % RADIX) as u8;
        *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
        number /= RADIX;
        from -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(from..).unwrap_or_default());
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
