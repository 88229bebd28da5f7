//! What a program may not put into a reply.

use thiserror::Error;

use super::token;

/// Why a reply cannot be written. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// What is no token would break the head, or end it early (RFC 9110 §5.1).
    #[error(
        "Header name {name:?} has the illegal character {character:?}: letters, digits and !#$%&'*+-.^_`|~ may be used"
    )]
    HeaderName {
        /// The whole name.
        name: String,
        /// The first that is wrong.
        character: char,
    },
    /// An empty name.
    #[error("Header name is empty, and its value {value:?}")]
    NoHeaderName {
        /// The value that came with it.
        value: String,
    },
    /// CR, LF and NUL would end the field, and begin another (RFC 9110 §5.5).
    #[error("Header value of {name:?} has the illegal character {character:?}: encode it, or leave it out")]
    HeaderValue {
        /// The field's name.
        name: String,
        /// The first that is wrong.
        character: char,
    },
    /// A status has three digits.
    #[error("status {status} is not between 100 and 999")]
    Status {
        /// What was given.
        status: u16,
    },
    /// The head would contradict the body.
    #[error("Content-Length {said:?} was given with a body of {body} bytes: leave it out, and it is counted")]
    ContentLength {
        /// What was given.
        said: String,
        /// How long the body is.
        body: usize,
    },
    /// RFC 9112 §6.2 forbids both.
    #[error("Content-Length was given beside Transfer-Encoding: a chunked reply has no length")]
    LengthOfChunked,
    /// Without chunked as the last coding there is no telling where the body ends (RFC 9112 §6.1).
    #[error(
        "Transfer-Encoding {said:?} does not end with chunked: use Content-Encoding for what is compressed"
    )]
    TransferEncoding {
        /// What was given.
        said: String,
    },
    /// Recipients differ in what they make of two.
    #[error("Transfer-Encoding was given twice: {said:?} is the second")]
    TwoTransferEncodings {
        /// The second.
        said: String,
    },
    /// A line end in an event's type begins another field.
    #[error("the event type {kind:?} has a line end: a type is one line")]
    EventKind {
        /// What was given.
        kind: String,
    },
}

/// Whether a field may be written so.
///
/// # Errors
///
/// [`ReplyError::HeaderName`], [`ReplyError::NoHeaderName`] or [`ReplyError::HeaderValue`].
pub(crate) fn check(name: &str, value: &str) -> Result<(), ReplyError> {
    if !token::is_token(name.as_bytes()) {
        return Err(match name.chars().find(|character| !is_token_char(*character)) {
            Some(character) => ReplyError::HeaderName { name: name.to_owned(), character },
            None => ReplyError::NoHeaderName { value: value.to_owned() },
        });
    }
    match value.bytes().find(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        Some(byte) => Err(ReplyError::HeaderValue { name: name.to_owned(), character: char::from(byte) }),
        None => Ok(()),
    }
}

fn is_token_char(character: char) -> bool {
    u8::try_from(character).is_ok_and(token::is_token_byte)
}
