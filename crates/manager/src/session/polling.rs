//! What the thread that polls asks of a connection.

use super::{
    Behind, Buffers, Course, Leftover, Next, Over, Protocol, Raw, Secrecy, Session, Step, Tick, Wish,
};
use crate::core::{Core, Stage};
use crate::handler::Handler;
use crate::http::{Refusal, Request};
use crate::limits::Limits;
use crate::uploads::Intake;
use bytes::Buf;
use exeunt_listener::Address;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// For the thread that polls.
impl Session {
    /// These bytes came; what to tell the program of first.
    pub(crate) fn arrived(&mut self, core: &Core, now: Instant, bytes: &[u8]) -> Option<Step> {
        if !self.is_serving() {
            // A last look found them, and nobody wants to know.
            self.discard(core, now, bytes);
            return None;
        }
        self.spoken();
        if self.awaits_tls() {
            self.buffers.recv.extend_from_slice(bytes);
            return None;
        }
        match &mut self.protocol {
            Protocol::Raw(raw) => {
                raw.arrived(now);
                self.buffers.recv.extend_from_slice(bytes);
                None
            }
            Protocol::Http(http) => http.arrived(core, &mut self.buffers, now, bytes),
            Protocol::WebSocket(websocket) => websocket.arrived(core, &mut self.buffers, now, bytes),
            Protocol::Client(client) => client.arrived(core, &mut self.buffers, now, bytes),
            Protocol::Listener | Protocol::Datagram(_) => None,
        }
    }

    /// Whether nothing is asked that has no answer.
    pub(crate) fn awaits_request(&self) -> bool {
        self.is_serving() && matches!(&self.protocol, Protocol::Http(http) if http.awaits_head())
    }

    /// Whether a look at it before it is read would come to nothing: it waits for the peer, with nothing in hand.
    pub(crate) fn only_reads(&self) -> bool {
        let Buffers { recv, send, ended, .. } = &self.buffers;
        let flows = !matches!(self.secrecy, Secrecy::Owed | Secrecy::Wanted { .. });
        let awaits = match &self.protocol {
            Protocol::WebSocket(websocket) => self.is_serving() && websocket.only_reads(),
            _ => self.awaits_request(),
        };
        flows && awaits && recv.is_empty() && send.is_empty() && !ended
    }

    /// What else a WebSocket has to tell of what was read.
    pub(crate) fn further(&mut self, core: &Core) -> Option<Step> {
        match &mut self.protocol {
            Protocol::WebSocket(websocket) if self.wish == Wish::Serve => {
                websocket.step(core, &mut self.buffers)
            }
            _ => None,
        }
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
    pub(crate) fn discard(&mut self, core: &Core, now: Instant, bytes: &[u8]) -> Next {
        match &mut self.protocol {
            Protocol::Raw(raw) => raw.discard(now, bytes),
            Protocol::Http(http) => http.discard(now, bytes),
            Protocol::WebSocket(websocket) => websocket.discard(core, now, bytes),
            Protocol::Client(client) => client.discard(now, bytes),
            Protocol::Listener | Protocol::Datagram(_) => Next::Close,
        }
    }

    /// The peer has ended its side.
    pub(crate) fn ended(&mut self) -> Next {
        self.buffers.ended = true;
        match &mut self.protocol {
            Protocol::Raw(raw) => raw.ended(),
            Protocol::Http(http) => http.ended(),
            Protocol::WebSocket(websocket) => websocket.ended(),
            // TLS announces the end, which no reset can.
            Protocol::Client(client) => client.ended(matches!(self.secrecy, Secrecy::Done(_))),
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

    /// `HttpHeaders` of a request that came whole was told.
    pub(crate) fn announced(&mut self, core: &Core, request: &Request) -> Behind {
        if !self.is_serving() {
            return Behind::Nothing;
        }
        let Protocol::Http(http) = &mut self.protocol else { return Behind::Nothing };
        http.announced(core, &mut self.buffers, request)
    }

    /// What has come behind a head whose body is told as it comes.
    pub(crate) fn streamed(&mut self, core: &Core) -> Option<Step> {
        if !self.is_serving() {
            return None;
        }
        let Protocol::Http(http) = &mut self.protocol else { return None };
        http.stream(core, &mut self.buffers)
    }

    /// Where the body goes that comes, if not to the handler.
    pub(crate) fn intake(&self) -> Option<Intake> {
        match &self.protocol {
            Protocol::Http(http) => http.intake(),
            _ => None,
        }
    }

    /// The body is of no use to whoever takes it: it is answered so, unless it has its answer, and the connection ends.
    pub(crate) fn refuse(&mut self, core: &Core, status: u16) {
        if let Protocol::Http(http) = &mut self.protocol {
            let refusal = Refusal { status, why: "the body is refused" };
            _ = http.refuse(core, &mut self.buffers, refusal);
        }
    }

    /// Whether the request is still to be told as a message.
    pub(crate) fn is_owed(&self) -> bool {
        self.is_serving() && matches!(&self.protocol, Protocol::Http(http) if http.is_owed())
    }

    /// What waits to be sent.
    pub(crate) fn to_send(&self) -> &[u8] {
        self.buffers.send.get(..self.flows()).unwrap_or_default()
    }

    /// That much of it is with the kernel.
    pub(crate) fn sent(&mut self, now: Instant, bytes: usize) {
        self.flowed(bytes);
        match bytes == self.buffers.send.len() {
            true => self.buffers.send.clear(), // from its beginning again
            false => self.buffers.send.advance(bytes),
        }
        self.buffers.progressed(now, self.has_to_send());
        if let Protocol::Client(client) = &mut self.protocol {
            client.stirs(now);
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
            Protocol::WebSocket(websocket) => websocket.take_over(),
            Protocol::Client(client) => client.take_over(),
            Protocol::Raw(raw) => raw.take_over(),
            Protocol::Listener | Protocol::Datagram(_) => None,
        }
    }

    /// Before what it has to send is sent: a last word that would follow at once goes with it. `more`: the kernel may have
    /// more to read.
    pub(crate) fn says_last(&mut self, core: &Core, now: Instant, more: bool) {
        if let Protocol::WebSocket(websocket) = &mut self.protocol {
            websocket.says_last(core, &mut self.buffers, now, more);
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
        if let Some(next) = self.next_of_tls(now) {
            return next;
        }
        let draining = self.wish == Wish::Drain;
        match &mut self.protocol {
            Protocol::Listener | Protocol::Datagram(_) if draining => Next::Close,
            Protocol::Listener | Protocol::Datagram(_) => Next::Wait,
            Protocol::Raw(raw) => raw.next(core, &mut self.buffers, now, draining),
            Protocol::Http(http) if http.has_switched(&self.buffers) => self.becomes_raw(core, now, draining),
            Protocol::Http(http) => http.next(core, &mut self.buffers, now, draining),
            Protocol::WebSocket(websocket) => websocket.next(core, &mut self.buffers, now, draining),
            Protocol::Client(client) if client.has_switched() => self.becomes_raw(core, now, draining),
            Protocol::Client(client) => client.next(core, &mut self.buffers, now, draining),
        }
    }

    /// Another protocol has begun, which is the program's.
    fn becomes_raw(&mut self, core: &Core, now: Instant, draining: bool) -> Next {
        if let Protocol::Http(http) = &mut self.protocol {
            http.leaves();
        }
        let mut raw = Raw::behind(self.take_over(), now);
        if core.stage() >= Stage::Draining {
            raw.enter(core, &self.buffers, now, Stage::Draining, None);
        }
        let next = raw.next(core, &mut self.buffers, now, draining);
        self.protocol = Protocol::Raw(raw);
        next
    }

    /// The drain has begun, or its deadline has come.
    pub(crate) fn enter(&mut self, core: &Core, now: Instant, stage: Stage) -> Next {
        match &mut self.protocol {
            Protocol::Raw(raw) => raw.enter(core, &self.buffers, now, stage, self.remote.as_ref()),
            Protocol::Http(http) => http.enter(core, &mut self.buffers, now, stage, self.remote.as_ref()),
            Protocol::WebSocket(websocket) => {
                websocket.enter(core, &mut self.buffers, now, stage, self.remote.as_ref())
            }
            Protocol::Client(client) => client.enter(core, &self.buffers, now, stage, self.remote.as_ref()),
            Protocol::Listener | Protocol::Datagram(_) => Next::Wait,
        }
    }

    /// When [`tick`](Self::tick) is wanted, if nothing happens before.
    pub(crate) fn wake_at(&self, limits: &Limits) -> Option<Instant> {
        let handshake = self.handshake_ends(limits);
        if let (Some(ends), false) = (handshake, self.is_unheard()) {
            return ends;
        }
        let stalled = self.buffers.stall_ends(limits);
        let own = match &self.protocol {
            Protocol::Raw(raw) => raw.wake_at(limits, &self.buffers),
            Protocol::Http(http) => http.wake_at(limits, &self.buffers),
            Protocol::WebSocket(websocket) => websocket.wake_at(limits, &self.buffers),
            Protocol::Client(client) => client.wake_at(limits, &self.buffers),
            Protocol::Listener | Protocol::Datagram(_) => None,
        };
        [handshake.flatten(), stalled, own].into_iter().flatten().min()
    }

    /// Whether its time has come.
    pub(crate) fn is_due(&self, limits: &Limits, now: Instant) -> bool {
        self.wake_at(limits).is_some_and(|at| at <= now)
    }

    /// The time has come for something: whether the receive queue must be looked at once more before the connection is
    /// given up as silent ([`nothing_there`](Self::nothing_there)).
    pub(crate) fn tick(&mut self, core: &Core, now: Instant) -> Tick {
        if let Some(ends) = self.handshake_ends(&core.limits) {
            match ends {
                Some(at) if at <= now => return self.handshake_is_late(),
                _ if self.is_unheard() => {}
                _ => return Tick::Then(Next::Wait),
            }
        }
        if self.buffers.stall_ends(&core.limits).is_some_and(|at| at <= now) {
            return Tick::Then(match &mut self.protocol {
                Protocol::Client(client) if self.wish == Wish::Serve => {
                    client.stalled(&core.limits, &mut self.buffers)
                }
                _ => Next::Abort,
            });
        }
        match &mut self.protocol {
            Protocol::Raw(raw) => raw.tick(&core.limits, &self.buffers, now),
            Protocol::Http(http) => http.tick(core, &mut self.buffers, now),
            Protocol::WebSocket(websocket) => {
                websocket.tick(core, &mut self.buffers, now, self.remote.as_ref())
            }
            Protocol::Client(client) => client.tick(core, &mut self.buffers, now),
            Protocol::Listener | Protocol::Datagram(_) => Tick::Then(Next::Wait),
        }
    }

    /// The last look found nothing.
    pub(crate) fn nothing_there(&mut self, now: Instant) -> Next {
        match &mut self.protocol {
            Protocol::Http(http) => http.nothing_there(now),
            Protocol::Client(client) => client.nothing_there(&self.buffers),
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
        self.secrecy = Secrecy::default();
        let protocol = std::mem::replace(&mut self.protocol, Protocol::Listener);
        Leftover { handler: self.handler.take(), protocol: Some(protocol) }
    }

    /// What the program gave; for whoever drops the last handle.
    pub(crate) fn take_foreign(&mut self) -> (Option<Handler>, Option<Arc<dyn Any + Send + Sync>>) {
        (self.handler.take(), self.data.take())
    }
}
