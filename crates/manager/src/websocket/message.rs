//! What frames come to.

use bytes::Bytes;
use std::fmt;
use tungstenite::Utf8Bytes;

/// A message, whole, whatever fragments it came in. Cloning is cheap: the bytes are shared.
#[derive(Clone, PartialEq, Eq)]
pub struct WsMessage(pub(super) Content);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Content {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl WsMessage {
    /// The text, if it was sent as text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Content::Text(text) => Some(text.as_str()),
            Content::Binary(_) => None,
        }
    }

    /// The bytes; those of a text, too.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match &self.0 {
            Content::Text(text) => text.as_ref(),
            Content::Binary(bytes) => bytes,
        }
    }

    /// Whether it was sent as bytes, and not as text.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self.0, Content::Binary(_))
    }
}

impl fmt::Debug for WsMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsMessage")
            .field("binary", &self.is_binary())
            .field("length", &self.data().len())
            .finish_non_exhaustive()
    }
}

/// A control frame of the peer's. All of them are answered already, or will be when the handler has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WsControl {
    /// He wants to know whether we are there: the pong is on its way.
    Ping(Bytes),
    /// The answer to a ping, or a sign of life by itself.
    Pong(Bytes),
    /// He will send nothing more. When the handler has returned, he is sent the same, unless the program has sent a Close
    /// by then, and the connection ends.
    Close {
        /// Why (RFC 6455 §7.4); 1005 if he did not say.
        code: u16,
        /// The same for people; mostly empty.
        reason: String,
    },
}

/// What came to its end in what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message(WsMessage),
    Control(WsControl),
}

/// What the peer did wrong: nothing behind it can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The close code that says so (RFC 6455 §7.4.1).
    pub(crate) code: u16,
    pub(crate) why: &'static str,
}

impl Failure {
    pub(crate) const fn protocol(why: &'static str) -> Self {
        Self { code: 1002, why }
    }

    pub(crate) const TEXT: Self = Self { code: 1007, why: "the peer sent text that is not UTF-8" };
    pub(crate) const SIZE: Self =
        Self { code: 1009, why: "the peer sent a message larger than ws_message_bytes" };
}
