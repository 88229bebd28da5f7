//! Which of both protocols the peer speaks: one that means HTTP/2 says so with its first bytes (RFC 9113 §3.4).

use bytes::Bytes;
use tokio::io::ReadBuf;

/// The preface of HTTP/2. No request line of HTTP/1 can begin so: the version is not its own.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first bytes of a connection, until they say what it speaks.
///
/// A client of HTTP/1 shows itself with its first byte but for a `P`, and is held up by nothing: the bytes stay in the
/// buffer into which they were read.
#[derive(Debug)]
pub(crate) enum Sniff {
    /// These are the first bytes of the preface, so far. None, for a start.
    Held(Vec<u8>),
    /// It is HTTP/1.
    Http1,
    /// It is HTTP/2; what was read.
    Http2(Bytes),
}

/// What to do with what was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes to HTTP/1, with all that was held.
    Pass,
    /// More must come.
    Hold,
    /// HTTP/2 takes over.
    Http2,
}

impl Sniff {
    /// Puts what is held in front of what will be read.
    pub(crate) fn release(&mut self, buffer: &mut ReadBuf<'_>) {
        if let Self::Held(held) = self {
            // It came out of a buffer of the same size: it fits, and leaves room.
            buffer.put_slice(&std::mem::take(held));
        }
    }

    /// Looks at what is in the buffer from `start` on: all that was read so far. What is not passed on is taken out.
    pub(crate) fn look(&mut self, buffer: &mut ReadBuf<'_>, start: usize, ended: bool) -> Verdict {
        let Self::Held(_) = self else { return Verdict::Pass };
        let read = buffer.filled().get(start..).unwrap_or_default();
        if read.starts_with(PREFACE) {
            *self = Self::Http2(Bytes::copy_from_slice(read));
            buffer.set_filled(start);
            Verdict::Http2
        } else if PREFACE.starts_with(read) && !ended {
            *self = Self::Held(read.to_owned());
            buffer.set_filled(start);
            Verdict::Hold
        } else {
            *self = Self::Http1;
            Verdict::Pass
        }
    }

    /// What was read of HTTP/2.
    pub(crate) fn into_http2(self) -> Bytes {
        match self {
            Self::Http2(read) => read,
            Self::Held(_) | Self::Http1 => Bytes::new(),
        }
    }
}

impl Default for Sniff {
    fn default() -> Self {
        Self::Held(Vec::new())
    }
}
