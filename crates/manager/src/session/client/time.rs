//! What takes too long.

use super::{Client, Reading};
use crate::core::Core;
use crate::limits::Limits;
use crate::session::{Buffers, Next, Tick};
use std::time::Instant;

/// What is due at some time.
enum Due {
    Head,
    Body,
    Answer,
    Silence,
}

impl Client {
    pub(crate) fn wake_at(&self, limits: &Limits, buffers: &Buffers) -> Option<Instant> {
        match &self.linger {
            Some(linger) => linger.wake_at(),
            None => self.due(limits, buffers).map(|(at, _)| at),
        }
    }

    pub(crate) fn tick(&mut self, core: &Core, buffers: &mut Buffers, now: Instant) -> Tick {
        self.seen = now;
        if let Some(linger) = &mut self.linger {
            return linger.tick(now);
        }
        let limits = &core.limits;
        let why = match self.due(limits, buffers) {
            Some((at, due)) if at <= now => match due {
                Due::Silence => return Tick::LastLook,
                Due::Head => format!("the head of the response was not whole after {:?}", limits.drain.head),
                Due::Body => format!("nothing more of the response came for {:?}", limits.body_stall),
                Due::Answer if self.websocket.is_some() => format!("no answer came for {:?}", limits.connect),
                Due::Answer => format!("no answer came for {:?}", limits.response.unwrap_or_default()),
            },
            _ => return Tick::Then(Next::Wait),
        };
        let why = self.about(&why);
        Tick::Then(self.fail(buffers, why).map_or(Next::Wait, Next::Tell))
    }

    /// The next that is due. What is still to be sent has a time limit of its own.
    fn due(&self, limits: &Limits, buffers: &Buffers) -> Option<(Instant, Due)> {
        let after = |since: Instant, limit, due| Some((since.checked_add(limit)?, due));
        match &self.reading {
            Reading::Switching | Reading::Over => None,
            Reading::Body(incoming) if incoming.paused => None,
            Reading::Body(_) => after(self.last_byte, limits.body_stall, Due::Body),
            Reading::Head => match (self.head_since, self.calls.front()) {
                (Some(since), _) => after(since, limits.drain.head, Due::Head),
                (None, Some(call)) => {
                    let limit = match self.websocket {
                        Some(_) => limits.connect,
                        None => limits.response?,
                    };
                    let written = buffers.send.is_empty() && !self.asking.is_amid();
                    let since = call.since.filter(|_| written)?;
                    after(self.last_byte.max(since), limit, Due::Answer)
                }
                (None, None) => {
                    let since = self.draining.filter(|_| buffers.send.is_empty() && !self.is_busy())?;
                    after(self.last_byte.max(since), limits.drain.idle_grace, Due::Silence)
                }
            },
        }
    }

    /// The last look found nothing.
    pub(crate) fn nothing_there(&self, buffers: &Buffers) -> Next {
        // Somebody wrote meanwhile: it is not silent any more.
        if self.is_busy() || !buffers.send.is_empty() { Next::Read } else { Next::Close }
    }
}
