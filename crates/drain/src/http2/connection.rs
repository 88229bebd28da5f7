//! The machine.

use super::wire::Wire;
use super::{Effect, Input};
use crate::Limits;
use std::time::Instant;

/// What the lifecycle wants of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wish {
    Serve,
    /// No further streams: a stop was requested, or the owner wants this connection gone.
    Leave,
    Cut {
        since: Instant,
    },
}

/// Whether the peer was told to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Leaving {
    Untold,
    /// The first GOAWAY is on its way, and the PING behind it.
    Told {
        since: Instant,
    },
}

/// How far the end of the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Course {
    Open,
    /// Waiting for what the last look finds.
    Looking,
    /// The input was declared ended by us, or by the peer.
    InputEnded {
        since: Instant,
    },
    /// Our side is shut down (D7).
    Lingering {
        until: Option<Instant>,
        left: u64,
    },
    Closed,
}

/// One HTTP/2 connection, as its drain sees it.
///
/// It lives until it has answered [`Effect::Close`] or [`Effect::Abort`]; told anything after that, it answers nothing.
/// Inputs may come in any order without a panic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    limits: Limits,
    wire: Wire,
    wish: Wish,
    leaving: Leaving,
    course: Course,
    /// The peer has ended its side.
    gone: bool,
    /// A stream has ended since the peer was told to leave: what was written then must arrive (D7).
    owing: bool,
    /// Since when something is half said.
    half_said: Option<Instant>,
    /// The latest of: made, a byte came, a stream ended.
    last_byte: Instant,
}

impl Connection {
    /// A connection that speaks HTTP/2 from that time on.
    #[must_use]
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            wire: Wire::new(),
            wish: Wish::Serve,
            leaving: Leaving::Untold,
            course: Course::Open,
            gone: false,
            owing: false,
            half_said: None,
            last_byte: now,
        }
    }

    /// Takes in what happened at `now`, and answers what must be done about it, if anything.
    pub fn on(&mut self, now: Instant, input: Input<'_>) -> Option<Effect> {
        match input {
            Input::Bytes(bytes) => self.bytes(now, bytes),
            Input::Written(bytes) => self.written(now, bytes),
            Input::Eof => self.eof(now),
            Input::Stopping => self.stopping(now),
            Input::Leave | Input::Draining => self.leave(now),
            Input::Cut => self.cut(now),
            Input::Tick => self.tick(now),
            Input::NothingThere => self.nothing_there(now),
            Input::Settled => self.settled(now),
            Input::Finished => self.finished(now),
        }
    }

    /// When the machine wants an [`Input::Tick`], if nothing happens before. `None`: it waits for an event.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        let (from, limit) = match (self.course, self.wish) {
            (Course::Closed, _) => return None,
            (Course::Lingering { until, .. }, Wish::Serve | Wish::Leave) => return until,
            (Course::Lingering { until, .. }, Wish::Cut { since }) => {
                let last = since.checked_add(self.limits.linger);
                return [until, last].into_iter().flatten().min();
            }
            // A peer that does not read what it is sent is not waited for longer than one that does not close.
            (_, Wish::Cut { since }) | (Course::InputEnded { since }, _) => (since, self.limits.linger),
            (Course::Looking, _) => return None,
            (Course::Open, _) => match (self.half_said, self.leaving) {
                (Some(since), _) => (since, self.limits.head),
                _ if self.wire.open() > 0 => return None,
                (None, Leaving::Told { since }) => (since.max(self.last_byte), self.limits.linger),
                (None, Leaving::Untold) => (self.last_byte, self.limits.idle),
            },
        };
        // A limit past the end of time is none.
        from.checked_add(limit)
    }

    /// How many streams are open, by what has passed the socket: each until its last byte, or its reset, is with the
    /// kernel.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.wire.open()
    }

    fn bytes(&mut self, now: Instant, bytes: &[u8]) -> Option<Effect> {
        if let Course::Lingering { left, .. } = &mut self.course {
            *left = left.saturating_sub(bytes.len() as u64);
            return (*left == 0).then(|| self.close());
        }
        let heard = self.wire.read(bytes);
        if heard.spoke {
            self.last_byte = now;
        }
        self.half_said = match self.half_said {
            _ if !self.wire.is_half_said() => None,
            Some(since) if !heard.rested => Some(since),
            _ => Some(now),
        };
        if self.course == Course::Looking {
            self.course = Course::Open;
        }
        // A first stream, after a stop request that had nothing to take leave of.
        if self.wish == Wish::Leave { self.stopping(now) } else { None }
    }

    fn written(&mut self, now: Instant, bytes: &[u8]) -> Option<Effect> {
        if !self.wire.wrote(bytes) {
            return None;
        }
        self.last_byte = now;
        self.owing = true;
        if self.wire.open() == 0 { self.settled(now) } else { None }
    }

    /// Nobody waits for a PING's answer after the deadline, or for a window.
    fn settled(&mut self, now: Instant) -> Option<Effect> {
        let cut = matches!(self.wish, Wish::Cut { .. });
        (cut && self.course == Course::Open).then(|| self.end_input(now))
    }

    fn eof(&mut self, now: Instant) -> Option<Effect> {
        self.gone = true;
        match self.course {
            Course::Lingering { .. } => Some(self.close()),
            Course::Looking => Some(self.end_input(now)),
            Course::Open => {
                self.course = Course::InputEnded { since: now };
                None
            }
            Course::InputEnded { .. } | Course::Closed => None,
        }
    }

    /// A connection on which nothing was ever asked has nothing to take leave of yet: told now, a client that keeps one
    /// ready would open the next at once, again and again for as long as the lame duck lasts.
    fn stopping(&mut self, now: Instant) -> Option<Effect> {
        if self.wish == Wish::Serve {
            self.wish = Wish::Leave;
        }
        if self.wire.is_used() { self.leave(now) } else { None }
    }

    fn leave(&mut self, now: Instant) -> Option<Effect> {
        if self.wish == Wish::Serve {
            self.wish = Wish::Leave;
        }
        let open = matches!(self.course, Course::Open | Course::Looking);
        if !open || self.leaving != Leaving::Untold {
            return None;
        }
        self.leaving = Leaving::Told { since: now };
        self.owing = false;
        Some(Effect::GoAway)
    }

    fn cut(&mut self, now: Instant) -> Option<Effect> {
        if matches!(self.wish, Wish::Cut { .. }) {
            return None;
        }
        self.wish = Wish::Cut { since: now };
        if self.course == Course::Closed {
            return None;
        }
        let open = self.wire.open() > 0;
        match self.course {
            // Its peer may still be reading the last response: what it sends for that (RFC 9113 §6.9) would draw a reset
            // from a socket that is closed, which eats the rest (D7).
            Course::Lingering { .. } if self.owing => None,
            Course::Lingering { .. } => Some(self.close()),
            Course::Open | Course::Looking if !open && self.owing && self.leaving != Leaving::Untold => {
                Some(self.end_input(now))
            }
            _ if !open => Some(self.close()),
            _ => Some(Effect::CutStreams),
        }
    }

    fn tick(&mut self, now: Instant) -> Option<Effect> {
        if self.wake_at().is_none_or(|at| now < at) {
            return None;
        }
        match self.course {
            Course::Lingering { .. } => Some(self.close()),
            Course::InputEnded { .. } => Some(self.abort()),
            _ if matches!(self.wish, Wish::Cut { .. }) => Some(self.abort()),
            _ if self.half_said.is_none() && self.leaving == Leaving::Untold => self.leave(now),
            // If the process was stopped meanwhile, the rest waits in the queue (L2).
            _ => {
                self.course = Course::Looking;
                Some(Effect::LastLook)
            }
        }
    }

    fn nothing_there(&mut self, now: Instant) -> Option<Effect> {
        (self.course == Course::Looking).then(|| self.end_input(now))
    }

    fn finished(&mut self, now: Instant) -> Option<Effect> {
        let cut = matches!(self.wish, Wish::Cut { .. });
        match self.course {
            Course::Closed | Course::Lingering { .. } => None,
            _ if self.gone => Some(self.close()),
            // Silent for too long: what we wrote before was read long ago, or never will be.
            Course::InputEnded { .. } if !cut => Some(self.close()),
            _ => {
                // A peer that has answered the PING has read what was written before that.
                let settled = self.leaving != Leaving::Untold && !self.owing;
                let linger = self.limits.linger;
                let limit = if settled { self.limits.idle_grace.min(linger) } else { linger };
                self.course =
                    Course::Lingering { until: now.checked_add(limit), left: self.limits.linger_bytes };
                Some(Effect::Linger)
            }
        }
    }

    fn end_input(&mut self, now: Instant) -> Effect {
        self.course = Course::InputEnded { since: now };
        Effect::EndInput
    }

    fn abort(&mut self) -> Effect {
        self.course = Course::Closed;
        Effect::Abort
    }

    fn close(&mut self) -> Effect {
        self.course = Course::Closed;
        Effect::Close
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
