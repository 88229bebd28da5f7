//! Messages into frames.

use super::reader::unmask;
use super::{LONGEST_CONTROL, LONGEST_HEAD, Role, WsOp};
use bytes::{BufMut, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Writes one frame, which is the whole of what it is.
pub(crate) fn write(out: &mut BytesMut, role: Role, op: WsOp, payload: &[u8]) {
    let opcode = match op {
        WsOp::Text => OpCode::Data(Data::Text),
        WsOp::Binary => OpCode::Data(Data::Binary),
        WsOp::Close => OpCode::Control(Control::Close),
        WsOp::Ping => OpCode::Control(Control::Ping),
        WsOp::Pong => OpCode::Control(Control::Pong),
    };
    // RFC 6455 §5.3: nobody may know it beforehand.
    let mask = (role == Role::Client).then(rand::random);
    out.reserve(LONGEST_HEAD + payload.len());
    // Memory takes everything.
    _ = FrameHeader { opcode, mask, ..FrameHeader::default() }
        .format(payload.len() as u64, &mut out.writer());
    let from = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = mask {
        unmask(out.get_mut(from..).unwrap_or_default(), mask);
    }
}

/// What a Close says: nothing, if the code is 1005. A reason that is too long is cut short.
pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    if code == 1005 {
        return Vec::new();
    }
    let end = reason.floor_char_boundary(LONGEST_CONTROL - 2);
    [&code.to_be_bytes()[..], reason.get(..end).unwrap_or_default().as_bytes()].concat()
}

/// RFC 6455 §7.4 and the registry that it opens: 1004 means nothing, 1005, 1006 and 1015 are for programs alone, those
/// up to 2999 are for standards to come.
pub(crate) fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
