//! RFC 6455 as bytes: the handshake, frames into messages, and messages into frames.
//!
//! Nothing here does I/O. tungstenite knows the heads of frames and the keys of handshakes; messages are put together here,
//! straight from what was read, so that an idle WebSocket keeps no buffer, a peer is refused by a frame's head alone, and
//! nobody makes room for a length that was only said.

use crate::http::{Request, Response};
use bytes::Bytes;

mod handshake;
mod message;
mod reader;
mod upgrade_error;
mod writer;

pub(crate) use handshake::{Hope, accepts, check_fields};
pub(crate) use message::{Failure, Incoming};
pub use message::{WsControl, WsMessage};
pub(crate) use reader::Reader;
pub use upgrade_error::UpgradeError;
pub(crate) use writer::{close_payload, may_be_sent, write};

#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod tests;

/// The longest head of a frame, in bytes (RFC 6455 §5.2).
pub(crate) const LONGEST_HEAD: usize = 14;

/// The longest payload of a control frame, in bytes (RFC 6455 §5.5).
pub(crate) const LONGEST_CONTROL: usize = 125;

/// Who masks what he sends, and who closes first (RFC 6455 §5.1, §7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

/// What a frame is, as it is sent (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WsOp {
    /// A message that is UTF-8.
    Text,
    /// A message of any bytes.
    Binary,
    /// The end: nothing, or a close code (two bytes, the higher one first) and a reason (UTF-8) behind it. Better by
    /// [`ws_close`](crate::Connection::ws_close).
    Close,
    /// A question that the peer answers with a pong that has the same payload, 125 bytes at most.
    Ping,
    /// The answer to a ping, 125 bytes at most. Pings are answered by themselves.
    Pong,
}

/// The handshake that a WebSocket began with, told with [`Event::WsOpen`](crate::Event::WsOpen).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum WsHandshake<'a> {
    /// We are the server, and this was asked.
    Asked(&'a Request),
    /// We are the client, and this was answered.
    Answered(&'a Response),
}

/// What is told of a payload: shared, not copied.
fn shared(bytes: Vec<u8>) -> Bytes {
    Bytes::from(bytes)
}
