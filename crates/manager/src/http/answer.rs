//! A response, as the program that asked sees it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::message::{Message, text};
use super::{AnswerHead, Version};

/// A whole HTTP response: its head taken apart, its body decoded, and both as they came.
///
/// Cloning is cheap: the bytes are shared. A response stays valid, and unchanged, for as long as it is kept.
#[derive(Clone)]
pub struct Response {
    parts: Arc<Message<AnswerHead>>,
}

impl Response {
    /// `raw`: what `head` was parsed from, up to the response's end. `body`: its decoded content.
    pub(crate) fn new(raw: Bytes, head: AnswerHead, body: Bytes) -> Self {
        Self { parts: Arc::new(Message { raw, head, body }) }
    }

    /// The three digits, from 100 to 999.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.parts.head.status
    }

    /// The words behind them, which mean nothing (RFC 9112 §4); empty if there are none, or none in ASCII.
    #[must_use]
    pub fn reason(&self) -> &str {
        text(self.parts.head.reason.of(&self.parts.raw))
    }

    /// The version in the status line.
    #[must_use]
    pub fn version(&self) -> Version {
        self.parts.head.version
    }

    /// The first field of that name, in any case, without the blanks around it. None if there is none, or if it is not
    /// UTF-8: see [`Response::header_bytes`].
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.header(name)
    }

    /// The first field of that name, in any case, without the blanks around it.
    #[must_use]
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.parts.header_bytes(name)
    }

    /// All fields, in order, with their names as they were sent.
    #[must_use]
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.parts.headers()
    }

    /// The content, without chunks.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.parts.body
    }

    /// The whole response as it was sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.parts.bytes()
    }

    /// The status line and the fields as they were sent, with the empty line.
    #[must_use]
    pub fn head_bytes(&self) -> &[u8] {
        self.parts.head_bytes()
    }

    /// As it came, with empty lines before it.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.parts.raw
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .field("version", &self.version())
            .field("body", &self.parts.body.len())
            .finish_non_exhaustive()
    }
}
