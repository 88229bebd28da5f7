//! Why there is no WebSocket.

use crate::error::{ConnectionClosed, RequestError};
use crate::http::ReplyError;

/// Why a request did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The client asked for something else (RFC 6455 §4.2.1). It was answered with 426 (RFC 9110 §15.5.22).
    #[error("the request is no WebSocket upgrade, since {why}; it was answered with 426")]
    NoUpgrade {
        /// What is missing.
        why: &'static str,
    },
    /// The program stops: who comes now would be sent away at once (rule D2). It was answered with 503.
    #[error("a stop was requested, and no WebSocket begins after that; the request was answered with 503")]
    Stopping,
    /// A header of the program's is none. Nothing was sent; the request may still be answered.
    #[error(transparent)]
    Header(#[from] ReplyError),
    /// A header of the program's is part of the handshake. Nothing was sent; the request may still be answered.
    #[error("the header `{name}` is written by the handshake itself: leave it out")]
    Reserved {
        /// Its name.
        name: String,
    },
    /// The request cannot be written.
    #[error(transparent)]
    Request(RequestError),
    /// The request has its answer.
    #[error("the request was answered already; answer each request once")]
    Answered,
    /// Its body is still to come. Nothing was sent.
    #[error("the request is not whole yet; upgrade it when it is told as Event::HttpMessage")]
    NotWhole,
    /// It does not speak HTTP, or not any more.
    #[error("this connection does not speak HTTP")]
    NotHttp,
    /// The connection is gone, or closing.
    #[error(transparent)]
    Closed(#[from] ConnectionClosed),
}
