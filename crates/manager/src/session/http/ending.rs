//! Going on to the next request, and ending.

use super::{Answer, Http, Reading};
use crate::core::{Core, Stage};
use crate::http::Version;
use crate::session::{Buffers, Next, Over};
use exeunt_drain::{Effect, Input};
use exeunt_lifecycle::CutWork;
use exeunt_listener::Address;
use std::time::Instant;

impl Http {
    pub(crate) fn next(&mut self, core: &Core, buffers: &mut Buffers, now: Instant, draining: bool) -> Next {
        self.seen = now;
        if draining {
            self.give_up(core, buffers, 503);
            if let Answer::Raw(outgoing) = &mut self.answer
                && !outgoing.held().is_empty()
            {
                outgoing.release(&mut buffers.send);
            }
        }
        if buffers.ended {
            buffers.alone.get_or_insert(now);
        }
        let unsent = !buffers.send.is_empty() || self.source().is_some();
        if !unsent {
            if matches!(self.answer, Answer::Whole) {
                self.answered(now);
            }
            if draining || self.closes && matches!(self.answer, Answer::Nothing) {
                return self.finish(now);
            }
        }
        if draining {
            return Next::Wait;
        }
        if let Some(step) = self.step(core, buffers) {
            return Next::Tell(step);
        }
        if unsent || !buffers.send.is_empty() {
            // A refusal may just have written something.
            return if matches!(self.reading, Reading::Over) || buffers.ended {
                Next::Wait
            } else {
                self.read(core, buffers)
            };
        }
        if let Reading::Body(_) = self.reading
            && let Some(asked) = &mut self.asked
            && asked.expects
            && matches!(self.answer, Answer::Owed)
        {
            asked.expects = false;
            buffers.send.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            return Next::Read;
        }
        if buffers.ended && (matches!(self.answer, Answer::Nothing) || !self.is_whole()) {
            if let Some(step) = self.ends_early() {
                return Next::Tell(step);
            }
            return if self.is_cut_short(buffers) { Next::Abort } else { self.finish(now) };
        }
        if buffers.ended && core.limits.probe_half_closed {
            self.probe(buffers);
        }
        if buffers.ended || matches!(self.reading, Reading::Over) {
            return Next::Wait;
        }
        self.read(core, buffers)
    }

    /// Says something that means nothing, once: the kernel of a client that has gone answers with a reset.
    fn probe(&mut self, buffers: &mut Buffers) {
        let takes_it = self.asked.as_ref().is_some_and(|asked| asked.version == Version::Http11);
        if takes_it && matches!(self.answer, Answer::Owed) && !std::mem::replace(&mut self.probed, true) {
            buffers.send.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    fn read(&self, core: &Core, buffers: &Buffers) -> Next {
        let full = self.is_paused() || buffers.is_full(self.room(&core.limits), &core.limits);
        if full { Next::Wait } else { Next::Read }
    }

    fn is_whole(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.whole.is_some())
    }

    /// Whether another protocol begins now.
    pub(crate) fn has_switched(&self, buffers: &Buffers) -> bool {
        matches!(self.answer, Answer::Switching) && buffers.send.is_empty()
    }

    fn answered(&mut self, now: Instant) {
        self.drain.on(now, Input::ResponseDone);
        self.answer = Answer::Nothing;
        self.asked_is_over(None);
    }

    fn asked_is_over(&mut self, cut: Option<Box<CutWork>>) {
        if let Some(work) = self.asked.take().and_then(|asked| asked.work) {
            self.over = Some(Over { work, cut });
        }
    }

    /// Another protocol begins: the request that has brought it about is over.
    pub(crate) fn leaves(&mut self) {
        self.asked_is_over(None);
    }

    pub(crate) fn take_over(&mut self) -> Option<Over> {
        self.over.take()
    }

    /// No further answer will be written.
    pub(super) fn finish(&mut self, now: Instant) -> Next {
        self.reading = Reading::Over;
        carry_out(self.drain.on(now, Input::Finished)).unwrap_or(Next::Close)
    }

    pub(crate) fn ended(&mut self) -> Next {
        match self.drain.on(self.seen, Input::Eof) {
            Some(Effect::EndInput) => self.finish(self.seen),
            effect => carry_out(effect).unwrap_or(Next::Read),
        }
    }

    pub(crate) fn discard(&mut self, now: Instant, bytes: &[u8]) -> Next {
        carry_out(self.drain.on(now, Input::Bytes(bytes))).unwrap_or(Next::Read)
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
        let input = match stage {
            Stage::Serving => return Next::Wait,
            Stage::Draining => Input::Draining,
            Stage::Cut => Input::Cut,
        };
        let effect = self.drain.on(now, input);
        if stage == Stage::Cut {
            self.cut(core, now, peer);
        }
        if effect == Some(Effect::Answer503) {
            if matches!(self.answer, Answer::Owed) {
                self.give_up(core, buffers, 503);
            } else {
                // The program has written part of a head, which is held back: nobody can finish that.
                return Next::Abort;
            }
            return Next::Read;
        }
        carry_out(effect).unwrap_or(Next::Read)
    }

    /// Writes down what the deadline ends.
    fn cut(&mut self, core: &Core, now: Instant, peer: Option<&Address>) {
        let Some(asked) = &mut self.asked else { return };
        let name = match &asked.request {
            Some(request) => format!("{} {}", request.method(), request.uri()),
            None => "a request that nobody was told of".to_owned(),
        };
        let age = now.saturating_duration_since(asked.since);
        let what = core.account().cut("request", name, peer, age);
        if let Some(work) = asked.work.take() {
            self.over = Some(Over { work, cut: Some(Box::new(what)) });
        }
    }
}

/// What an effect asks of the socket.
pub(super) fn carry_out(effect: Option<Effect>) -> Option<Next> {
    match effect? {
        Effect::Linger => Some(Next::Linger),
        Effect::Close => Some(Next::Close),
        Effect::Abort => Some(Next::Abort),
        _ => None,
    }
}
