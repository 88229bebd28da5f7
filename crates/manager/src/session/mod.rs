//! What one connection is doing: its buffers, its protocol, and how it ends. Knows memory only; the thread that polls
//! carries bytes between it and the socket, and events between it and the program.

use crate::core::{Core, Stage};
use crate::error::{AnswerError, SendError};
use crate::handler::{Handler, discard};
use crate::http::Request;
use crate::limits::Limits;
use bytes::{Buf, BytesMut};
use exeunt_lifecycle::{CutWork, Work};
use exeunt_listener::Address;
use mio::net::UdpSocket;
use std::any::Any;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

mod http;
mod raw;

pub(crate) use http::Http;
pub(crate) use raw::Raw;

pub(crate) struct Session {
    pub(crate) handler: Option<Handler>,
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) poll_events: bool,
    /// It is in the list of those that are told of each pass.
    polled: bool,
    protocol: Protocol,
    buffers: Buffers,
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
    local: Option<Address>,
    remote: Option<Address>,
}

pub(crate) enum Protocol {
    Listener,
    Datagram(Arc<UdpSocket>),
    Raw(Raw),
    Http(Box<Http>),
}

/// The bytes on their way in and out.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) recv: BytesMut,
    /// The request that the program is being told of, as it came.
    pub(crate) told: Option<Request>,
    pub(crate) send: BytesMut,
    /// Where the head of the present answer begins in `send`, while none of it has gone.
    pub(crate) head_at: Option<usize>,
    /// The peer has ended its side.
    pub(crate) ended: bool,
    /// Since when a peer that has ended its side was sent nothing.
    pub(crate) alone: Option<Instant>,
    /// Since when the peer has taken nothing of what waits for it.
    pub(crate) stalled: Option<Instant>,
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
    Headers { request: Request, number: Option<NonZeroU64> },
    /// A whole request; whether its head was told before.
    Message { request: Request, number: Option<NonZeroU64>, announced: bool },
    /// It is no request, and was answered so.
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
            wish: Wish::Serve,
            course: Course::Open,
            heard_of_drain: false,
            in_turn: false,
            queued: false,
            slot: None,
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

/// What an idle connection keeps of its send buffer, at most, in bytes: most heads of answers fit.
const KEPT: usize = 512;

/// For the program.
impl Session {
    pub(crate) fn received(&self, most: usize) -> Vec<u8> {
        let Buffers { told, recv, .. } = &self.buffers;
        let told = told.as_ref().map_or(&[][..], Request::raw);
        told.iter().chain(recv.iter()).take(most).copied().collect()
    }

    pub(crate) fn received_len(&self) -> usize {
        self.buffers.told.as_ref().map_or(0, |told| told.raw().len()) + self.buffers.recv.len()
    }

    pub(crate) fn consume(&mut self, bytes: usize) -> usize {
        if self.http() {
            return 0;
        }
        let bytes = bytes.min(self.buffers.recv.len());
        self.buffers.recv.advance(bytes);
        self.buffers.release();
        bytes
    }

    pub(crate) fn unsent(&self, most: usize) -> Vec<u8> {
        self.buffers.send.iter().chain(self.held()).take(most).copied().collect()
    }

    pub(crate) fn unsent_len(&self) -> usize {
        self.buffers.send.len() + self.held().len()
    }

    fn held(&self) -> &[u8] {
        match &self.protocol {
            Protocol::Http(http) => http.held(),
            _ => &[],
        }
    }

    /// Whether a handle of that request comes too late to answer it.
    pub(crate) fn has_answered(&self, request: Option<NonZeroU64>) -> bool {
        match (&self.protocol, request) {
            (Protocol::Http(http), Some(number)) => !http.answers(number),
            _ => false,
        }
    }

    /// Whether a close would cut short what is being sent, so that it has to be a reset.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.is_open()
            && match &self.protocol {
                Protocol::Http(http) => http.is_cut_short(&self.buffers),
                Protocol::Raw(_) => !self.buffers.send.is_empty(),
                Protocol::Listener | Protocol::Datagram(_) => false,
            }
    }

    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        match &self.protocol {
            Protocol::Raw(_) => self.buffers.is_full(limits.receive_bytes, limits),
            Protocol::Http(http) => self.buffers.is_full(http.room(limits), limits),
            _ => false,
        }
    }

    pub(crate) fn send(&mut self, core: &Core, bytes: &[u8]) -> Result<(), SendError> {
        if self.wish >= Wish::Close {
            return Err(SendError::Closed(crate::ConnectionClosed));
        }
        let limit = core.limits.send_bytes;
        let waiting = self.unsent_len();
        if bytes.len() > limit.saturating_sub(waiting) {
            return Err(SendError::Full { waiting, more: bytes.len(), limit });
        }
        match &mut self.protocol {
            Protocol::Listener => Err(SendError::Listener),
            Protocol::Datagram(socket) => raw::send_datagram(socket, self.remote.as_ref(), bytes),
            Protocol::Raw(_) => {
                self.buffers.send.extend_from_slice(bytes);
                Ok(())
            }
            Protocol::Http(http) => http.send(core, &mut self.buffers, bytes),
        }
    }

    pub(crate) fn reply(
        &mut self,
        core: &Core,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), AnswerError> {
        let (http, buffers) = self.speaking(core, body.len())?;
        http.reply(core, buffers, status, headers, body)
    }

    pub(crate) fn chunk(&mut self, core: &Core, bytes: &[u8]) -> Result<(), AnswerError> {
        let (http, buffers) = self.speaking(core, bytes.len())?;
        http.chunk(core, buffers, bytes)
    }

    pub(crate) fn sse(&mut self, core: &Core, event: &str, data: &str) -> Result<(), AnswerError> {
        let (http, buffers) = self.speaking(core, data.len())?;
        http.sse(core, buffers, event, data)
    }

    fn speaking(&mut self, core: &Core, more: usize) -> Result<(&mut Http, &mut Buffers), AnswerError> {
        if self.wish >= Wish::Close {
            return Err(AnswerError::from(crate::ConnectionClosed));
        }
        let Protocol::Http(http) = &mut self.protocol else { return Err(AnswerError::NotHttp) };
        let limit = core.limits.send_bytes;
        let waiting = self.buffers.send.len();
        if more > limit.saturating_sub(waiting) {
            return Err(SendError::Full { waiting, more, limit }.into());
        }
        Ok((http, &mut self.buffers))
    }

    pub(crate) fn drain(&mut self, _: &Core) {
        self.wish = self.wish.max(Wish::Drain);
        if let Protocol::Http(http) = &mut self.protocol {
            http.drain(&mut self.buffers);
        }
    }

    pub(crate) fn close(&mut self) {
        self.wish = self.wish.max(Wish::Close);
    }

    /// Its handler panicked: what can be said is said, and it ends.
    pub(crate) fn panicked(&mut self, core: &Core) {
        match &mut self.protocol {
            Protocol::Http(http) if !http.is_torn() => {
                http.give_up(core, &mut self.buffers, 500);
                self.wish = self.wish.max(Wish::Drain);
            }
            // The loop would not be the same without it, and the handler may do better with the next client.
            Protocol::Listener | Protocol::Datagram(_) => {}
            _ => self.wish = self.wish.max(Wish::Abort),
        }
    }
}

/// For the thread that polls.
impl Session {
    /// These bytes came; what to tell the program of first.
    pub(crate) fn arrived(&mut self, core: &Core, now: Instant, bytes: &[u8]) -> Option<Step> {
        if !self.is_serving() {
            // A last look found them, and nobody wants to know.
            self.discard(now, bytes);
            return None;
        }
        match &mut self.protocol {
            Protocol::Raw(raw) => {
                raw.arrived(now);
                self.buffers.recv.extend_from_slice(bytes);
                None
            }
            Protocol::Http(http) => http.arrived(core, &mut self.buffers, now, bytes),
            Protocol::Listener | Protocol::Datagram(_) => None,
        }
    }

    /// Whether nothing is asked that has no answer.
    pub(crate) fn awaits_request(&self) -> bool {
        self.is_serving() && matches!(&self.protocol, Protocol::Http(http) if http.awaits_head())
    }

    /// Whether a look at it before it is read would come to nothing: it waits for a request, with nothing in hand.
    pub(crate) fn only_reads(&self) -> bool {
        let Buffers { recv, send, ended, .. } = &self.buffers;
        self.awaits_request() && recv.is_empty() && send.is_empty() && !ended
    }

    /// These bytes came too late to be told of, but not to be answered.
    pub(crate) fn found(&mut self, core: &Core, now: Instant, bytes: &[u8]) {
        if let Some(Step::Headers { request, .. } | Step::Message { request, .. }) =
            self.arrived(core, now, bytes)
        {
            self.told(request);
        }
    }

    /// Bytes that came while it lingers.
    pub(crate) fn discard(&mut self, now: Instant, bytes: &[u8]) -> Next {
        match &mut self.protocol {
            Protocol::Raw(raw) => raw.discard(now, bytes),
            Protocol::Http(http) => http.discard(now, bytes),
            Protocol::Listener | Protocol::Datagram(_) => Next::Close,
        }
    }

    /// The peer has ended its side.
    pub(crate) fn ended(&mut self) -> Next {
        self.buffers.ended = true;
        match &mut self.protocol {
            Protocol::Raw(raw) => raw.ended(),
            Protocol::Http(http) => http.ended(),
            Protocol::Listener | Protocol::Datagram(_) => Next::Close,
        }
    }

    /// A datagram came from there.
    pub(crate) fn datagram(&mut self, from: Address, bytes: &[u8]) {
        self.remote = Some(from);
        self.buffers.recv.clear();
        self.buffers.recv.extend_from_slice(bytes);
    }

    /// The program was told of the request; it keeps it if it is not answered.
    pub(crate) fn told(&mut self, request: Request) {
        self.buffers.told = None;
        if let Protocol::Http(http) = &mut self.protocol {
            http.keep(request);
        }
    }

    /// Whether the request is still to be told as a message.
    pub(crate) fn is_owed(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(http) if http.is_owed())
            && self.is_open()
            && self.wish == Wish::Serve
    }

    /// What waits to be sent.
    pub(crate) fn to_send(&self) -> &[u8] {
        &self.buffers.send
    }

    /// That much of it is with the kernel.
    pub(crate) fn sent(&mut self, now: Instant, bytes: usize) {
        match bytes == self.buffers.send.len() {
            true => self.buffers.send.clear(), // from its beginning again
            false => self.buffers.send.advance(bytes),
        }
        self.buffers.stalled = Some(now).filter(|_| !self.buffers.send.is_empty());
        self.buffers.head_at = None;
        if let Some(alone) = &mut self.buffers.alone {
            *alone = now;
        }
        self.buffers.release();
    }

    /// The kernel takes nothing at present.
    pub(crate) fn stalls(&mut self, now: Instant) {
        self.buffers.stalled.get_or_insert(now);
    }

    /// Work that the last call has brought to its end: for whoever has the lock to drop behind it.
    pub(crate) fn take_over(&mut self) -> Option<Over> {
        match &mut self.protocol {
            Protocol::Http(http) => http.take_over(),
            _ => None,
        }
    }

    /// What comes next, once everything that could be sent was.
    pub(crate) fn next(&mut self, core: &Core, now: Instant) -> Next {
        match self.course {
            Course::Gone => return Next::Close,
            Course::Lingering => return Next::Read,
            Course::Open => {}
        }
        match self.wish {
            Wish::Abort => return Next::Abort,
            Wish::Close if self.is_cut_short() => return Next::Abort,
            Wish::Close => return Next::Close,
            Wish::Serve | Wish::Drain => {}
        }
        let draining = self.wish == Wish::Drain;
        match &mut self.protocol {
            Protocol::Listener | Protocol::Datagram(_) if draining => Next::Close,
            Protocol::Listener | Protocol::Datagram(_) => Next::Wait,
            Protocol::Raw(raw) => raw.next(core, &mut self.buffers, now, draining),
            Protocol::Http(http) if http.has_switched(&self.buffers) => {
                let mut raw = Raw::new(now);
                if core.stage() >= Stage::Draining {
                    raw.enter(core, &self.buffers, now, Stage::Draining, None);
                }
                let next = raw.next(core, &mut self.buffers, now, draining);
                self.protocol = Protocol::Raw(raw);
                next
            }
            Protocol::Http(http) => http.next(core, &mut self.buffers, now, draining),
        }
    }

    /// The drain has begun, or its deadline has come.
    pub(crate) fn enter(&mut self, core: &Core, now: Instant, stage: Stage) -> Next {
        match &mut self.protocol {
            Protocol::Raw(raw) => raw.enter(core, &self.buffers, now, stage, self.remote.as_ref()),
            Protocol::Http(http) => http.enter(core, &mut self.buffers, now, stage, self.remote.as_ref()),
            Protocol::Listener | Protocol::Datagram(_) => Next::Wait,
        }
    }

    /// When [`tick`](Self::tick) is wanted, if nothing happens before.
    pub(crate) fn wake_at(&self, limits: &Limits) -> Option<Instant> {
        let stalled = self.buffers.stalled.and_then(|since| since.checked_add(limits.write_stall));
        let own = match &self.protocol {
            Protocol::Raw(raw) => raw.wake_at(limits, &self.buffers),
            Protocol::Http(http) => http.wake_at(limits, &self.buffers),
            Protocol::Listener | Protocol::Datagram(_) => None,
        };
        [stalled, own].into_iter().flatten().min()
    }

    /// Whether its time has come.
    pub(crate) fn is_due(&self, limits: &Limits, now: Instant) -> bool {
        self.wake_at(limits).is_some_and(|at| at <= now)
    }

    /// The time has come for something: whether the receive queue must be looked at once more before the connection is
    /// given up as silent ([`nothing_there`](Self::nothing_there)).
    pub(crate) fn tick(&mut self, core: &Core, now: Instant) -> Tick {
        let stalled = self.buffers.stalled.and_then(|since| since.checked_add(core.limits.write_stall));
        if stalled.is_some_and(|at| at <= now) {
            return Tick::Then(Next::Abort);
        }
        match &mut self.protocol {
            Protocol::Raw(raw) => raw.tick(&core.limits, &self.buffers, now),
            Protocol::Http(http) => http.tick(core, &mut self.buffers, now),
            Protocol::Listener | Protocol::Datagram(_) => Tick::Then(Next::Wait),
        }
    }

    /// The last look found nothing.
    pub(crate) fn nothing_there(&mut self, now: Instant) -> Next {
        match &mut self.protocol {
            Protocol::Http(http) => http.nothing_there(now),
            // Somebody wrote meanwhile: it is not silent any more.
            Protocol::Raw(_) if !self.buffers.send.is_empty() => Next::Read,
            _ => Next::Close,
        }
    }

    /// From here on it is closed for the program.
    pub(crate) fn lingers(&mut self) -> Leftover {
        self.course = Course::Lingering;
        self.buffers = Buffers::default();
        self.poll_events = false;
        Leftover { handler: self.handler.take(), protocol: None }
    }

    /// The socket is gone. What the program keeps of it is a handle, and no more: neither a request nor its work.
    pub(crate) fn gone(&mut self) -> Leftover {
        self.course = Course::Gone;
        self.buffers = Buffers::default();
        self.poll_events = false;
        self.slot = None;
        let protocol = std::mem::replace(&mut self.protocol, Protocol::Listener);
        Leftover { handler: self.handler.take(), protocol: Some(protocol) }
    }

    /// What the program gave; for whoever drops the last handle.
    pub(crate) fn take_foreign(&mut self) -> (Option<Handler>, Option<Arc<dyn Any + Send + Sync>>) {
        (self.handler.take(), self.data.take())
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

impl Buffers {
    fn is_full(&self, room: usize, limits: &Limits) -> bool {
        self.recv.len() >= room.max(1) || self.send.len() >= limits.send_pause.max(1)
    }

    /// Gives back what is empty: an idle connection keeps no buffer, but a small one for its next answer.
    pub(crate) fn release(&mut self) {
        if self.recv.is_empty() && self.recv.capacity() > 0 {
            self.recv = BytesMut::new();
        }
        if self.send.is_empty() && self.send.capacity() > KEPT {
            self.send = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests;
