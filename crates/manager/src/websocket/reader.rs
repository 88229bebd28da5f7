//! Frames into messages.

use super::message::Content;
use super::writer::may_be_sent;
use super::{Failure, Incoming, LONGEST_CONTROL, LONGEST_HEAD, Role, WsControl, WsMessage, shared};
use bytes::Bytes;
use std::io::Cursor;
use tungstenite::Utf8Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Puts messages together from bytes, however these are cut into reads.
pub(crate) struct Reader {
    role: Role,
    /// The beginning of a frame's head.
    head: Vec<u8>,
    frame: Option<Frame>,
    /// The message whose fragments are coming.
    message: Option<Message>,
    /// The payload of a control frame, which may come amid the fragments of a message.
    control: Vec<u8>,
}

/// A frame whose payload is coming.
struct Frame {
    opcode: OpCode,
    last: bool,
    mask: [u8; 4],
    left: u64,
}

struct Message {
    text: bool,
    data: Vec<u8>,
    /// Up to here it is known to be UTF-8.
    checked: usize,
}

impl Reader {
    pub(crate) fn new(role: Role) -> Self {
        Self { role, head: Vec::new(), frame: None, message: None, control: Vec::new() }
    }

    /// Takes bytes off the input, up to the end of the next message or control frame, if that is in it; all of them, if
    /// none is. `most`: how long a message may be.
    ///
    /// # Errors
    ///
    /// What RFC 6455 does not allow, or is larger. The reader is of no use then.
    pub(crate) fn read(&mut self, input: &mut &[u8], most: usize) -> Result<Option<Incoming>, Failure> {
        loop {
            if self.frame.is_none() {
                let Some((header, length)) = self.head(input)? else { return Ok(None) };
                self.begin(&header, length, most)?;
            }
            if !self.payload(input, most)? {
                return Ok(None);
            }
            if let Some(incoming) = self.finish()? {
                return Ok(Some(incoming));
            }
        }
    }

    /// Whether the rest of a frame, or of a message, is still to come.
    pub(crate) fn is_amid(&self) -> bool {
        self.frame.is_some() || self.message.is_some() || !self.head.is_empty()
    }

    /// Bytes that it keeps room for.
    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.data.capacity());
        self.head.capacity() + self.control.capacity() + message
    }

    fn head(&mut self, input: &mut &[u8]) -> Result<Option<(FrameHeader, u64)>, Failure> {
        let had = self.head.len();
        let (found, end) = if had == 0 {
            parse(input)?
        } else {
            self.head.extend_from_slice(input.get(..LONGEST_HEAD - had).unwrap_or(input));
            parse(&self.head)?
        };
        if found.is_none() {
            if had == 0 {
                self.head.extend_from_slice(input);
            }
            *input = &[];
            return Ok(None);
        }
        self.head = Vec::new();
        *input = input.get(end - had..).unwrap_or_default();
        Ok(found)
    }

    fn begin(&mut self, header: &FrameHeader, length: u64, most: usize) -> Result<(), Failure> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Failure::protocol("the peer sent a frame with a reserved bit set"));
        }
        match (self.role, header.mask) {
            (Role::Server, None) => {
                return Err(Failure::protocol("the client sent a frame that is not masked"));
            }
            (Role::Client, Some(_)) => {
                return Err(Failure::protocol("the server sent a frame that is masked"));
            }
            _ => {}
        }
        match (header.opcode, &self.message) {
            (OpCode::Control(_), _) if !header.is_final => {
                return Err(Failure::protocol("the peer sent a control frame in fragments"));
            }
            (OpCode::Control(_), _) if length > LONGEST_CONTROL as u64 => {
                return Err(Failure::protocol("the peer sent a control frame of more than 125 bytes"));
            }
            (OpCode::Control(_), _) => {}
            (OpCode::Data(Data::Continue), None) => {
                return Err(Failure::protocol("the peer sent a continuation of no message"));
            }
            (OpCode::Data(Data::Text | Data::Binary), Some(_)) => {
                return Err(Failure::protocol("the peer began a message within a message"));
            }
            (OpCode::Data(opcode), message) => {
                let had = message.as_ref().map_or(0, |message| message.data.len());
                if length > most.saturating_sub(had) as u64 {
                    return Err(Failure::SIZE);
                }
                if message.is_none() {
                    self.message = Some(Message { text: opcode == Data::Text, data: Vec::new(), checked: 0 });
                }
            }
        }
        self.frame = Some(Frame {
            opcode: header.opcode,
            last: header.is_final,
            mask: header.mask.unwrap_or_default(),
            left: length,
        });
        Ok(())
    }

    /// Takes what there is of the payload; whether that is all of it.
    fn payload(&mut self, input: &mut &[u8], most: usize) -> Result<bool, Failure> {
        let Some(frame) = &mut self.frame else { return Ok(false) };
        let left = usize::try_from(frame.left).unwrap_or(usize::MAX);
        let taken = left.min(input.len());
        let (now, later) = input.split_at_checked(taken).unwrap_or_default();
        *input = later;
        frame.left -= taken as u64;
        let message = self.message.as_mut().filter(|_| matches!(frame.opcode, OpCode::Data(_)));
        let data = match message {
            Some(Message { data, .. }) => data,
            None => &mut self.control,
        };
        let from = data.len();
        if data.capacity() - from < taken {
            // As much again, so that what comes byte by byte is not moved with each, but no more than there may be.
            let room = if frame.last { left } else { most.saturating_sub(from) };
            data.reserve_exact(from.min(room).max(taken));
        }
        data.extend_from_slice(now);
        if self.role == Role::Server {
            unmask(data.get_mut(from..).unwrap_or_default(), frame.mask);
            frame.mask.rotate_left(taken % 4);
        }
        let done = frame.left == 0;
        // What is whole is checked as a whole.
        if let (OpCode::Data(_), false, Some(message)) = (frame.opcode, done && frame.last, &mut self.message)
        {
            message.check()?;
        }
        Ok(done)
    }

    /// A frame is whole. What it finishes.
    fn finish(&mut self) -> Result<Option<Incoming>, Failure> {
        let Some(frame) = self.frame.take() else { return Ok(None) };
        let control = match frame.opcode {
            OpCode::Data(_) if !frame.last => return Ok(None),
            OpCode::Data(_) => {
                let Some(mut message) = self.message.take() else { return Ok(None) };
                // A message keeps no more than it has.
                message.data.shrink_to_fit();
                let data = shared(message.data);
                let content = if message.text {
                    Content::Text(Utf8Bytes::try_from(data).map_err(|_| Failure::TEXT)?)
                } else {
                    Content::Binary(data)
                };
                return Ok(Some(Incoming::Message(WsMessage(content))));
            }
            OpCode::Control(control) => control,
        };
        let payload = shared(std::mem::take(&mut self.control));
        let control = match control {
            Control::Ping => WsControl::Ping(payload),
            Control::Pong => WsControl::Pong(payload),
            Control::Close => close(&payload)?,
            Control::Reserved(_) => return Err(RESERVED),
        };
        Ok(Some(Incoming::Control(control)))
    }
}

impl Message {
    /// Text that is none by now will be none when it is whole (RFC 6455 §8.1).
    fn check(&mut self) -> Result<(), Failure> {
        if !self.text {
            return Ok(());
        }
        match str::from_utf8(self.data.get(self.checked..).unwrap_or_default()) {
            Ok(_) => self.checked = self.data.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Failure::TEXT),
        }
        Ok(())
    }
}

const RESERVED: Failure = Failure::protocol("the peer sent a frame with a reserved opcode");

/// A head, if it is whole, and where it ends.
fn parse(bytes: &[u8]) -> Result<(Option<(FrameHeader, u64)>, usize), Failure> {
    let mut cursor = Cursor::new(bytes);
    // Of memory there is no other error.
    let found = FrameHeader::parse(&mut cursor).map_err(|_| RESERVED)?;
    Ok((found, cursor.position() as usize))
}

/// RFC 6455 §5.5.1.
fn close(payload: &Bytes) -> Result<WsControl, Failure> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload.is_empty() {
            true => Ok(WsControl::Close { code: 1005, reason: String::new() }),
            false => Err(Failure::protocol("the peer sent half a close code")),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !may_be_sent(code) {
        return Err(Failure::protocol("the peer sent a close code that may not be sent"));
    }
    let reason = str::from_utf8(reason).map_err(|_| Failure::TEXT)?.to_owned();
    Ok(WsControl::Close { code, reason })
}

/// RFC 6455 §5.3; the same again takes it off.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Some(chunk) = chunk.first_chunk_mut::<8>() {
            *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}
