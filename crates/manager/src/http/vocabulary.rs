//! The words that parsers and writers share.

use std::fmt;

/// Why bytes are not taken for a request, and with which status that is answered.
///
/// The connection cannot go on behind it: where the next request would begin is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// 400, 413, 414, 431, 501 or 505 (RFC 9110 §15.5, §15.6; RFC 6585 §5).
    pub status: u16,
    /// What was wrong, for a log or the answer's body.
    pub why: &'static str,
}

impl Refusal {
    pub(crate) const fn new(status: u16, why: &'static str) -> Self {
        Self { status, why }
    }

    pub(crate) const fn bad(why: &'static str) -> Self {
        Self::new(400, why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.why)
    }
}

impl std::error::Error for Refusal {}

/// The version in a request line. Others are refused with 505.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0: a connection persists only if both sides say so.
    Http10,
    /// HTTP/1.1: a connection persists unless one side says otherwise (RFC 9112 §9.3).
    Http11,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        })
    }
}
