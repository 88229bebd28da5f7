//! WebSocket frames (RFC 6455 §5): a parser and a writer without I/O, for a client.

/// Messages beyond it are garbage to the drill.
const MAX_FRAME: u64 = 16 * 1024 * 1024;

/// What kind of frame (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text = 1,
    Close = 8,
    Pong = 10,
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Text or binary, in whole.
    Data,
    /// With its code, which may be left out.
    Close(Option<u16>),
    Ping(Vec<u8>),
    Pong,
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub(crate) struct MessageReader {
    buffer: Vec<u8>,
    /// A message has begun whose last frame is not here.
    fragmented: bool,
}

/// A whole frame, and where it ends in the buffer.
struct Cut {
    first: u8,
    end: usize,
    payload: Vec<u8>,
}

impl MessageReader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether something has come that no message was made of yet.
    pub(crate) fn has_rest(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next whole message; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, &'static str> {
        loop {
            let Some(Cut { first, end, payload }) = self.frame()? else { return Ok(None) };
            let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
            if opcode >= 8 && !last {
                return Err("a control frame in pieces");
            }
            let message = match opcode {
                0 if !self.fragmented => return Err("a continuation of no message"),
                1 | 2 if self.fragmented => return Err("a message within a message"),
                0..=2 => {
                    self.fragmented = !last;
                    last.then_some(Message::Data)
                }
                8 => match payload.as_slice() {
                    [] => Some(Message::Close(None)),
                    [_] => return Err("a Close with half a code"),
                    [high, low, ..] => Some(Message::Close(Some(u16::from_be_bytes([*high, *low])))),
                },
                9 => Some(Message::Ping(payload)),
                10 => Some(Message::Pong),
                _ => return Err("a frame that no one knows"),
            };
            self.buffer.drain(..end);
            if message.is_some() {
                return Ok(message);
            }
        }
    }

    /// The frame that stands first.
    fn frame(&self) -> Result<Option<Cut>, &'static str> {
        let Some(([first, second], rest)) = self.buffer.split_first_chunk() else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err("an extension that nobody asked for, or no WebSocket at all");
        }
        if second & 0x80 != 0 {
            return Err("a masked frame from a server");
        }
        let (wide, length) = match second {
            126 => (2, rest.first_chunk().map(|bytes| u64::from(u16::from_be_bytes(*bytes)))),
            127 => (8, rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))),
            length => (0, Some(u64::from(*length))),
        };
        let Some(length) = length else { return Ok(None) };
        if length > MAX_FRAME {
            return Err("a frame of more than 16 MiB");
        }
        let end = 2 + wide + usize::try_from(length).unwrap_or(usize::MAX);
        let payload = self.buffer.get(2 + wide..end);
        Ok(payload.map(|payload| Cut { first: *first, end, payload: payload.to_vec() }))
    }
}

/// A frame of a client, masked as it has to be (RFC 6455 §5.3).
pub(crate) fn message(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    // Shorter than 126 bytes, as a control frame has to be and our messages are.
    let payload = payload.get(..125).unwrap_or(payload);
    let mut frame = vec![0x80 | opcode as u8, 0x80 | u8::try_from(payload.len()).unwrap_or_default()];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<Message>, &'static str> {
        let mut reader = MessageReader::default();
        let mut messages = Vec::new();
        for byte in bytes {
            reader.push(&[*byte]);
            while let Some(message) = reader.next()? {
                messages.push(message);
            }
        }
        assert!(!messages.is_empty() || reader.has_rest());
        Ok(messages)
    }

    #[test]
    fn messages_are_told_apart() {
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        let longer = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 65_536]].concat();
        let table: [(&[u8], &[Message]); 9] = [
            // RFC 6455 §5.7: "Hello", whole and in two frames, the second with a ping before it.
            (b"\x81\x05Hello", &[Message::Data]),
            (b"\x01\x03Hel\x80\x02lo", &[Message::Data]),
            (b"\x01\x03Hel\x89\x01x\x80\x02lo", &[Message::Ping(b"x".to_vec()), Message::Data]),
            (b"\x8a\x00", &[Message::Pong]),
            (b"\x88\x02\x03\xe9", &[Message::Close(Some(1001))]),
            (b"\x88\x05\x03\xe8bye", &[Message::Close(Some(1000))]),
            (b"\x88\x00", &[Message::Close(None)]),
            (&long, &[Message::Data]),
            (&longer, &[Message::Data]),
        ];
        for (bytes, expected) in table {
            assert_eq!(read_all(bytes).as_deref(), Ok(expected));
        }
        assert_eq!(read_all(b"\x81\x05Hell"), Ok(vec![]));
    }

    #[test]
    fn what_no_server_may_say_is_garbage() {
        for bytes in [
            &b"\x81\x85\x00\x00\x00\x00Hello"[..],
            b"\xc1\x05Hello",
            b"\x80\x02lo",
            b"\x01\x03Hel\x81\x02lo",
            b"\x09\x00",
            b"\x88\x01\x03",
            b"\x83\x00",
            b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(read_all(bytes).is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_we_say_is_masked() {
        // RFC 6455 §5.7: a masked "Hello".
        let frame = message(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(frame, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }
}
