//! The body of a request that is taken as it comes.

use bytes::{Buf, Bytes, BytesMut};
use exeunt_drain::Framing;

use super::Refusal;
use super::chunked::{Chunked, TOO_LONG};

/// Takes the content of one body out of what has arrived, piece by piece, and keeps none of it.
#[derive(Clone, Debug)]
pub(crate) enum BodyStream {
    /// That many bytes are still to come.
    Length {
        /// Of them all, as announced.
        length: u64,
        left: u64,
        most: u64,
    },
    Chunked(Chunked),
}

impl BodyStream {
    /// `most`: how many bytes of content there may be.
    pub(crate) fn new(framing: Framing, most: u64) -> Self {
        match framing {
            Framing::None => Self::Length { length: 0, left: 0, most },
            Framing::Length(length) => Self::Length { length, left: length, most },
            Framing::Chunked => Self::Chunked(Chunked::new(most)),
        }
    }

    /// Whether the body has ended; nothing is taken any more.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Length { left, .. } => *left == 0,
            Self::Chunked(chunks) => chunks.is_done(),
        }
    }

    /// Whether it is known to be longer than it may be, before it comes.
    pub(crate) fn is_too_long(&self) -> bool {
        matches!(self, Self::Length { length, most, .. } if length > most)
    }

    /// Takes what belongs to the body off the beginning of `bytes`, and gives the content that was in it, in one piece.
    ///
    /// # Errors
    ///
    /// As of [`BodyReader::read`](super::BodyReader::read): 413 for a length is known before a byte of the body is.
    pub(crate) fn take(&mut self, bytes: &mut BytesMut) -> Result<Bytes, Refusal> {
        match self {
            Self::Length { length, most, .. } if *length > *most => Err(TOO_LONG),
            Self::Length { left, .. } => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= here as u64;
                Ok(bytes.split_to(here).freeze())
            }
            Self::Chunked(chunks) => {
                let (mut first, mut joined) = (None, BytesMut::new());
                let taken = chunks.feed(bytes, |piece| {
                    let content = bytes.get(piece.clone()).unwrap_or_default();
                    match first {
                        None => first = Some(piece),
                        Some(_) => joined.extend_from_slice(content),
                    }
                })?;
                let mut sent = bytes.split_to(taken.min(bytes.len()));
                let Some(first) = first else { return Ok(Bytes::new()) };
                sent.truncate(first.end);
                sent.advance(first.start.min(sent.len()));
                sent.unsplit(joined);
                Ok(sent.freeze())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of a body that comes in reads of that size, and what is left behind it.
    fn follow(framing: Framing, most: u64, sent: &[u8], size: usize) -> Result<(Vec<u8>, Vec<u8>), u16> {
        let mut stream = BodyStream::new(framing, most);
        let (mut input, mut content) = (BytesMut::new(), Vec::new());
        for read in sent.chunks(size) {
            input.extend_from_slice(read);
            content.extend_from_slice(&stream.take(&mut input).map_err(|refusal| refusal.status)?);
            assert!(stream.is_done() || input.is_empty(), "nothing is kept");
        }
        assert!(stream.is_done());
        Ok((content, input.to_vec()))
    }

    #[test]
    fn the_content_is_the_same_however_it_comes() {
        let table: &[(Framing, &[u8], &[u8])] = &[
            (Framing::Length(5), b"hello", b"hello"),
            (Framing::Length(0), b"", b""),
            (Framing::Chunked, b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (Framing::Chunked, b"2\r\nhe\r\n2;x=y\r\nll\r\n1\r\no\r\n0\r\nX: y\r\n\r\n", b"hello"),
            (Framing::Chunked, b"0\r\n\r\n", b""),
        ];
        for (framing, sent, content) in table {
            for size in 1..=sent.len() + 3 {
                let sent = [*sent, b"GET"].concat();
                let (taken, left) = follow(*framing, 5, &sent, size).unwrap();
                assert_eq!((&taken[..], &left[..]), (*content, &b"GET"[..]), "{framing:?} {size}");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_refused_as_soon_as_that_is_known() {
        let refused = BodyStream::new(Framing::Length(6), 5).take(&mut BytesMut::new()).unwrap_err();
        assert_eq!(refused.status, 413);
        assert_eq!(follow(Framing::Chunked, 5, b"6\r\n", 8), Err(413));
        assert_eq!(follow(Framing::Chunked, 5, b"3\r\nabc\r\n3\r\n", 2), Err(413));
        assert_eq!(follow(Framing::Chunked, 5, b"x\r\n", 8), Err(400));
    }
}
