//! Connections whose bytes are the program's own: TCP, Unix.

use super::{Buffers, Linger, Next, Over, Tick};
use crate::core::{Core, Stage};
use crate::limits::Limits;
use exeunt_listener::Address;
use std::time::Instant;

/// A stream that nobody but the program understands.
pub(crate) struct Raw {
    accepted: Instant,
    last_byte: Instant,
    draining: Option<Instant>,
    /// Once it lingers (D7), this decides how long.
    linger: Option<Linger>,
    /// Work of the request that it began with, to be dropped outside of the lock.
    over: Option<Over>,
}

impl Raw {
    pub(crate) fn new(now: Instant) -> Self {
        Self { accepted: now, last_byte: now, draining: None, linger: None, over: None }
    }

    /// Behind a protocol that has ended with this.
    pub(crate) fn behind(over: Option<Over>, now: Instant) -> Self {
        Self { over, ..Self::new(now) }
    }

    pub(crate) fn take_over(&mut self) -> Option<Over> {
        self.over.take()
    }

    pub(crate) fn arrived(&mut self, now: Instant) {
        self.last_byte = now;
    }

    pub(crate) fn next(&mut self, core: &Core, buffers: &mut Buffers, now: Instant, draining: bool) -> Next {
        let unsent = !buffers.send.is_empty();
        match (draining || buffers.ended, unsent) {
            (true, true) => Next::Wait,
            (true, false) if buffers.ended => Next::Close,
            (true, false) => {
                self.linger = Some(Linger::new(&core.limits, now));
                Next::Linger
            }
            (false, _) if buffers.is_full(core.limits.receive_bytes, &core.limits) => Next::Wait,
            (false, _) => Next::Read,
        }
    }

    pub(crate) fn ended(&mut self) -> Next {
        if self.linger.is_some() { Next::Close } else { Next::Read }
    }

    pub(crate) fn discard(&mut self, now: Instant, bytes: &[u8]) -> Next {
        self.linger.as_mut().map_or(Next::Close, |linger| linger.discard(now, bytes))
    }

    pub(crate) fn enter(
        &mut self,
        core: &Core,
        buffers: &Buffers,
        now: Instant,
        stage: Stage,
        peer: Option<&Address>,
    ) -> Next {
        match stage {
            Stage::Serving => Next::Wait,
            Stage::Draining => {
                self.draining.get_or_insert(now);
                Next::Read
            }
            Stage::Cut if self.linger.is_some() => Next::Close,
            Stage::Cut => {
                let age = now.saturating_duration_since(self.accepted);
                core.account().cut("connection", "a stream".to_owned(), peer, age);
                if buffers.send.is_empty() { Next::Close } else { Next::Abort }
            }
        }
    }

    pub(crate) fn wake_at(&self, limits: &Limits, buffers: &Buffers) -> Option<Instant> {
        if let Some(linger) = &self.linger {
            return linger.wake_at();
        }
        let since = self.draining.filter(|_| buffers.send.is_empty())?;
        self.last_byte.max(since).checked_add(limits.drain.idle_grace)
    }

    pub(crate) fn tick(&mut self, limits: &Limits, buffers: &Buffers, now: Instant) -> Tick {
        if let Some(linger) = &mut self.linger {
            return linger.tick(now);
        }
        match self.wake_at(limits, buffers) {
            Some(at) if at <= now => Tick::LastLook,
            _ => Tick::Then(Next::Wait),
        }
    }
}
