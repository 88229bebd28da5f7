//! An HTTP/1.1 connection of a client (rule M16): requests into bytes, in the program's own words or ours, and responses
//! out of bytes, in the order in which they were asked for.
//!
//! Writing and reading are two dimensions: several requests may be under way (pipelining, RFC 9112 §9.3.2), and a response
//! may come before its request is whole.

use super::{Linger, Next, Over, Protocol, Session, Step, Wish};
use crate::core::Core;
use crate::error::{AnswerError, ConnectionClosed, RequestError, SendError};
use crate::http::{AnswerHead, Ask, Asked, Asking, BodyReader, BodyStream, HeadParser, Response};
use crate::websocket::Hope;
use exeunt_lifecycle::Work;
use std::collections::VecDeque;
use std::io;
use std::time::Instant;

mod ending;
mod pausing;
mod reading;
mod time;
mod upgrading;
mod writing;

pub(crate) use upgrading::Joined;

pub(crate) struct Client {
    /// For `Host`.
    authority: Box<str>,
    asking: Asking,
    /// What has no answer yet, the oldest first.
    calls: VecDeque<Call>,
    parser: HeadParser,
    reading: Reading,
    /// The server has said something.
    heard: bool,
    /// Interim responses to the present call.
    interim: u32,
    /// When the first byte of the present head came.
    head_since: Option<Instant>,
    /// The response that the program is being told of.
    told: Option<Response>,
    /// The time of the last byte, in either direction.
    last_byte: Instant,
    draining: Option<Instant>,
    /// The peer takes nothing any more, and may have said why.
    deaf: bool,
    /// The connection was reset, which was told to a write: reading will tell of an end like any other.
    reset: bool,
    /// Once it lingers (D7), this decides how long.
    linger: Option<Linger>,
    /// It is to be a WebSocket, and nothing else.
    websocket: Option<Box<Hope>>,
    /// As long as there are calls.
    work: Option<Work>,
    /// Work that has come to its end, and is to be dropped outside of the lock.
    over: Option<Over>,
    /// The time of the last thing that happened.
    seen: Instant,
}

/// One request that has no answer yet.
struct Call {
    asked: Asked,
    /// When the loop first saw it.
    since: Option<Instant>,
}

enum Reading {
    Head,
    Body(Box<Incoming>),
    /// Another protocol begins.
    Switching,
    /// No further response is read.
    Over,
}

struct Incoming {
    head: AnswerHead,
    body: Body,
    /// For the end of what is told in pieces, which has it no more.
    response: Response,
    /// The program wants no more of it at present.
    paused: bool,
}

enum Body {
    Collected(BodyReader),
    CollectedToEnd,
    Streamed(BodyStream),
    StreamedToEnd { left: u64 },
}

/// What to tell of a response.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Its head is whole.
    Head(Response),
    Whole(Response),
    /// What came of a body that is told as it comes; the response, if that was the last of it.
    Piece(bytes::Bytes, Option<Response>),
}

impl Client {
    pub(crate) fn new(authority: String, now: Instant) -> Self {
        Self {
            authority: authority.into(),
            asking: Asking::new(),
            calls: VecDeque::new(),
            parser: HeadParser::new(),
            reading: Reading::Head,
            heard: false,
            interim: 0,
            head_since: None,
            told: None,
            last_byte: now,
            draining: None,
            deaf: false,
            reset: false,
            linger: None,
            websocket: None,
            work: None,
            over: None,
            seen: now,
        }
    }

    /// The response that is being told, as it came.
    pub(crate) fn told(&self) -> &[u8] {
        self.told.as_ref().map_or(&[], Response::raw)
    }

    /// Whether something is owed to us, or to the server.
    fn is_busy(&self) -> bool {
        !self.calls.is_empty() || self.asking.is_amid() || matches!(self.reading, Reading::Body(_))
    }
}

/// What the program, and the thread that polls, want of a client's session alone.
impl Session {
    pub(super) fn answer_told(&self) -> &[u8] {
        match &self.protocol {
            Protocol::Client(client) => client.told(),
            _ => &[],
        }
    }

    pub(crate) fn request(&mut self, core: &Core, ask: Ask<'_>) -> Result<(), RequestError> {
        if self.wish >= Wish::Drain {
            return Err(ConnectionClosed.into());
        }
        let limit = core.limits.send_bytes;
        let waiting = self.buffers.send.len();
        let Protocol::Client(client) = &mut self.protocol else { return Err(RequestError::NotClient) };
        client.request(core, &mut self.buffers, ask, |more| match more > limit.saturating_sub(waiting) {
            true => Err(SendError::Full { waiting, more, limit }),
            false => Ok(()),
        })
    }

    pub(super) fn request_chunk(&mut self, core: &Core, bytes: &[u8]) -> Result<(), AnswerError> {
        if self.wish >= Wish::Close {
            return Err(ConnectionClosed.into());
        }
        let (limit, waiting, more) = (core.limits.send_bytes, self.buffers.send.len(), bytes.len());
        if more > limit.saturating_sub(waiting) {
            return Err(SendError::Full { waiting, more, limit }.into());
        }
        match &mut self.protocol {
            Protocol::Client(client) => client.chunk(core, &mut self.buffers, bytes),
            _ => Err(AnswerError::NotHttp),
        }
    }

    /// The head of a response was told: what follows.
    pub(crate) fn answer_announced(&mut self, core: &Core) -> Option<Step> {
        if !self.is_serving() {
            return None;
        }
        let Protocol::Client(client) = &mut self.protocol else { return None };
        client.announced(core, &mut self.buffers)
    }

    /// A whole response was told.
    pub(crate) fn has_told_answer(&mut self) {
        if let Protocol::Client(client) = &mut self.protocol {
            client.told_of();
        }
    }

    /// Whether HTTP is asked, which knows whether an answer is whole.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(self.protocol, Protocol::Client(_))
    }

    /// The connection broke, at reading or writing.
    pub(crate) fn lost(&mut self, error: &io::Error, writing: bool) -> Next {
        match &mut self.protocol {
            Protocol::Client(client) if self.wish == Wish::Serve => {
                client.lost(&mut self.buffers, error, writing)
            }
            Protocol::WebSocket(websocket) if self.wish == Wish::Serve => websocket.lost(&mut self.buffers),
            _ => Next::Close,
        }
    }
}
