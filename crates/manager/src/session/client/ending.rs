//! How it ends.

use super::{Call, Client, Reading};
use crate::core::{Core, Stage};
use crate::limits::Limits;
use crate::session::{Buffers, Linger, Next, Over};
use exeunt_listener::Address;
use std::io;
use std::time::Instant;

impl Client {
    pub(crate) fn next(&mut self, core: &Core, buffers: &mut Buffers, now: Instant, draining: bool) -> Next {
        self.seen = now;
        let unseen = self.calls.iter_mut().rev().take_while(|call| call.since.is_none());
        unseen.for_each(|call| call.since = Some(now));
        if draining {
            return match (buffers.send.is_empty(), buffers.ended) {
                (false, _) => Next::Wait,
                (true, true) => Next::Close,
                (true, false) => {
                    self.linger = Some(Linger::new(&core.limits, now));
                    Next::Linger
                }
            };
        }
        if let Some(step) = self.step(core, buffers) {
            return Next::Tell(step);
        }
        match self.reading {
            Reading::Over => {
                if let Some(why) = self.is_refused() {
                    return Next::Tell(why);
                }
                let why = "the server ends the connection, and leaves this without an answer";
                let left = (!self.calls.is_empty()).then(|| self.about(why));
                // What has not gone is lost, and the server shall not take the rest for the whole (rule M7).
                let end = if buffers.send.is_empty() { Next::Close } else { Next::Abort };
                left.and_then(|why| self.fail(buffers, why)).map_or(end, Next::Tell)
            }
            // The end, too, comes behind what is held back.
            _ if self.is_paused() => Next::Wait,
            _ if buffers.ended => self.end_of_input(core, buffers).map_or(Next::Close, Next::Tell),
            // What we have to send does not keep us from hearing that it is not wanted (RFC 9112 §9.5).
            _ if buffers.recv.len() >= self.room(&core.limits) => Next::Wait,
            _ => Next::Read,
        }
    }

    /// Whether another protocol begins now.
    pub(crate) fn has_switched(&self) -> bool {
        matches!(self.reading, Reading::Switching) && self.told.is_none()
    }

    /// The peer has ended its side; whether it has `said` so, so that what came is whole whatever became of the connection.
    pub(crate) fn ended(&mut self, said: bool) -> Next {
        self.reset &= !said;
        if self.linger.is_some() { Next::Close } else { Next::Read }
    }

    /// It broke: what follows. A peer that takes nothing any more may have said something before.
    pub(crate) fn lost(&mut self, buffers: &mut Buffers, error: &io::Error, writing: bool) -> Next {
        if self.linger.is_some() {
            return Next::Close;
        }
        if writing && !self.deaf {
            self.deaf = true;
            // EPIPE says that the peer's end had come before (Linux says so of TCP, too: tcp_reset() in CLOSE_WAIT).
            self.reset = error.kind() != io::ErrorKind::BrokenPipe;
            buffers.send.clear();
            buffers.stalled = None;
            return Next::Read;
        }
        if !self.is_busy() {
            return Next::Close;
        }
        let why = self.about(&format!("the connection broke: {error}"));
        self.fail(buffers, why).map_or(Next::Close, Next::Tell)
    }

    /// The server has taken nothing for too long.
    pub(crate) fn stalled(&mut self, limits: &Limits, buffers: &mut Buffers) -> Next {
        if self.linger.is_some() || !self.is_busy() {
            return Next::Abort;
        }
        let why = self.about(&format!("the server has taken nothing for {:?}", limits.write_stall));
        self.fail(buffers, why).map_or(Next::Abort, Next::Tell)
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
        self.seen = now;
        match stage {
            Stage::Serving => Next::Wait,
            Stage::Draining => {
                self.draining.get_or_insert(now);
                Next::Read
            }
            // The program has given up what it asked.
            Stage::Cut if self.linger.is_some() => Next::Close,
            Stage::Cut => {
                self.cut(core, now, peer);
                if buffers.send.is_empty() { Next::Close } else { Next::Abort }
            }
        }
    }

    /// Writes down what the deadline leaves without an answer.
    fn cut(&mut self, core: &Core, now: Instant, peer: Option<&Address>) {
        let cut = |name: &str, since| {
            let age = now.saturating_duration_since(since);
            core.account().cut("call", name.to_owned(), peer, age)
        };
        let since = |call: &Call| call.since.unwrap_or(self.last_byte);
        let calls = std::mem::take(&mut self.calls);
        let mut all: Vec<_> = calls.iter().map(|call| cut(&call.asked.name, since(call))).collect();
        if self.asking.is_amid() && all.is_empty() {
            all.push(cut("a request that was not written whole", self.last_byte));
        }
        let first = all.into_iter().next();
        if let Some(work) = self.work.take() {
            self.over = Some(Over { work, cut: first.map(Box::new) });
        }
    }

    pub(crate) fn take_over(&mut self) -> Option<Over> {
        self.over.take()
    }
}
