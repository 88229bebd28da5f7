//! An HTTP/1.1 connection of a server: requests out of bytes, answers into bytes, one at a time.
//!
//! Reading and writing are two dimensions: a request's body may still be arriving when it has its answer, and an answer
//! may be owed when the next request is there already. That one is held back (pipelining, RFC 9112 §9.3.2).

use super::Over;
use crate::http::{BodyReader, BodyStream, Head, HeadParser, Outgoing, Request, Version};
use crate::limits::Limits;
use exeunt_drain::Connection as Drain;
use exeunt_lifecycle::Work;
use std::time::Instant;

mod answering;
mod ending;
mod reading;
mod source;
mod streaming;
mod time;
mod upgrading;

pub(crate) use source::Source;
pub(crate) use streaming::Behind;
use streaming::Streams;

pub(crate) struct Http {
    /// What decides about the end.
    drain: Drain,
    parser: HeadParser,
    reading: Reading,
    answer: Answer,
    asked: Option<Asked>,
    /// Requests so far, the present one included.
    requests: u64,
    /// The answer to a HEAD was written in the program's own words: their body may follow, and is left out.
    swallows: bool,
    /// The connection ends behind what is being sent.
    closes: bool,
    /// A client that has ended its side was asked whether it is there.
    probed: bool,
    /// Work that has come to its end, and is to be dropped outside of the lock.
    over: Option<Over>,
    /// The time of the last thing that happened.
    seen: Instant,
}

enum Reading {
    Head,
    Body(Box<Incoming>),
    /// No further request is read.
    Over,
}

struct Incoming {
    head: Head,
    body: BodyReader,
    /// It is told as it comes, in place of being collected; its head is not in the buffer any more.
    stream: Option<BodyStream>,
    /// The program wants no more of it at present.
    paused: bool,
    last_byte: Instant,
}

impl Incoming {
    fn is_too_long(&self) -> bool {
        match &self.stream {
            Some(stream) => stream.is_too_long(),
            None => self.body.is_too_long(),
        }
    }
}

enum Answer {
    /// None is owed.
    Nothing,
    Owed,
    /// Begun, and not whole.
    Chunked,
    /// Begun; it lasts until the connection closes.
    UntilClose,
    /// Begun, in the program's own words.
    Raw(Box<Outgoing>),
    /// Its head is written; its body is a file, which is not read yet.
    Source(Source),
    /// Another protocol begins behind it.
    Switching,
    /// Written whole, and perhaps not sent.
    Whole,
}

/// About the request that is to be answered.
struct Asked {
    version: Version,
    head_only: bool,
    connect: bool,
    close: bool,
    expects: bool,
    since: Instant,
    /// When it was whole.
    whole: Option<Instant>,
    /// `HttpHeaders` was told of it.
    announced: bool,
    /// The program wants its body as it comes.
    streams: Option<Box<Streams>>,
    /// Once the program was told of it.
    request: Option<Request>,
    work: Option<Work>,
}

impl Http {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            drain: Drain::new(limits.drain, now),
            parser: HeadParser::new(),
            reading: Reading::Head,
            answer: Answer::Nothing,
            asked: None,
            requests: 0,
            swallows: false,
            closes: false,
            probed: false,
            over: None,
            seen: now,
        }
    }
}
