//! What one connection is doing: its buffers, its protocol, and how it ends. Knows memory only; the thread that polls
//! carries bytes between it and the socket, and events between it and the program.

use crate::handler::{Handler, discard};
use crate::http::{Request, Response};
use crate::limits::Limits;
use crate::tls::Opening;
use crate::websocket::{WsControl, WsMessage};
use bytes::Bytes;
use exeunt_lifecycle::{CutWork, Work};
use exeunt_listener::Address;
use std::any::Any;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

mod buffers;
mod client;
mod connecting;
mod datagram;
mod http;
mod linger;
mod polling;
mod program;
mod raw;
mod tls;
mod websocket;

pub(crate) use buffers::Buffers;
pub(crate) use client::{Answer, Client, Joined};
use connecting::Joining;
pub(crate) use datagram::Datagram;
pub(crate) use http::{Behind, Http, Source};
use linger::Linger;
pub(crate) use raw::Raw;
use tls::Secrecy;
pub(crate) use websocket::WebSocket;

pub(crate) struct Session {
    pub(crate) handler: Option<Handler>,
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) poll_events: bool,
    /// It is in the list of those that are told of each pass.
    polled: bool,
    protocol: Protocol,
    buffers: Buffers,
    secrecy: Secrecy,
    wish: Wish,
    course: Course,
    /// It was told of the drain.
    heard_of_drain: bool,
    /// The thread that polls is at it, and will look at it again before it leaves.
    in_turn: bool,
    /// It is in the inbox.
    queued: bool,
    /// Where the thread that polls has it.
    slot: Option<usize>,
    joining: Joining,
    /// What the program calls a peer that it connects to.
    host: Option<Box<str>>,
    local: Option<Address>,
    remote: Option<Address>,
}

pub(crate) enum Protocol {
    Listener,
    Datagram(Datagram),
    Raw(Raw),
    Http(Box<Http>),
    WebSocket(Box<WebSocket>),
    Client(Box<Client>),
}

/// What the program wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Serve,
    Drain,
    Close,
    Abort,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Course {
    Open,
    /// Closed for the program. Our side is shut down, and the peer's is awaited (D7).
    Lingering,
    Gone,
}

/// Whether the thread that polls has to be told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Needed,
    Under,
}

/// A request's work that has come to its end, and what was cut of it, if it was.
pub(crate) struct Over {
    pub(crate) work: Work,
    /// In a box, since this is moved with each request, and hardly any is cut.
    pub(crate) cut: Option<Box<CutWork>>,
}

/// Something to tell the program.
#[derive(Debug)]
pub(crate) enum Step {
    /// The head of a request, whose body is still to come.
    Headers {
        request: Request,
        number: Option<NonZeroU64>,
    },
    /// A whole request; whether its head was told before.
    Message {
        request: Request,
        number: Option<NonZeroU64>,
        announced: bool,
    },
    /// What came of a body that is told as it comes; the request, if that was the last of it.
    Body {
        piece: Bytes,
        message: Option<Request>,
        number: Option<NonZeroU64>,
    },
    /// The server has agreed to a WebSocket, which begins when this is told.
    WsOpen(Response),
    WsMessage(WsMessage),
    WsControl(WsControl),
    Answer(Answer),
    /// An answer that will not come; why.
    Failed(String),
    /// It is no request, and was answered so; or no frame.
    Refused(&'static str),
}

/// What the thread that polls does next.
#[derive(Debug)]
pub(crate) enum Next {
    Tell(Step),
    /// Read, if there is something to be read.
    Read,
    /// Nothing, until something happens.
    Wait,
    /// Begin TLS.
    Secure(Box<Opening>),
    /// Shut down the write side, and read on (D7).
    Linger,
    Close,
    /// Close with a reset.
    Abort,
}

impl Session {
    pub(crate) fn new(protocol: Protocol, handler: Option<Handler>, local: Option<Address>) -> Self {
        Self {
            handler,
            data: None,
            poll_events: matches!(protocol, Protocol::Listener),
            polled: false,
            protocol,
            buffers: Buffers::default(),
            secrecy: Secrecy::default(),
            wish: Wish::Serve,
            course: Course::Open,
            heard_of_drain: false,
            in_turn: false,
            queued: false,
            slot: None,
            joining: Joining::Never,
            host: None,
            local,
            remote: None,
        }
    }

    pub(crate) fn from(self, remote: Option<Address>) -> Self {
        Self { remote, ..self }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.course == Course::Open
    }

    /// Whether it is open, and the manager's handler is told.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_open() && self.handler.is_none()
    }

    pub(crate) fn is_lingering(&self) -> bool {
        self.course == Course::Lingering
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_open() && self.wish == Wish::Drain
    }

    /// Neither the program nor the peer has ended it.
    pub(crate) fn is_serving(&self) -> bool {
        self.is_open() && self.wish == Wish::Serve
    }

    pub(crate) fn is_closing(&self) -> bool {
        !self.is_open() || self.wish >= Wish::Close
    }

    pub(crate) fn local(&self) -> Option<&Address> {
        self.local.as_ref().filter(|_| self.is_open())
    }

    pub(crate) fn remote(&self) -> Option<&Address> {
        self.remote.as_ref().filter(|_| self.is_open())
    }

    pub(crate) fn http(&self) -> bool {
        matches!(self.protocol, Protocol::Http(_))
    }

    /// Called by whoever changed something.
    pub(crate) fn wants_turn(&mut self) -> Turn {
        if self.in_turn || std::mem::replace(&mut self.queued, true) { Turn::Under } else { Turn::Needed }
    }

    pub(crate) fn begin_turn(&mut self) {
        self.in_turn = true;
        self.looked_at();
    }

    /// What was written down of it is known.
    pub(crate) fn looked_at(&mut self) {
        self.queued = false;
    }

    pub(crate) fn end_turn(&mut self) {
        self.in_turn = false;
    }

    /// Ends the turn, until something happens or that time has come.
    pub(crate) fn rest(&mut self, limits: &Limits) -> Option<Instant> {
        self.end_turn();
        self.wake_at(limits)
    }

    /// Whether the program is to be told of the drain, now and not again.
    pub(crate) fn is_to_hear_of_drain(&mut self) -> bool {
        self.is_open() && !std::mem::replace(&mut self.heard_of_drain, true)
    }

    /// Whether it is to be entered in the list of those that are told of each pass.
    pub(crate) fn becomes_polled(&mut self) -> bool {
        self.poll_events && !std::mem::replace(&mut self.polled, true)
    }

    /// Whether it is to stay in that list.
    pub(crate) fn stays_polled(&mut self) -> bool {
        self.polled = self.poll_events;
        self.polled
    }

    /// The thread that polls has it there from now on.
    pub(crate) fn placed(&mut self, slot: usize) {
        self.slot = Some(slot);
    }

    pub(crate) fn slot(&self) -> Option<usize> {
        self.slot
    }
}

/// What is dropped outside of the lock, since it may be foreign.
pub(crate) struct Leftover {
    handler: Option<Handler>,
    protocol: Option<Protocol>,
}

impl Drop for Leftover {
    fn drop(&mut self) {
        discard((self.handler.take(), self.protocol.take()));
    }
}

/// What a tick came to.
#[derive(Debug)]
pub(crate) enum Tick {
    LastLook,
    Then(Next),
}

#[cfg(test)]
mod tests;
