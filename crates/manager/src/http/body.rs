//! The body of a request: where it ends, and what is in it.

use bytes::{Bytes, BytesMut};
use exeunt_drain::Framing;

use super::Refusal;
use super::chunked::Chunked;

/// Finds the end of one body in what has arrived behind the head.
#[derive(Clone, Debug)]
pub(crate) struct BodyReader {
    kind: Kind,
    /// Bytes of content that are allowed.
    most: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    Length(u64),
    /// Followed so far.
    Chunked {
        chunks: Chunked,
        at: usize,
    },
}

impl BodyReader {
    /// `most`: how many bytes of content there may be.
    pub(crate) fn new(framing: Framing, most: u64) -> Self {
        let kind = match framing {
            Framing::None => Kind::Length(0),
            Framing::Length(length) => Kind::Length(length),
            Framing::Chunked => Kind::Chunked { chunks: Chunked::new(), at: 0 },
        };
        Self { kind, most }
    }

    /// Given all that has arrived behind the head, answers the length of the body as it was sent, once it is whole.
    ///
    /// The answer does not depend on how often this is asked, and what was looked at is not looked at again.
    ///
    /// # Errors
    ///
    /// 413 if the content is longer than it may be, as soon as that is known; or if chunks that carry it are so small that
    /// they take more than twice that and 64 KiB. 400 and 431 for what is no chunked body.
    pub(crate) fn read(&mut self, behind_head: &[u8]) -> Result<Option<usize>, Refusal> {
        const TOO_LONG: Refusal = Refusal::new(413, "the body is longer than it may be");
        match &mut self.kind {
            Kind::Length(length) if *length > self.most => Err(TOO_LONG),
            Kind::Length(length) => {
                Ok(usize::try_from(*length).ok().filter(|length| behind_head.len() >= *length))
            }
            Kind::Chunked { chunks, at } => {
                let raw_most = self.most.saturating_mul(2).saturating_add(64 * 1024);
                while !chunks.is_done()
                    && let Some(rest) = behind_head.get(*at..).filter(|rest| !rest.is_empty())
                {
                    // Stepwise, so that the limits strike where they are passed, however much is there.
                    let step = usize::try_from(chunks.left()).unwrap_or(usize::MAX).clamp(1, rest.len());
                    *at += chunks.feed(rest.get(..step).unwrap_or(rest), |_| {})?;
                    if chunks.content() > self.most || (*at as u64).saturating_add(chunks.left()) > raw_most {
                        return Err(TOO_LONG);
                    }
                }
                Ok(chunks.is_done().then_some(*at))
            }
        }
    }

    /// The content of a whole request that begins with a head of `head_len` bytes. Copied only if it came in several
    /// chunks.
    pub(crate) fn body(&self, raw: &Bytes, head_len: usize) -> Bytes {
        let sent = raw.get(head_len..).unwrap_or_default();
        match &self.kind {
            Kind::Length(0) => Bytes::new(),
            Kind::Length(_) => raw.slice(head_len..),
            Kind::Chunked { chunks, .. } => {
                let mut only = None;
                let mut all = BytesMut::new();
                let content = usize::try_from(chunks.content()).unwrap_or_default();
                // It was read before: it has no errors.
                let _ = Chunked::new().feed(sent, |piece| {
                    if piece.len() == content {
                        only = Some(raw.slice(head_len + piece.start..head_len + piece.end));
                    } else {
                        all.reserve(content - all.len());
                        all.extend_from_slice(sent.get(piece).unwrap_or_default());
                    }
                });
                only.unwrap_or_else(|| all.freeze())
            }
        }
    }
}
