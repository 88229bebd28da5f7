//! The head of a request: found, parsed, checked.

use std::mem::MaybeUninit;

use exeunt_drain::Framing;

use super::facts::Facts;
use super::message::Place;
use super::target::Target;
use super::{Refusal, Version, token};

/// Looks for a request's head in what has arrived.
///
/// A head that is whole at the first look is parsed once. One that trickles is looked at again only where it is new,
/// and parsed again when it has doubled (to refuse early) or is whole, so that all looks together cost what its length
/// does.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadParser {
    /// Bytes of empty lines before the request line (RFC 9112 §2.2).
    skipped: usize,
    /// No end of the head is before this.
    looked: usize,
    /// How much there was when it was last parsed.
    tried: usize,
}

/// A request's head: what it says about the connection and the body, and where its parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes up to the body, with the empty line and with [`Head::start`].
    pub(crate) len: usize,
    /// Where the request line begins: behind empty lines that were skipped.
    pub(crate) start: usize,
    pub(crate) version: Version,
    pub(crate) framing: Framing,
    /// After this exchange the connection does not persist (RFC 9112 §9.3).
    pub(crate) close: bool,
    /// The client waits for a 100 before it sends the body (RFC 9110 §10.1.1).
    pub(crate) expect_continue: bool,
    /// The client asks to speak another protocol (RFC 9110 §7.8).
    pub(crate) upgrade: bool,
    pub(crate) method: Span,
    pub(crate) target: Span,
    /// See [`Target::uri`].
    pub(crate) uri: Span,
    pub(crate) query: Option<Span>,
    pub(crate) fields: Fields,
}

/// A range in the bytes that were parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// Where the fields are. They are found anew whenever they are asked for: most programs ask for few, and a list of them would
/// be one more allocation for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    start: u32,
    count: u32,
}

impl HeadParser {
    /// More fields than this are refused (431).
    pub(crate) const FIELDS: usize = 1024;

    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Given all bytes of the request so far, answers its head once that is whole. `most`: how long it may be.
    ///
    /// The answer does not depend on how often, or after which bytes, this is asked (but of a head that trickles, a
    /// refusal may come later). Behind a head the parser is new.
    ///
    /// # Errors
    ///
    /// What is no request by RFC 9112, or longer than `most` (414 if its first line is, else 431).
    pub(crate) fn parse(&mut self, bytes: &[u8], most: usize) -> Result<Option<Head>, Refusal> {
        self.look(bytes, most, attempt)
    }

    /// Has `attempt` parse what is there, from behind empty lines, where that may lead to something.
    pub(super) fn look<T>(
        &mut self,
        bytes: &[u8],
        most: usize,
        attempt: impl FnOnce(&[u8], usize) -> Result<Option<T>, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        let most = most.min(u32::MAX as usize); // spans are
        let within = bytes.get(..most).unwrap_or(bytes);
        while within.get(self.skipped..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            self.skipped += 2;
        }
        let full = bytes.len() >= most;
        if full || self.is_worth_a_try(within) {
            if let Some(head) = attempt(within, self.skipped)? {
                *self = Self::new();
                return Ok(Some(head));
            }
            self.tried = within.len();
        }
        self.looked = within.len();
        match full {
            false => Ok(None),
            true if memchr::memchr(b'\n', within.get(self.skipped..).unwrap_or_default()).is_none() => {
                Err(Refusal::new(414, "the request line is longer than a head may be"))
            }
            true => Err(Refusal::new(431, "the head is longer than it may be")),
        }
    }

    fn is_worth_a_try(&self, bytes: &[u8]) -> bool {
        let begun = bytes.len() > self.skipped;
        begun
            && (bytes.len() >= 2 * self.tried
                || empty_line_end(bytes, self.looked.max(self.skipped)).is_some())
    }
}

impl Span {
    pub(crate) fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(super) fn new(start: usize, len: usize) -> Self {
        Self { start: start as u32, end: (start + len) as u32 } // `parse` gives no more than u32::MAX bytes
    }
}

impl Fields {
    /// So many, the first of which has its name there.
    pub(super) fn new(first: Span, count: usize) -> Self {
        Self { start: first.start, count: count as u32 } // `HeadParser::FIELDS` at most
    }

    /// The name of each and its trimmed value, in order, in the bytes that the head was parsed from.
    pub(crate) fn of<'a>(
        &self,
        bytes: &'a [u8],
    ) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = bytes.get(self.start as usize..).unwrap_or_default();
        // The parser took nothing but lines of a name, a colon at once, and a value without CR or LF, each with CRLF.
        (0..self.count).map(move |_| {
            let (line, behind) = split_behind(rest, b'\n');
            let (name, value) = split_behind(line, b':');
            rest = behind;
            let value = value.strip_suffix(b"\r\n").unwrap_or(value);
            (name.strip_suffix(b":").unwrap_or(name), token::trim(value))
        })
    }
}

impl Place for Head {
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

fn split_behind(bytes: &[u8], end: u8) -> (&[u8], &[u8]) {
    let at = memchr::memchr(end, bytes).map_or(bytes.len(), |at| at + 1);
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

/// Where the first empty line ends, given that none ends before `from`. LF alone ends a line here, too: whoever finds the
/// end checks what is before it.
pub(crate) fn empty_line_end(bytes: &[u8], from: usize) -> Option<usize> {
    let start = from.saturating_sub(2);
    let rest = bytes.get(start..)?;
    memchr::memchr_iter(b'\n', rest).find_map(|at| match rest.get(at + 1..) {
        Some([b'\n', ..]) => Some(start + at + 2),
        Some([b'\r', b'\n', ..]) => Some(start + at + 3),
        _ => None,
    })
}

fn attempt(bytes: &[u8], start: usize) -> Result<Option<Head>, Refusal> {
    let text = bytes.get(start..).unwrap_or_default();
    if text.first() == Some(&b'\n') {
        return Err(BARE_LF);
    }
    let mut few = [const { MaybeUninit::uninit() }; 64];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(text, &mut few) {
        Ok(httparse::Status::Complete(len)) => checked(bytes, start, len, &request).map(Some),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => attempt_many(bytes, start),
        Err(error) => Err(refusal(error, text)),
    }
}

#[cold]
fn attempt_many(bytes: &[u8], start: usize) -> Result<Option<Head>, Refusal> {
    let text = bytes.get(start..).unwrap_or_default();
    let mut many = vec![MaybeUninit::uninit(); HeadParser::FIELDS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(text, &mut many) {
        Ok(httparse::Status::Complete(len)) => checked(bytes, start, len, &request).map(Some),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(refusal(error, text)),
    }
}

const BARE_LF: Refusal = Refusal::bad("a line ends with a bare LF");

fn checked(
    bytes: &[u8],
    start: usize,
    len: usize,
    request: &httparse::Request<'_, '_>,
) -> Result<Head, Refusal> {
    let method = request.method.unwrap_or_default();
    let target = request.path.unwrap_or_default();
    let version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let at = |part: &[u8]| Span::new(part.as_ptr().addr() - bytes.as_ptr().addr(), part.len());
    let end = start + len;

    let mut facts = Facts::default();
    for header in request.headers.iter() {
        // httparse takes a bare LF for a line's end.
        if !begins_line(bytes, at(header.name.as_bytes())) {
            return Err(BARE_LF);
        }
        facts.hear(header.name.as_bytes(), header.value)?;
    }
    if !ends_line(bytes, end) || !ends_line(bytes, end - 2) {
        return Err(BARE_LF);
    }
    let parts = Target::parse(method.as_bytes(), target.as_bytes())?;
    let target = at(target.as_bytes());
    let within = |(from, to): (usize, usize)| Span::new(target.start as usize + from, to - from);
    let framing = facts.framing(version)?;
    Ok(Head {
        len: end,
        start,
        version,
        framing,
        close: facts.closes(version),
        expect_continue: facts.expects_continue(version, framing),
        upgrade: facts.upgrades(version),
        method: at(method.as_bytes()),
        target,
        uri: within(parts.uri),
        query: parts.query.map(within),
        fields: Fields::new(
            request.headers.first().map(|first| at(first.name.as_bytes())).unwrap_or_default(),
            request.headers.len(),
        ),
    })
}

/// Whether that is at the beginning of a line, behind a CRLF.
pub(super) fn begins_line(bytes: &[u8], part: Span) -> bool {
    ends_line(bytes, part.start as usize)
}

/// Whether a line ends, with CRLF, before `end`.
fn ends_line(bytes: &[u8], end: usize) -> bool {
    bytes.get(..end).is_some_and(|before| before.ends_with(b"\r\n"))
}

fn refusal(error: httparse::Error, text: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName => {
            Refusal::bad("a field's name is not a token directly before its colon, or a line is folded")
        }
        httparse::Error::HeaderValue => Refusal::bad("a control character, or a bare CR, in a field's value"),
        httparse::Error::NewLine => Refusal::bad("a line does not end with CRLF"),
        httparse::Error::TooManyHeaders => Refusal::new(431, "more than 1024 fields"),
        httparse::Error::Version if is_other_version(text) => {
            Refusal::new(505, "neither HTTP/1.1 nor HTTP/1.0")
        }
        httparse::Error::Version => Refusal::bad("the request line does not end with an HTTP version"),
        httparse::Error::Token | httparse::Error::Status => Refusal::bad(
            "the request line is not a method, a target and a version, with single blanks between",
        ),
    }
}

/// Whether the third word begins as another HTTP version does. (Of `HTTP/2.0` only `HTTP/2` may have come.)
fn is_other_version(text: &[u8]) -> bool {
    let third = text.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default();
    match third.strip_prefix(b"HTTP/") {
        Some([b'1', b'.', minor, ..]) => minor.is_ascii_digit(),
        Some([major, ..]) => major.is_ascii_digit() && *major != b'1',
        _ => false,
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
