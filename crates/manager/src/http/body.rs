//! The body of a request: where it ends, and what is in it.

use bytes::{Bytes, BytesMut};
use exeunt_drain::Framing;

use super::Refusal;
use super::chunked::{Chunked, TOO_LONG};

/// Finds the end of one body in what has arrived behind the head.
#[derive(Clone, Debug)]
pub(crate) enum BodyReader {
    /// It has that many bytes.
    Length { length: u64, most: u64 },
    /// It is followed up to `at`.
    Chunked { chunks: Chunked, at: usize },
}

impl BodyReader {
    /// `most`: how many bytes of content there may be.
    pub(crate) fn new(framing: Framing, most: u64) -> Self {
        match framing {
            Framing::None => Self::Length { length: 0, most },
            Framing::Length(length) => Self::Length { length, most },
            Framing::Chunked => Self::Chunked { chunks: Chunked::new(most), at: 0 },
        }
    }

    /// Whether it is known to be longer than it may be, before it comes.
    pub(crate) fn is_too_long(&self) -> bool {
        matches!(self, Self::Length { length, most } if length > most)
    }

    /// Given all that has arrived behind the head, answers the length of the body as it was sent, once it is whole.
    ///
    /// The answer does not depend on how often this is asked, and what was looked at is not looked at again.
    ///
    /// # Errors
    ///
    /// 413 if the content is longer than it may be, as soon as that is known, or if it is cut into so many chunks that
    /// they take far more room than it. 400 and 431 for what is no chunked body.
    pub(crate) fn read(&mut self, behind_head: &[u8]) -> Result<Option<usize>, Refusal> {
        match self {
            Self::Length { length, most } if *length > *most => Err(TOO_LONG),
            Self::Length { length, .. } => {
                Ok(usize::try_from(*length).ok().filter(|length| behind_head.len() >= *length))
            }
            Self::Chunked { chunks, at } => {
                let fresh = behind_head.get(*at..).unwrap_or_default();
                *at += chunks.feed(fresh, |_| {})?;
                Ok(chunks.is_done().then_some(*at))
            }
        }
    }

    /// The content of a whole request that begins with a head of `head_len` bytes. It is copied only if it came in several
    /// chunks.
    pub(crate) fn body(&self, raw: &Bytes, head_len: usize) -> Bytes {
        let sent = raw.get(head_len..).unwrap_or_default();
        match self {
            Self::Length { length: 0, .. } => Bytes::new(),
            Self::Length { .. } => raw.slice_ref(sent),
            Self::Chunked { chunks, .. } => {
                let content = usize::try_from(chunks.content()).unwrap_or_default();
                let (mut only, mut joined) = (None, BytesMut::new());
                // It was read before: there are no errors in it.
                let _ = Chunked::new(u64::MAX).feed(sent, |piece| {
                    let piece = sent.get(piece).unwrap_or_default();
                    if piece.len() == content {
                        only = Some(raw.slice_ref(piece));
                    } else {
                        joined.reserve(content.saturating_sub(joined.len()));
                        joined.extend_from_slice(piece);
                    }
                });
                only.unwrap_or_else(|| joined.freeze())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_whole_when_all_of_it_is_there() {
        let table: &[(Framing, &[u8], &[u8])] = &[
            (Framing::None, b"", b""),
            (Framing::Length(0), b"", b""),
            (Framing::Length(5), b"hello", b"hello"),
            (Framing::Chunked, b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (Framing::Chunked, b"2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n", b"hello"),
            (Framing::Chunked, b"0\r\n\r\n", b""),
        ];
        let head = b"HEAD";
        for (framing, sent, content) in table {
            let mut reader = BodyReader::new(*framing, 5);
            for end in 0..sent.len() {
                assert_eq!(reader.read(&sent[..end]), Ok(None), "{framing:?} {end}");
            }
            let behind = [*sent, b"GET"].concat();
            assert_eq!(reader.read(&behind), Ok(Some(sent.len())), "{framing:?}");
            assert_eq!(reader.read(&behind), Ok(Some(sent.len())), "{framing:?}, asked again");
            let raw = Bytes::from([&head[..], sent].concat());
            assert_eq!(reader.body(&raw, head.len()), *content, "{framing:?}");
        }
    }

    #[test]
    fn one_piece_is_not_copied() {
        for (framing, sent, at) in
            [(Framing::Length(5), &b"hello"[..], 0), (Framing::Chunked, b"5\r\nhello\r\n0\r\n\r\n", 3)]
        {
            let mut reader = BodyReader::new(framing, 5);
            let raw = Bytes::copy_from_slice(sent);
            assert_eq!(reader.read(&raw), Ok(Some(raw.len())));
            assert_eq!(reader.body(&raw, 0).as_ptr(), raw[at..].as_ptr(), "{framing:?}");
        }
    }

    #[test]
    fn a_length_that_is_too_long_is_refused_before_the_body_comes() {
        assert_eq!(BodyReader::new(Framing::Length(5), 5).read(b""), Ok(None));
        let refused = BodyReader::new(Framing::Length(6), 5).read(b"").unwrap_err();
        assert_eq!(refused.status, 413);
        let refused = BodyReader::new(Framing::Length(u64::MAX), u64::MAX - 1).read(b"").unwrap_err();
        assert_eq!(refused.status, 413);
        assert_eq!(BodyReader::new(Framing::Length(u64::MAX), u64::MAX).read(b"hello"), Ok(None));
    }
}
