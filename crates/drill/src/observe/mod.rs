//! What the client saw of each request, and what that means.

mod class;
mod connection;
mod events;
mod frames;
mod http;
mod messages;
mod status;
mod subject;

pub use class::Class;
pub(crate) use class::{CROSSED_SILENCE, classify};
pub(crate) use connection::{Connection, Opened, Sent, Sight};
pub(crate) use events::EventReader;
pub(crate) use frames::{Frame, FrameReader, acknowledge, hello, pong, request_frame, window_update};
pub(crate) use messages::{Message, MessageReader, Opcode, message};
pub use subject::Subject;

use std::time::{Duration, Instant};

/// One request as the client saw it: facts only, judged by [`classify`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    pub(crate) subject: Subject,
    pub(crate) connect: Connect,
    /// Answers that this connection had already given in whole.
    pub(crate) answered_before: u32,
    /// An earlier answer on this connection said that it would be the last; or, in HTTP/2, a GOAWAY or a refused
    /// stream said that this request was not processed.
    pub(crate) close_announced: bool,
    /// How long the connection had carried no byte when the request was sent.
    pub(crate) silence: Duration,
    /// The server's FIN was in our receive queue when the request was sent.
    pub(crate) fin_at_send: bool,
    /// A WebSocket's Close came in place of the answer, and so soon that the two were under way at the same time.
    pub(crate) met_close: bool,
    /// Bytes of the request that the kernel took.
    pub(crate) sent: usize,
    pub(crate) answer: Answer,
    pub(crate) end: End,
    /// The process had ended when the watch did.
    pub(crate) gone: bool,
    /// The first act of the request: the connect on a new connection, the send on a kept one.
    pub(crate) begun: Instant,
    /// When the outcome was known.
    pub(crate) ended: Instant,
}

impl Observation {
    /// A request on a new connection, of which nothing is known yet but when it began.
    pub(crate) fn new(subject: Subject, begun: Instant) -> Self {
        Self {
            subject,
            connect: Connect::Done,
            answered_before: 0,
            close_announced: false,
            silence: Duration::ZERO,
            fin_at_send: false,
            met_close: false,
            sent: 0,
            answer: Answer::Nothing,
            end: End::Open,
            gone: false,
            begun,
            ended: begun,
        }
    }
}

#[cfg(test)]
impl Observation {
    /// A request that was answered in whole, on a connection that stays open.
    pub(crate) fn answered(begun: Instant, ended: Instant, answered_before: u32) -> Self {
        Self {
            answered_before,
            sent: 60,
            answer: Answer::Whole { status: 200, says_close: false },
            ended,
            ..Self::new(Subject::Request, begun)
        }
    }
}

/// What became of the connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connect {
    /// The handshake was done.
    Done,
    /// ECONNREFUSED: nobody listens.
    Refused,
    /// ECONNRESET out of a connect: the handshake was done and then undone before we looked.
    Reset,
    /// The SYN had no answer when the watch ended.
    Unanswered,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Nothing,
    /// Some bytes, and not all that the head promised (or not even a whole head).
    Part {
        bytes: usize,
    },
    /// Bytes that are no HTTP/1 answer.
    Garbage {
        bytes: usize,
        why: &'static str,
    },
    Whole {
        status: u16,
        says_close: bool,
    },
}

/// How the connection stood when the watch of this request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Fin,
    Reset,
    /// `RST_STREAM`: the stream alone (RFC 9113 §5.4.2).
    StreamReset,
}
