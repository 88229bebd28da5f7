//! The head of a response: parsed and checked, as a client does it.

use std::mem::MaybeUninit;

use exeunt_drain::Framing;

use super::facts::Facts;
use super::head::{Fields, HeadParser, Span, begins_line};
use super::message::Place;
use super::{Refusal, Version, status};

/// A response's head: what it says about the connection and the body, and where its parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnswerHead {
    /// Bytes up to the body, with the empty line and with what was skipped before it.
    pub(crate) len: usize,
    start: usize,
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) reason: Span,
    pub(crate) ends: Ends,
    /// After this exchange the connection does not persist (RFC 9112 §9.3).
    pub(crate) close: bool,
    fields: Fields,
}

/// Where a response ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// As its body does.
    Framed(Framing),
    /// With the connection.
    WithConnection,
    /// Another protocol begins behind the head: a 101, or a 2xx to CONNECT.
    Switches,
}

/// What was asked, as far as the answer's form depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct AskedAs {
    /// HEAD: no body follows.
    pub(crate) head_only: bool,
    /// CONNECT: behind a 2xx is a tunnel.
    pub(crate) connect: bool,
}

impl HeadParser {
    /// As [`parse`](Self::parse), for a response.
    ///
    /// # Errors
    ///
    /// What is no response by RFC 9112, or longer than `most`.
    pub(crate) fn parse_answer(
        &mut self,
        bytes: &[u8],
        most: usize,
        asked: AskedAs,
    ) -> Result<Option<AnswerHead>, &'static str> {
        self.look(bytes, most, |bytes, start| attempt(bytes, start, asked)).map_err(|refusal| {
            match refusal.status {
                414 | 431 => "the head of the response is longer than it may be",
                _ => refusal.why,
            }
        })
    }
}

impl AnswerHead {
    /// A 1xx that goes before the answer proper (RFC 9110 §15.2).
    pub(crate) fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

impl Place for AnswerHead {
    fn start(&self) -> usize {
        self.start
    }

    fn end(&self) -> usize {
        self.len
    }

    fn fields(&self) -> Fields {
        self.fields
    }
}

fn attempt(bytes: &[u8], start: usize, asked: AskedAs) -> Result<Option<AnswerHead>, Refusal> {
    let mut few = [const { MaybeUninit::uninit() }; 64];
    match parse(bytes, start, asked, &mut few) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut many = vec![MaybeUninit::uninit(); HeadParser::FIELDS];
            parse(bytes, start, asked, &mut many).unwrap_or_else(|error| Err(refusal(error)))
        }
        Err(error) => Err(refusal(error)),
        Ok(head) => head,
    }
}

const BARE_LF: Refusal = Refusal::bad("a line of the response's head ends with a bare LF");

type Parsed = Result<Option<AnswerHead>, Refusal>;

fn parse<'a>(
    bytes: &'a [u8],
    start: usize,
    asked: AskedAs,
    room: &mut [MaybeUninit<httparse::Header<'a>>],
) -> Result<Parsed, httparse::Error> {
    let text = bytes.get(start..).unwrap_or_default();
    if text.first() == Some(&b'\n') {
        return Ok(Err(BARE_LF));
    }
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    Ok(match config.parse_response_with_uninit_headers(&mut response, text, room)? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(len) => checked(bytes, start, len, &response, asked).map(Some),
    })
}

fn checked(
    bytes: &[u8],
    start: usize,
    len: usize,
    response: &httparse::Response<'_, '_>,
    asked: AskedAs,
) -> Result<AnswerHead, Refusal> {
    let code = response.code.unwrap_or_default();
    if code < 100 {
        return Err(Refusal::bad("the response's status is less than 100"));
    }
    let version = if response.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let at = |part: &[u8]| Span::new(part.as_ptr().addr() - bytes.as_ptr().addr(), part.len());
    let end = start + len;
    let mut facts = Facts::default();
    for header in response.headers.iter() {
        // httparse takes a bare LF for a line's end.
        if !begins_line(bytes, at(header.name.as_bytes())) {
            return Err(BARE_LF);
        }
        if !header.name.eq_ignore_ascii_case("host") {
            facts.hear(header.name.as_bytes(), header.value)?;
        }
    }
    if !bytes.get(..end).is_some_and(|head| head.ends_with(b"\r\n\r\n")) {
        return Err(BARE_LF);
    }
    let ends = match code {
        101 => Ends::Switches,
        200..300 if asked.connect => Ends::Switches,
        _ if asked.head_only || status::has_no_body(code) => Ends::Framed(Framing::None),
        _ => facts.answer_framing(version)?.map_or(Ends::WithConnection, Ends::Framed),
    };
    let reason = response.reason.filter(|reason| !reason.is_empty());
    Ok(AnswerHead {
        len: end,
        start,
        version,
        status: code,
        reason: reason.map(|reason| at(reason.as_bytes())).unwrap_or_default(),
        ends,
        close: facts.closes(version) || ends == Ends::WithConnection,
        fields: Fields::new(
            response.headers.first().map(|first| at(first.name.as_bytes())).unwrap_or_default(),
            response.headers.len(),
        ),
    })
}

fn refusal(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::HeaderName => {
            Refusal::bad("a field's name is not a token directly before its colon, or a line is folded")
        }
        httparse::Error::HeaderValue => Refusal::bad("a control character, or a bare CR, in a field's value"),
        httparse::Error::NewLine => Refusal::bad("a line does not end with CRLF"),
        httparse::Error::TooManyHeaders => Refusal::bad("the response has more than 1024 fields"),
        httparse::Error::Version => Refusal::bad("the response is neither HTTP/1.1 nor HTTP/1.0"),
        httparse::Error::Token | httparse::Error::Status => {
            Refusal::bad("the status line is not a version, three digits and a reason")
        }
    }
}

#[cfg(test)]
#[path = "answer_head_tests.rs"]
mod tests;
