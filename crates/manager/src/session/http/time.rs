//! What takes too long.

use super::ending::carry_out;
use super::{Answer, Asked, Http, Reading};
use crate::core::Core;
use crate::http::Refusal;
use crate::limits::Limits;
use crate::session::{Buffers, Next, Tick};
use exeunt_drain::{Effect, Input};
use std::time::{Duration, Instant};

impl Http {
    pub(crate) fn wake_at(&self, limits: &Limits, buffers: &Buffers) -> Option<Instant> {
        let after = |since: Instant, limit: Duration| since.checked_add(limit);
        let body = match &self.reading {
            Reading::Body(incoming) if !self.is_paused() => after(incoming.last_byte, limits.body_stall),
            _ => None,
        };
        let answer = match (&self.answer, &self.asked) {
            (Answer::Owed, Some(asked)) => {
                limits.answer.zip(asked.whole).and_then(|(limit, since)| after(since, limit))
            }
            _ => None,
        };
        let alone = self.alone(buffers).and_then(|since| after(since, limits.half_closed));
        [self.drain.wake_at(), body, answer, alone].into_iter().flatten().min()
    }

    pub(crate) fn tick(&mut self, core: &Core, buffers: &mut Buffers, now: Instant) -> Tick {
        self.seen = now;
        let due = |since: Instant, limit: Duration| since.checked_add(limit).is_some_and(|at| at <= now);
        if let Reading::Body(incoming) = &self.reading
            && !self.is_paused()
            && due(incoming.last_byte, core.limits.body_stall)
        {
            let stalled = Refusal { status: 408, why: "the rest of the body did not come in time" };
            return Tick::Then(self.refuse(core, buffers, stalled).map_or(Next::Read, Next::Tell));
        }
        if let (Answer::Owed, Some(Asked { whole: Some(since), .. }), Some(limit)) =
            (&self.answer, &self.asked, core.limits.answer)
            && due(*since, limit)
        {
            self.give_up(core, buffers, 408);
            return Tick::Then(Next::Read);
        }
        if self.alone(buffers).is_some_and(|since| due(since, core.limits.half_closed)) {
            if !self.is_owed() {
                return Tick::Then(Next::Abort);
            }
            self.give_up(core, buffers, 408);
            return Tick::Then(Next::Read);
        }
        match self.drain.on(now, Input::Tick) {
            Some(Effect::LastLook) => Tick::LastLook,
            effect => Tick::Then(carry_out(effect).unwrap_or(Next::Wait)),
        }
    }

    /// Since when the program has left a peer who has ended its side without a further byte of its answer.
    fn alone(&self, buffers: &Buffers) -> Option<Instant> {
        let unfinished = !matches!(self.answer, Answer::Nothing | Answer::Whole | Answer::Source(_));
        buffers.alone.filter(|_| unfinished && buffers.send.is_empty())
    }

    /// The peer is in the middle of saying something, of which nothing is here.
    pub(crate) fn stirs(&mut self, now: Instant) {
        self.seen = now;
        self.drain.on(now, Input::Bytes(&[]));
    }

    pub(crate) fn nothing_there(&mut self, now: Instant) -> Next {
        match self.drain.on(now, Input::NothingThere) {
            Some(Effect::EndInput) => self.finish(now),
            effect => carry_out(effect).unwrap_or(Next::Read),
        }
    }
}
