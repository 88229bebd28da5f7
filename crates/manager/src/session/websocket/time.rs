//! What takes too long.

use super::{Ours, Theirs, WebSocket};
use crate::core::{Core, Stage};
use crate::limits::Limits;
use crate::session::{Buffers, Next, Step, Tick};
use crate::websocket::{Failure, WsOp, write};
use exeunt_listener::Address;
use std::time::{Duration, Instant};

impl WebSocket {
    pub(crate) fn wake_at(&self, limits: &Limits, buffers: &Buffers) -> Option<Instant> {
        if let Some(linger) = &self.linger {
            return linger.wake_at();
        }
        [
            self.cut_ends(limits),
            self.answer_ends(limits),
            self.frame_ends(limits, buffers),
            self.silence_ends(limits, buffers),
            self.spread_ends(limits, buffers),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn tick(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        now: Instant,
        peer: Option<&Address>,
    ) -> Tick {
        self.seen = now;
        if let Some(linger) = &mut self.linger {
            return linger.tick(now);
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let limits = &core.limits;
        if due(self.cut_ends(limits)) {
            return Tick::Then(Next::Abort);
        }
        if due(self.answer_ends(limits)) {
            return Tick::Then(self.unanswered(core, peer));
        }
        if due(self.frame_ends(limits, buffers)) {
            let late = Failure { code: 1008, why: "the rest of a WebSocket message did not come in time" };
            return Tick::Then(Next::Tell(self.fail(buffers, late)));
        }
        if due(self.silence_ends(limits, buffers)) {
            if self.pinged.is_some() {
                let gone = Failure { code: 1011, why: "the WebSocket peer did not answer a ping in time" };
                return Tick::Then(Next::Tell(self.fail(buffers, gone)));
            }
            write(&mut buffers.send, self.role, WsOp::Ping, b"");
            self.pinged = Some(now);
        }
        Tick::Then(Next::Read)
    }

    /// When the Close that a drain calls for is said, if it is still to be said. What has come by then is told first, since
    /// it may be answered; but a peer that goes on and on does not put it off for longer than one that is silent would.
    pub(super) fn spread_ends(&self, limits: &Limits, buffers: &Buffers) -> Option<Instant> {
        let since = self.draining.filter(|_| !self.opening && buffers.recv.is_empty())?;
        if self.ours != Ours::Open || self.theirs != Theirs::Open {
            return None;
        }
        let patience = if self.more { limits.drain.idle_grace } else { Duration::ZERO };
        since.checked_add(limits.ws_close_spread.mul_f64(self.share))?.checked_add(patience)
    }

    /// The peer has said Close, or not: in this time it is over.
    fn unanswered(&mut self, core: &Core, peer: Option<&Address>) -> Next {
        let heard = matches!(self.theirs, Theirs::Closed(_));
        self.theirs = Theirs::Ignored;
        if heard {
            return self.finish(core);
        }
        if core.stage() >= Stage::Draining {
            self.report_cut(core, peer);
        }
        Next::Tell(Step::Refused("the WebSocket peer did not answer our Close in time"))
    }

    /// For the answer to our Close; for the client, that the server closes behind it.
    fn answer_ends(&self, limits: &Limits) -> Option<Instant> {
        match (self.ours, self.theirs) {
            (Ours::Closed { gone: Some(gone) }, Theirs::Open | Theirs::Closed(_)) => {
                gone.checked_add(limits.ws_close)
            }
            _ => None,
        }
    }

    /// For the peer to take what is sent behind the deadline.
    fn cut_ends(&self, limits: &Limits) -> Option<Instant> {
        self.cut.and_then(|cut| cut.checked_add(limits.drain.linger))
    }

    fn frame_ends(&self, limits: &Limits, buffers: &Buffers) -> Option<Instant> {
        self.since_heard(limits, buffers, limits.body_stall).filter(|_| self.reader.is_amid())
    }

    fn silence_ends(&self, limits: &Limits, buffers: &Buffers) -> Option<Instant> {
        let limit = limits.ws_ping.filter(|_| self.ours == Ours::Open)?;
        match self.pinged {
            Some(pinged) => pinged.checked_add(limit),
            None => self.since_heard(limits, buffers, limit),
        }
    }

    /// That long after the last byte, while it is for the peer to say something.
    fn since_heard(&self, limits: &Limits, buffers: &Buffers, limit: Duration) -> Option<Instant> {
        self.last_byte.checked_add(limit).filter(|_| self.listens(buffers, limits))
    }
}
