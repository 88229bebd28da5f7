//! What the program asks of a connection, from whatever thread.

use super::{Buffers, Http, Protocol, Session, Source, Wish};
use crate::core::Core;
use crate::error::{AnswerError, SendError, StreamError};
use crate::http::Request;
use crate::limits::Limits;
use crate::uploads::Intake;
use bytes::Buf;
use std::num::NonZeroU64;
use std::time::Instant;

/// For the program.
impl Session {
    pub(crate) fn received(&self, most: usize) -> Vec<u8> {
        let Buffers { told, recv, .. } = &self.buffers;
        let told = told.as_ref().map_or_else(|| self.answer_told(), Request::raw);
        copied([told, recv], most)
    }

    pub(crate) fn received_len(&self) -> usize {
        let told = self.buffers.told.as_ref().map_or_else(|| self.answer_told(), Request::raw);
        told.len() + self.buffers.recv.len()
    }

    pub(crate) fn consume(&mut self, bytes: usize) -> usize {
        if let Protocol::Http(_) | Protocol::Client(_) | Protocol::WebSocket(_) = self.protocol {
            return 0;
        }
        let bytes = bytes.min(self.buffers.recv.len());
        self.buffers.recv.advance(bytes);
        self.buffers.release();
        bytes
    }

    pub(crate) fn unsent(&self, most: usize) -> Vec<u8> {
        copied([&self.buffers.send, self.held()], most)
    }

    pub(crate) fn unsent_len(&self) -> usize {
        let waiting = match &self.protocol {
            Protocol::Datagram(datagram) => datagram.waiting(),
            _ => self.held().len(),
        };
        self.buffers.send.len() + waiting
    }

    /// How many bytes there is room for, received and to be sent, before more is asked of the allocator.
    pub(crate) fn capacities(&self) -> (usize, usize) {
        let Buffers { recv, send, .. } = &self.buffers;
        (recv.capacity().max(self.received_len()), send.capacity().max(self.unsent_len()))
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
                Protocol::WebSocket(websocket) => websocket.is_cut_short(&self.buffers),
                Protocol::Raw(_) | Protocol::Client(_) => !self.buffers.send.is_empty(),
                Protocol::Listener | Protocol::Datagram(_) => false,
            }
    }

    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        match &self.protocol {
            Protocol::Raw(_) => self.buffers.is_full(limits.receive_bytes, limits),
            Protocol::Http(http) => self.buffers.is_full(http.room(limits), limits),
            Protocol::WebSocket(websocket) => websocket.is_paused() || self.buffers.is_full(1, limits),
            Protocol::Client(client) => self.buffers.recv.len() >= client.room(limits),
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
            Protocol::Datagram(datagram) => datagram.send(self.remote.as_ref(), bytes),
            Protocol::Raw(_) => {
                self.buffers.send.extend_from_slice(bytes);
                Ok(())
            }
            Protocol::Http(http) => http.send(core, &mut self.buffers, bytes),
            Protocol::WebSocket(_) => Err(SendError::WebSocket),
            Protocol::Client(client) => Ok(client.send(core, &mut self.buffers, bytes)?),
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
        if let Protocol::Client(_) = self.protocol {
            return self.request_chunk(core, bytes);
        }
        let (http, buffers) = self.speaking(core, bytes.len())?;
        http.chunk(core, buffers, bytes)
    }

    pub(crate) fn sse(&mut self, core: &Core, event: &str, data: &str) -> Result<(), AnswerError> {
        let (http, buffers) = self.speaking(core, data.len())?;
        http.sse(core, buffers, event, data)
    }

    pub(crate) fn stream_body(&mut self, most: u64, intake: Option<Intake>) -> Result<(), StreamError> {
        if !self.is_serving() {
            return Err(crate::ConnectionClosed.into());
        }
        match (&mut self.protocol, intake) {
            (Protocol::Http(http), intake) => http.stream_body(&mut self.buffers, most, intake),
            (Protocol::Client(client), None) => client.stream_body(&mut self.buffers, most),
            _ => Err(StreamError::NotHttp),
        }
    }

    pub(crate) fn serve(
        &mut self,
        core: &Core,
        status: u16,
        headers: &[(&str, &str)],
        source: Source,
    ) -> Result<(), AnswerError> {
        let (http, buffers) = self.speaking(core, 0)?;
        http.serve(core, buffers, status, headers, source)
    }

    pub(crate) fn pause_body(&mut self, paused: bool, now: Instant) {
        match &mut self.protocol {
            Protocol::Http(http) => http.pause_body(paused, now),
            Protocol::Client(client) => client.pause_body(paused, now),
            _ => {}
        }
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
            Protocol::WebSocket(websocket) => {
                websocket.panicked(&mut self.buffers);
                self.wish = self.wish.max(Wish::Drain);
            }
            // The loop would not be the same without it, and the handler may do better with the next client.
            Protocol::Listener | Protocol::Datagram(_) => {}
            _ => self.wish = self.wish.max(Wish::Abort),
        }
    }
}

/// The first bytes of both, as one.
fn copied(parts: [&[u8]; 2], most: usize) -> Vec<u8> {
    let mut copy = Vec::new();
    for part in parts {
        copy.extend_from_slice(part.get(..most - copy.len()).unwrap_or(part));
    }
    copy
}
