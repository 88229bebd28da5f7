//! HTTP/2 frames (RFC 9113 §4 and §6), as much as a client needs that asks and counts: no I/O.

use super::status;

/// What a client says first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The frames' length that we allow, which is what a peer may use unless told otherwise (RFC 9113 §6.5.2).
const MAX_FRAME: usize = 16 * 1024;
/// Header blocks beyond it are garbage to the drill.
const MAX_BLOCK: usize = 64 * 1024;
const MAX_WINDOW: u32 = 0x7fff_ffff;
const FIRST_WINDOW: u32 = 65_535;

/// A frame as far as its meaning matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// `length` with padding, as flow control counts it.
    Data {
        stream: u32,
        length: u32,
        end: bool,
    },
    /// A whole header block; the status is none in trailers.
    Headers {
        stream: u32,
        status: Option<u16>,
        end: bool,
    },
    Reset {
        stream: u32,
        code: u32,
    },
    Settings {
        most_streams: Option<u32>,
    },
    Ping([u8; 8]),
    GoAway {
        last: u32,
        code: u32,
    },
    /// Nothing that changes anything for us.
    Other,
}

/// Cuts a stream of bytes into frames: a parser without I/O.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    buffer: Vec<u8>,
    used: usize,
    /// A header block that is to be continued: its stream, whether it ends it, what is here of it.
    block: Option<(u32, bool, Vec<u8>)>,
}

impl FrameReader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, &'static str> {
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        let Some((head, rest)) = rest.split_first_chunk::<9>() else { return Ok(None) };
        let [a, b, c, kind, flags, stream @ ..] = *head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MAX_FRAME {
            return Err("an HTTP/2 frame of more than 16 KiB, or no HTTP/2 at all");
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let stream = u32::from_be_bytes(stream) & MAX_WINDOW;
        let frame = read(&mut self.block, kind, flags, stream, payload)?;
        self.used += head.len() + length;
        Ok(Some(frame))
    }
}

fn read(
    block: &mut Option<(u32, bool, Vec<u8>)>,
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &[u8],
) -> Result<Frame, &'static str> {
    if block.is_some() && kind != CONTINUATION {
        return Err("a frame within a header block");
    }
    let has = |flag| flags & flag != 0;
    Ok(match kind {
        DATA => {
            unpadded(payload, has(PADDED))?;
            Frame::Data { stream, length: length(payload), end: has(END_STREAM) }
        }
        HEADERS => {
            let mut payload = unpadded(payload, has(PADDED))?;
            if has(PRIORITY) {
                payload = payload.get(5..).ok_or("a HEADERS frame cut short")?;
            }
            headers(block, (stream, has(END_STREAM), payload.to_vec()), has(END_HEADERS))?
        }
        CONTINUATION => match block.take() {
            Some((of, end, mut begun)) if of == stream => {
                begun.extend_from_slice(payload);
                headers(block, (stream, end, begun), has(END_HEADERS))?
            }
            _ => return Err("a CONTINUATION of nothing"),
        },
        RST_STREAM => Frame::Reset { stream, code: number(payload)? },
        SETTINGS | PING if has(ACK) => Frame::Other,
        SETTINGS => {
            // The last of a setting's values counts (RFC 9113 §6.5.3).
            let most = payload.as_chunks::<6>().0.iter().rev().find_map(|[a, b, value @ ..]| {
                let named = u16::from_be_bytes([*a, *b]) == MAX_CONCURRENT_STREAMS;
                named.then(|| u32::from_be_bytes(*value))
            });
            Frame::Settings { most_streams: most }
        }
        PING => Frame::Ping(payload.try_into().map_err(|_| "a PING that has not 8 bytes")?),
        GOAWAY => Frame::GoAway {
            last: number(payload)? & MAX_WINDOW,
            code: number(payload.get(4..).unwrap_or_default())?,
        },
        _ => Frame::Other,
    })
}

fn headers(
    block: &mut Option<(u32, bool, Vec<u8>)>,
    begun: (u32, bool, Vec<u8>),
    whole: bool,
) -> Result<Frame, &'static str> {
    let (stream, end, bytes) = &begun;
    if bytes.len() > MAX_BLOCK {
        return Err("a header block of more than 64 KiB");
    }
    if !whole {
        *block = Some(begun);
        return Ok(Frame::Other);
    }
    Ok(Frame::Headers { stream: *stream, status: status::status(bytes)?, end: *end })
}

fn unpadded(payload: &[u8], padded: bool) -> Result<&[u8], &'static str> {
    if !padded {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or("a padded frame without a length of its padding")?;
    let length =
        rest.len().checked_sub(usize::from(*padding)).ok_or("a frame of more padding than length")?;
    Ok(rest.get(..length).unwrap_or_default())
}

fn number(payload: &[u8]) -> Result<u32, &'static str> {
    payload.first_chunk().copied().map(u32::from_be_bytes).ok_or("an HTTP/2 frame cut short")
}

fn length(payload: &[u8]) -> u32 {
    u32::try_from(payload.len()).unwrap_or(u32::MAX)
}

/// Our part of the connection's beginning: no push, no table of headers to keep, and windows that never close.
pub(crate) fn hello() -> Vec<u8> {
    let settings = [(HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, MAX_WINDOW)];
    let settings: Vec<u8> = settings
        .into_iter()
        .flat_map(|(name, value): (u16, u32)| name.to_be_bytes().into_iter().chain(value.to_be_bytes()))
        .collect();
    let mut hello = PREFACE.to_vec();
    hello.extend(frame(SETTINGS, 0, 0, &settings));
    hello.extend(window_update(MAX_WINDOW - FIRST_WINDOW));
    hello
}

pub(crate) fn acknowledge() -> Vec<u8> {
    frame(SETTINGS, ACK, 0, &[])
}

pub(crate) fn pong(payload: [u8; 8]) -> Vec<u8> {
    frame(PING, ACK, 0, &payload)
}

/// Of the connection; those of the streams are as large as can be from the beginning.
pub(crate) fn window_update(by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, 0, &by.to_be_bytes())
}

/// A GET.
pub(crate) fn request_frame(stream: u32, authority: &str, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &status::request(authority, path))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = length(payload).to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the reader makes of bytes that come one by one.
    fn read_all(bytes: &[u8]) -> Result<Vec<Frame>, &'static str> {
        let mut reader = FrameReader::default();
        let mut frames = Vec::new();
        for byte in bytes {
            reader.push(&[*byte]);
            while let Some(frame) = reader.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_told_apart() {
        let ok = [0x88];
        let table = [
            (
                frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100, 0, 4, 0, 1, 0, 0]),
                Frame::Settings { most_streams: Some(100) },
            ),
            (frame(SETTINGS, 0, 0, &[]), Frame::Settings { most_streams: None }),
            (acknowledge(), Frame::Other),
            (frame(PING, 0, 0, b"12345678"), Frame::Ping(*b"12345678")),
            (pong(*b"12345678"), Frame::Other),
            (
                frame(HEADERS, END_HEADERS, 1, &ok),
                Frame::Headers { stream: 1, status: Some(200), end: false },
            ),
            (
                frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 3, &[2, 0, 0, 0, 1, 9, 0x88, 0, 0]),
                Frame::Headers { stream: 3, status: Some(200), end: false },
            ),
            (
                frame(HEADERS, END_HEADERS | END_STREAM, 3, &[0x00, 1, b'a', 1, b'b']),
                Frame::Headers { stream: 3, status: None, end: true },
            ),
            (frame(DATA, END_STREAM, 5, b"hi"), Frame::Data { stream: 5, length: 2, end: true }),
            (frame(DATA, PADDED, 5, &[1, b'h', 0]), Frame::Data { stream: 5, length: 3, end: false }),
            (frame(RST_STREAM, 0, 7, &[0, 0, 0, 7]), Frame::Reset { stream: 7, code: 7 }),
            (
                frame(GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, b'x']),
                Frame::GoAway { last: MAX_WINDOW, code: 0 },
            ),
            (window_update(9), Frame::Other),
            (frame(200, 0xff, 9, b"unknown"), Frame::Other),
        ];
        for (bytes, expected) in table {
            assert_eq!(read_all(&bytes), Ok(vec![expected]), "{bytes:?}");
        }
    }

    #[test]
    fn a_header_block_may_come_in_pieces() {
        let pieces = [
            frame(HEADERS, END_STREAM, 1, &[0x08, 3]),
            frame(CONTINUATION, 0, 1, b"5"),
            frame(CONTINUATION, END_HEADERS, 1, b"03"),
        ];
        let headers = Frame::Headers { stream: 1, status: Some(503), end: true };
        assert_eq!(read_all(&pieces.concat()), Ok(vec![Frame::Other, Frame::Other, headers]));
        let torn = [frame(HEADERS, 0, 1, &[0x88]), frame(PING, 0, 0, &[0; 8])];
        assert!(read_all(&torn.concat()).is_err());
    }

    #[test]
    fn what_is_not_http2_is_garbage() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            &frame(PING, 0, 0, &[0; 7]),
            &frame(GOAWAY, 0, 0, &[0; 4]),
            &frame(RST_STREAM, 0, 1, &[0; 3]),
            &frame(CONTINUATION, END_HEADERS, 1, &[0x88]),
            &frame(DATA, PADDED, 1, &[9, 0]),
            &frame(HEADERS, PRIORITY | END_HEADERS, 1, &[0; 4]),
        ] {
            assert!(read_all(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_connection_begins_as_it_has_to() {
        let hello = hello();
        let frames = hello.strip_prefix(PREFACE).unwrap();
        assert_eq!(read_all(frames), Ok(vec![Frame::Settings { most_streams: None }, Frame::Other]));
        let request = request_frame(3, "127.0.0.1:80", "/");
        assert_eq!(read_all(&request), Ok(vec![Frame::Headers { stream: 3, status: None, end: true }]));
    }
}
