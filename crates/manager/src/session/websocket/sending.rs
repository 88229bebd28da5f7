//! What the program says.

use super::{Ours, WebSocket};
use crate::core::Core;
use crate::error::SendError;
use crate::session::{Protocol, Session, Wish};
use crate::websocket::{LONGEST_CONTROL, LONGEST_HEAD, WsOp, close_payload, may_be_sent, write};

impl Session {
    pub(crate) fn is_websocket(&self) -> bool {
        matches!(self.protocol, Protocol::WebSocket(_))
    }

    /// What it keeps, in bytes, besides the session itself.
    #[cfg(test)]
    pub(crate) fn ws_memory(&self) -> usize {
        let Protocol::WebSocket(websocket) = &self.protocol else { return 0 };
        let buffers = self.buffers.recv.capacity() + self.buffers.send.capacity();
        size_of::<WebSocket>() + websocket.asked.uri.len() + websocket.reader.room() + buffers
    }

    pub(crate) fn ws_send(&mut self, core: &Core, op: WsOp, data: &[u8]) -> Result<(), SendError> {
        if self.wish >= Wish::Close {
            return Err(SendError::Closed(crate::ConnectionClosed));
        }
        let limit = core.limits.send_bytes;
        let waiting = self.buffers.send.len();
        let Protocol::WebSocket(websocket) = &mut self.protocol else { return Err(SendError::NotWebSocket) };
        if websocket.ours != Ours::Open {
            return Err(SendError::SaidClose);
        }
        check(op, data)?;
        let more = LONGEST_HEAD + data.len();
        if more > limit.saturating_sub(waiting) {
            return Err(SendError::Full { waiting, more, limit });
        }
        write(&mut self.buffers.send, websocket.role, op, data);
        websocket.said(op);
        Ok(())
    }

    pub(crate) fn ws_close(&mut self, core: &Core, code: u16, reason: &str) -> Result<(), SendError> {
        if code == 1005 {
            return Err(SendError::CloseCode { code });
        }
        if reason.len() + 2 > LONGEST_CONTROL {
            return Err(SendError::ControlTooLong { length: reason.len() + 2 });
        }
        self.ws_send(core, WsOp::Close, &close_payload(code, reason))
    }
}

impl WebSocket {
    fn said(&mut self, op: WsOp) {
        if op == WsOp::Close {
            self.closed();
        }
    }
}

fn check(op: WsOp, data: &[u8]) -> Result<(), SendError> {
    let length = data.len();
    match op {
        WsOp::Text if str::from_utf8(data).is_err() => Err(SendError::NotText),
        WsOp::Text | WsOp::Binary => Ok(()),
        _ if length > LONGEST_CONTROL => Err(SendError::ControlTooLong { length }),
        WsOp::Ping | WsOp::Pong => Ok(()),
        WsOp::Close => match data.split_first_chunk() {
            None if data.is_empty() => Ok(()),
            None => Err(SendError::CloseCode { code: u16::from(data.first().copied().unwrap_or_default()) }),
            Some((code, reason)) => {
                let code = u16::from_be_bytes(*code);
                if !may_be_sent(code) {
                    return Err(SendError::CloseCode { code });
                }
                str::from_utf8(reason).map(|_| ()).map_err(|_| SendError::NotText)
            }
        },
    }
}
