//! The end of what is no server's HTTP: our side is shut down, and the peer's is awaited (D7).

use super::{Next, Tick};
use crate::limits::Limits;
use exeunt_drain::{Connection as Drain, Effect, Input};
use std::time::Instant;

/// How long that lasts, in time and in bytes that nobody wants any more.
pub(super) struct Linger(Box<Drain>);

impl Linger {
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        let mut drain = Drain::new(limits.drain, now);
        drain.on(now, Input::Finished);
        Self(Box::new(drain))
    }

    pub(super) fn discard(&mut self, now: Instant, bytes: &[u8]) -> Next {
        self.0.on(now, Input::Bytes(bytes)).map_or(Next::Read, |_| Next::Close)
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.0.wake_at()
    }

    pub(super) fn tick(&mut self, now: Instant) -> Tick {
        let over = self.0.on(now, Input::Tick).is_some_and(|effect| effect != Effect::Linger);
        Tick::Then(if over { Next::Close } else { Next::Wait })
    }
}
