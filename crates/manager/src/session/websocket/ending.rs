//! The closing handshake (RFC 6455 §7), and what a stop makes of it (rule D6).

use super::{Ours, Theirs, WebSocket};
use crate::core::{Core, Stage};
use crate::session::{Buffers, Linger, Next, Over, Step};
use crate::websocket::{Failure, Incoming, Role, WsControl};
use exeunt_lifecycle::CutWork;
use exeunt_listener::Address;
use std::time::Instant;

impl WebSocket {
    /// `draining`: the program wants the end, and to be told of nothing any more.
    pub(crate) fn next(&mut self, core: &Core, buffers: &mut Buffers, now: Instant, draining: bool) -> Next {
        self.seen = now;
        if self.opening {
            return Next::Wait;
        }
        if draining {
            self.say_close(buffers, 1000, "");
            let bytes = buffers.recv.split();
            buffers.release();
            self.overhear(core, &bytes);
        } else if let Some(step) = self.step(core, buffers) {
            return Next::Tell(step);
        }
        match self.theirs {
            // RFC 6455 §5.5.1 has it send back the code.
            Theirs::Closed(code) => self.say_close(buffers, code, ""),
            Theirs::Open if buffers.ended && buffers.recv.is_empty() => {
                self.theirs = Theirs::Ended;
                if !draining && self.ours == Ours::Open {
                    return Next::Tell(Step::Refused("the WebSocket ended without a Close (1006)"));
                }
            }
            Theirs::Open if self.spread_ends(&core.limits, buffers).is_some_and(|at| at <= now) => {
                self.say_close(buffers, 1001, "");
            }
            Theirs::Open | Theirs::Ignored | Theirs::Ended => {}
        }
        let reads = !buffers.ended && self.listens(buffers, &core.limits);
        if !buffers.send.is_empty() {
            return if reads { Next::Read } else { Next::Wait };
        }
        if let Ours::Closed { gone } = &mut self.ours {
            gone.get_or_insert(now);
        }
        match self.theirs {
            Theirs::Open if reads => Next::Read,
            Theirs::Open => Next::Wait,
            Theirs::Ended => Next::Close,
            // The server is to close first (RFC 6455 §7.1.1).
            Theirs::Closed(_) if self.role == Role::Client && !buffers.ended => Next::Read,
            Theirs::Closed(_) if self.role == Role::Client => Next::Close,
            Theirs::Closed(_) | Theirs::Ignored => self.finish(core),
        }
    }

    /// The Close of a drain goes with the last answer before it: who gets that by itself sends his next message, which
    /// can have none any more.
    pub(crate) fn says_last(&mut self, core: &Core, buffers: &mut Buffers, now: Instant, more: bool) {
        self.more = more;
        if !buffers.send.is_empty() && self.spread_ends(&core.limits, buffers).is_some_and(|at| at <= now) {
            self.say_close(buffers, 1001, "");
        }
    }

    /// All that is to be said was said.
    pub(super) fn finish(&mut self, core: &Core) -> Next {
        self.linger = Some(Linger::new(&core.limits, self.seen));
        self.is_over(None);
        Next::Linger
    }

    /// The peer has ended his side.
    pub(crate) fn ended(&mut self) -> Next {
        if self.linger.is_some() { Next::Close } else { Next::Read }
    }

    /// The connection broke.
    pub(crate) fn lost(&mut self, buffers: &mut Buffers) -> Next {
        if self.opening || self.theirs != Theirs::Open || self.ours != Ours::Open {
            return Next::Close;
        }
        self.theirs = Theirs::Ended;
        // Nothing can be said any more, no Close either: nobody takes it, and it would be waited for.
        self.closed();
        buffers.send.clear();
        Next::Tell(Step::Refused("the WebSocket broke without a Close (1006)"))
    }

    /// Bytes that came when nobody wants to be told any more.
    pub(crate) fn discard(&mut self, core: &Core, now: Instant, bytes: &[u8]) -> Next {
        if let Some(linger) = &mut self.linger {
            return linger.discard(now, bytes);
        }
        self.stirs(now);
        self.overhear(core, bytes);
        Next::Read
    }

    /// Looks for the peer's Close, and for nothing else.
    fn overhear(&mut self, core: &Core, bytes: &[u8]) {
        let mut rest = bytes;
        while self.theirs == Theirs::Open && !rest.is_empty() {
            match self.reader.read(&mut rest, core.limits.ws_message_bytes) {
                Ok(Some(Incoming::Control(WsControl::Close { code, .. }))) => {
                    self.theirs = Theirs::Closed(code);
                }
                Ok(_) => {}
                Err(_) => self.theirs = Theirs::Ignored,
            }
        }
    }

    pub(crate) fn enter(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
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
            Stage::Cut if self.linger.is_some() => Next::Close,
            Stage::Cut => {
                self.opening = false;
                let answered = !matches!(self.theirs, Theirs::Open) && self.ours != Ours::Open;
                if answered && buffers.send.is_empty() {
                    return Next::Close;
                }
                self.report_cut(core, peer);
                if self.ours == Ours::Open {
                    // It was to be told later: then it is told now.
                    self.cut = Some(now);
                    self.say_close(buffers, 1001, "");
                    self.theirs = Theirs::Ignored;
                    buffers.recv.clear();
                    return Next::Read;
                }
                if buffers.send.is_empty() { Next::Close } else { Next::Abort }
            }
        }
    }

    /// Writes down that it was ended before the peer had his say.
    pub(super) fn report_cut(&mut self, core: &Core, peer: Option<&Address>) {
        let age = self.seen.saturating_duration_since(self.asked.since);
        let what = core.account().cut("websocket", self.asked.uri.to_string(), peer, age);
        self.is_over(Some(Box::new(what)));
    }

    fn is_over(&mut self, cut: Option<Box<CutWork>>) {
        if let Some(work) = self.asked.work.take() {
            self.over = Some(Over { work, cut });
        }
    }

    pub(crate) fn take_over(&mut self) -> Option<Over> {
        self.over.take()
    }

    /// The program's handler panicked.
    pub(crate) fn panicked(&mut self, buffers: &mut Buffers) {
        self.opening = false;
        _ = self.fail(buffers, Failure { code: 1011, why: "the handler panicked" });
    }

    /// Whether a close would lose what was said, or leave half a frame.
    pub(crate) fn is_cut_short(&self, buffers: &Buffers) -> bool {
        self.linger.is_none() && !buffers.send.is_empty()
    }
}
