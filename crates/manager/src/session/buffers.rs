//! The bytes on their way in and out.

use crate::http::Request;
use crate::limits::Limits;
use bytes::BytesMut;
use std::time::Instant;

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

/// What an idle connection keeps of its send buffer, at most, in bytes: most heads of answers fit.
const KEPT: usize = 512;

impl Buffers {
    pub(super) fn is_full(&self, room: usize, limits: &Limits) -> bool {
        self.recv.len() >= room.max(1) || self.send.len() >= limits.send_pause.max(1)
    }

    /// When a peer that takes nothing of what waits for it has had its time.
    pub(super) fn stall_ends(&self, limits: &Limits) -> Option<Instant> {
        self.stalled.and_then(|since| since.checked_add(limits.write_stall))
    }

    /// The peer's kernel has taken something; whether more waits for it.
    pub(super) fn progressed(&mut self, now: Instant, more: bool) {
        self.stalled = Some(now).filter(|_| more);
        self.head_at = None;
        if let Some(alone) = &mut self.alone {
            *alone = now;
        }
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
