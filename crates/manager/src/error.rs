//! What can go wrong, for whoever calls.

use crate::http::ReplyError;
use crate::tls::TlsError;
use crate::url::UrlError;
use crate::websocket::UpgradeError;
use exeunt_listener::BindError;
use std::io;

/// Why there is no listener now. Every text begins with `Failed to listen`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The URL names no place to listen on.
    #[error("Failed to listen: {0}")]
    Url(#[from] UrlError),
    /// What was given to speak TLS by is of no use.
    #[error("Failed to listen on `{url}` with TLS: {source}")]
    Tls {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        source: TlsError,
    },
    /// The address cannot be had.
    #[error("Failed to listen on `{url}`: {source}")]
    Bind {
        /// As it was given.
        url: String,
        /// What the system says.
        source: BindError,
    },
    /// A UDP socket cannot be had.
    #[error("Failed to listen on `{url}`: {source}")]
    Socket {
        /// As it was given.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// The manager is closed.
    #[error("Failed to listen: {0}")]
    Closed(#[from] ManagerClosed),
    /// The kernel gave no event queue when the manager was made.
    #[error("Failed to listen: no event queue could be made: {0}; raise the limit of open files")]
    NoLoop(io::ErrorKind),
}

/// Why there will be no connection. Every text begins with `Failed to connect`. What the network has to say comes as
/// [`Event::Error`](crate::Event::Error).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL names no place to connect to.
    #[error("Failed to connect: {0}")]
    Url(#[from] UrlError),
    /// What was given to speak TLS by is of no use.
    #[error("Failed to connect to `{url}` with TLS: {source}")]
    Tls {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        source: TlsError,
    },
    /// A WebSocket cannot be asked for so.
    #[error("Failed to connect to `{url}`: {source}")]
    WebSocket {
        /// As it was given.
        url: String,
        /// What is wrong.
        source: UpgradeError,
    },
    /// The manager is closed.
    #[error("Failed to connect: {0}")]
    Closed(#[from] ManagerClosed),
    /// The drain's deadline has cut what was open, and nothing new begins (rule M16).
    #[error("Failed to connect to `{url}`: the stop is over")]
    Cut {
        /// As it was given.
        url: String,
    },
    /// The kernel gave no event queue when the manager was made.
    #[error("Failed to connect: no event queue could be made: {0}; raise the limit of open files")]
    NoLoop(io::ErrorKind),
}

/// The loop cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PollError {
    /// The kernel gave no event queue when the manager was made.
    #[error("no event queue could be made: {0}; raise the limit of open files")]
    NoLoop(io::ErrorKind),
    /// Waiting for events failed.
    #[error("waiting for events failed: {0}")]
    Wait(#[source] io::Error),
}

/// The manager was closed, and does nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the manager is closed")]
pub struct ManagerClosed;

/// The connection is gone, and its handle does nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closed")]
pub struct ConnectionClosed;

/// Why bytes were not taken to be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is gone, or closing.
    #[error(transparent)]
    Closed(#[from] ConnectionClosed),
    /// The peer does not read, and too much waits for it already.
    #[error(
        "{waiting} bytes wait to be sent, and {more} more would pass the limit of {limit}; wait for Event::Write"
    )]
    Full {
        /// Bytes that wait.
        waiting: usize,
        /// Bytes that were not taken.
        more: usize,
        /// [`Limits::send_bytes`](crate::Limits::send_bytes).
        limit: usize,
    },
    /// The request has its answer, to its last byte.
    #[error("the request was answered already; answer each request once")]
    Answered,
    /// A listener has no peer.
    #[error("this is a listener, which has no peer to send to")]
    Listener,
    /// It speaks in messages.
    #[error("this connection is a WebSocket, whose bytes are frames; use ws_send")]
    WebSocket,
    /// It does not speak in messages.
    #[error("this connection is no WebSocket; upgrade it first")]
    NotWebSocket,
    /// Nothing follows a Close (RFC 6455 §5.5.1).
    #[error("the WebSocket is closed: its Close was sent already, and nothing may follow that")]
    SaidClose,
    /// A text message, or the reason of a Close, is UTF-8.
    #[error("what was to be sent as text is not UTF-8; send it as binary")]
    NotText,
    /// A ping, a pong and a Close have 125 bytes at most (RFC 6455 §5.5).
    #[error("a control frame was to have {length} bytes, and may have 125 at most")]
    ControlTooLong {
        /// How many there were.
        length: usize,
    },
    /// RFC 6455 §7.4 has others.
    #[error("the close code {code} may not be sent: 1000 to 1003, 1007 to 1014 and 3000 to 4999 may")]
    CloseCode {
        /// What was given.
        code: u16,
    },
    /// A datagram could not be sent.
    #[error("the datagram could not be sent: {0}")]
    Datagram(#[source] io::Error),
}

/// Why a request was not answered so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Nothing can be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The answer is none.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// The request has its answer.
    #[error("the request was answered already; answer each request once")]
    Answered,
    /// It does not speak HTTP.
    #[error("this connection does not speak HTTP")]
    NotHttp,
    /// No chunked answer was begun.
    #[error("no chunked answer was begun; reply with `Transfer-Encoding: chunked` first")]
    NotChunked,
}

/// Why a body is not told as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The connection is gone, or closing.
    #[error(transparent)]
    Closed(#[from] ConnectionClosed),
    /// No request's head is being told, or it was asked for already.
    #[error("the body can be streamed from Event::HttpHeaders alone, and once; ask for it there")]
    TooLate,
    /// It does not speak HTTP.
    #[error("this connection does not speak HTTP")]
    NotHttp,
}

/// Why a request was not sent. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Nothing can be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A field may not be there.
    #[error(transparent)]
    Field(#[from] ReplyError),
    /// RFC 9110 §9.1.
    #[error("{method:?} is no method: letters, digits and !#$%&'*+-.^_`|~ may be used")]
    Method {
        /// What was given.
        method: String,
    },
    /// RFC 9112 §3.2.
    #[error(
        "{uri:?} is no URI of a request: write one like /path?query, without fragment, and escape with url::encode"
    )]
    Uri {
        /// What was given.
        uri: String,
    },
    /// What was written before is not whole, or decides about what is spoken.
    #[error("the request before is not whole, or has to be answered first")]
    Unfinished,
    /// It is not a client, or does not speak HTTP.
    #[error("this connection does not ask in HTTP; connect to an http:// URL")]
    NotClient,
}

impl From<ConnectionClosed> for RequestError {
    fn from(error: ConnectionClosed) -> Self {
        Self::Send(error.into())
    }
}

impl From<ConnectionClosed> for AnswerError {
    fn from(error: ConnectionClosed) -> Self {
        Self::Send(error.into())
    }
}
