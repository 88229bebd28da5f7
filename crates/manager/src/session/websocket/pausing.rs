//! Holding back a peer who says more than the program takes.

use super::{Ours, Theirs, WebSocket};
use crate::limits::Limits;
use crate::session::{Buffers, Protocol, Session};
use std::time::Instant;

impl Session {
    pub(crate) fn pause_messages(&mut self, paused: bool, now: Instant) {
        if let Protocol::WebSocket(websocket) = &mut self.protocol {
            websocket.pause(paused, now);
        }
    }
}

impl WebSocket {
    /// Behind our Close nobody is paused: the peer's has to be heard. From the end of a pause on he has his time anew.
    fn pause(&mut self, paused: bool, now: Instant) {
        if self.paused != paused && (!paused || self.ours == Ours::Open) {
            self.paused = paused;
            self.last_byte = now;
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether the peer has the word.
    pub(super) fn listens(&self, buffers: &Buffers, limits: &Limits) -> bool {
        self.theirs == Theirs::Open && !self.paused && !buffers.is_full(1, limits)
    }

    /// We have said Close.
    pub(super) fn closed(&mut self) {
        self.ours = Ours::Closed { gone: None };
        self.paused = false;
    }
}
