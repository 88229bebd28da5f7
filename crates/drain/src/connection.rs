//! The machine.

use crate::boundary::Boundary;
use crate::{Effect, Framing, Input, Limits};
use std::time::Instant;

/// What has come of the next or present request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reading {
    /// No byte of a further request.
    Silent,
    /// Part of a head, since then.
    Head { since: Instant },
    /// A request was handed to the program; its body may still be coming, even behind its response.
    Taken(Framing),
    /// The peer has ended its side.
    Ended,
}

/// What has become of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writing {
    /// None is owed.
    Nothing,
    /// The program has the request; the head is not written.
    Pending,
    /// The head is written, the end is not yet with the kernel.
    Begun,
    /// The connection is the program's: a WebSocket, a tunnel. How long it takes, and may be silent, is the program's
    /// to say, but for the cut.
    Upgraded,
}

/// What the lifecycle wants of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wish {
    Serve,
    Drain { since: Instant },
    Cut { since: Instant },
}

/// How far the end of the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Course {
    Open,
    /// Waiting for what the last look finds.
    Looking,
    /// The input was declared ended by us; nothing was owed when it was.
    InputEnded,
    /// Our side is shut down (D7).
    Lingering {
        since: Instant,
        left: u64,
    },
    Closed,
}

/// One HTTP/1 connection, as its drain sees it.
///
/// It lives from the moment the connection is accepted until it has answered [`Effect::Close`] or [`Effect::Abort`];
/// told anything after that, it answers nothing. Inputs may come in any order without a panic: one that does not fit
/// (a `ResponseDone` without a response, say) is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    limits: Limits,
    reading: Reading,
    writing: Writing,
    wish: Wish,
    course: Course,
    boundary: Boundary,
    /// The latest of: accepted, a byte came (of more than an empty line before a request), a response was done.
    last_byte: Instant,
}

impl Connection {
    /// A connection accepted at that time.
    #[must_use]
    pub fn new(limits: Limits, accepted: Instant) -> Self {
        Self {
            limits,
            reading: Reading::Silent,
            writing: Writing::Nothing,
            wish: Wish::Serve,
            course: Course::Open,
            boundary: Boundary::default(),
            last_byte: accepted,
        }
    }

    /// Takes in what happened at `now`, and answers what must be done about it, if anything.
    pub fn on(&mut self, now: Instant, input: Input<'_>) -> Option<Effect> {
        match input {
            Input::Bytes(bytes) => self.bytes(now, bytes),
            Input::HeadDone(framing) => self.head_done(framing),
            Input::Request(framing) => self.request(now, framing),
            Input::ResponseHead { stopping } => self.response_head(stopping),
            Input::Upgraded => self.upgraded(),
            Input::ResponseDone => self.response_done(now),
            Input::Eof => self.eof(),
            Input::Draining => self.draining(now),
            Input::Cut => self.cut(now),
            Input::Tick => self.tick(now),
            Input::NothingThere => self.nothing_there(),
            Input::Finished => self.finished(now),
        }
    }

    /// Whether a response head that is written now must say `Connection: close` (D2): what [`Input::ResponseHead`] would
    /// answer, for whom the head may still fail.
    #[must_use]
    pub fn would_say_close(&self, stopping: bool) -> bool {
        stopping || self.wish != Wish::Serve
    }

    /// When the machine wants an [`Input::Tick`], if nothing happens before. `None`: it waits for an event.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        let (from, limit) = match (self.course, self.reading, self.wish) {
            (Course::Closed, ..) => return None,
            // A peer that does not read its 503 is not waited for longer than one that does not close.
            (Course::Lingering { since, .. }, ..) | (.., Wish::Cut { since }) => (since, self.limits.linger),
            (Course::Open, Reading::Head { since }, _) => (since, self.limits.head),
            (Course::Open, Reading::Silent, Wish::Drain { since }) => {
                (self.last_byte.max(since), self.limits.idle_grace)
            }
            (Course::Open, Reading::Silent, Wish::Serve) => (self.last_byte, self.limits.idle),
            // A body that still arrives behind its response.
            (Course::Open, Reading::Taken(_), _) if !self.is_busy() => (self.last_byte, self.limits.idle),
            _ => return None,
        };
        // A limit past the end of time is none.
        from.checked_add(limit)
    }

    /// Whether a request is with the program, or its response not yet with the kernel.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.writing != Writing::Nothing
    }

    /// Whether a response was begun and its end is not yet with the kernel: a close has to be a reset now, or a peer
    /// that reads to the end of the connection takes the torn response for whole. So it is while a program has it.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        matches!(self.writing, Writing::Begun | Writing::Upgraded)
    }

    /// Whether the connection is the program's (D6): [`Input::Upgraded`] was taken, and it is not done yet.
    #[must_use]
    pub fn is_upgraded(&self) -> bool {
        self.writing == Writing::Upgraded
    }

    fn bytes(&mut self, now: Instant, bytes: &[u8]) -> Option<Effect> {
        if let Course::Lingering { left, .. } = &mut self.course {
            *left = left.saturating_sub(bytes.len() as u64);
            return (*left == 0).then(|| self.close());
        }
        let silent = self.reading == Reading::Silent;
        let begun = self.boundary.bytes(bytes, silent);
        // Empty lines before a request are nothing (RFC 9112 §2.2): a peer could keep a connection open with them for ever.
        if begun || !silent || bytes.is_empty() {
            self.last_byte = now;
        }
        if begun && silent {
            self.reading = Reading::Head { since: now };
        }
        if self.course == Course::Looking {
            self.course = Course::Open;
        }
        self.leave_request(now);
        None
    }

    fn request(&mut self, now: Instant, framing: Framing) -> Option<Effect> {
        self.last_byte = now;
        // As of a request that was read ahead: nothing of it is still to come, and nothing is known to be behind it.
        self.boundary = Boundary::default();
        self.head_done(framing)
    }

    fn head_done(&mut self, framing: Framing) -> Option<Effect> {
        if self.course == Course::Closed {
            return None;
        }
        // Behind a body whose end was not recognized: its count is not this one's.
        if matches!(self.reading, Reading::Taken(_)) {
            self.boundary = Boundary::default();
        }
        self.reading = Reading::Taken(framing);
        self.writing = Writing::Pending;
        // The HTTP layer had it already when the silence was judged.
        if matches!(self.course, Course::Looking | Course::InputEnded) {
            self.course = Course::Open;
        }
        matches!(self.wish, Wish::Cut { .. }).then_some(Effect::Answer503)
    }

    fn response_head(&mut self, stopping: bool) -> Option<Effect> {
        if self.writing == Writing::Pending {
            self.writing = Writing::Begun;
        }
        self.would_say_close(stopping).then_some(Effect::SayClose)
    }

    fn upgraded(&mut self) -> Option<Effect> {
        // At the cut a 503 is ordered already, and takes the place of whatever the program answers.
        if self.writing == Writing::Pending && !matches!(self.wish, Wish::Cut { .. }) {
            self.writing = Writing::Upgraded;
        }
        None
    }

    fn response_done(&mut self, now: Instant) -> Option<Effect> {
        if self.is_upgraded() {
            return None;
        }
        self.writing = Writing::Nothing;
        self.last_byte = now;
        self.leave_request(now);
        None
    }

    /// Turns to the next request, if this one is answered and its body has arrived.
    fn leave_request(&mut self, now: Instant) {
        if let Reading::Taken(framing) = self.reading
            && !self.is_busy()
            && self.boundary.is_whole(framing)
        {
            let begun = self.boundary.next(framing);
            self.reading = if begun { Reading::Head { since: now } } else { Reading::Silent };
        }
    }

    fn eof(&mut self) -> Option<Effect> {
        self.reading = Reading::Ended;
        match self.course {
            Course::Lingering { .. } => Some(self.close()),
            Course::Looking => {
                self.course = Course::InputEnded;
                Some(Effect::EndInput)
            }
            _ => None,
        }
    }

    fn draining(&mut self, now: Instant) -> Option<Effect> {
        if self.wish == Wish::Serve {
            self.wish = Wish::Drain { since: now };
        }
        None
    }

    fn cut(&mut self, now: Instant) -> Option<Effect> {
        if matches!(self.wish, Wish::Cut { .. }) {
            return None;
        }
        self.wish = Wish::Cut { since: now };
        if self.course == Course::Closed {
            return None;
        }
        match self.writing {
            Writing::Pending => Some(Effect::Answer503),
            Writing::Begun | Writing::Upgraded => Some(self.abort()),
            Writing::Nothing => Some(self.close()),
        }
    }

    fn tick(&mut self, now: Instant) -> Option<Effect> {
        if self.wake_at().is_none_or(|at| now < at) {
            return None;
        }
        match (self.course, self.reading, self.wish) {
            (Course::Lingering { .. }, ..) => Some(self.close()),
            (.., Wish::Cut { .. }) => Some(self.abort()),
            // Of a head begun, too: if the process was stopped meanwhile, the rest of it waits in the queue (L2).
            _ => {
                self.course = Course::Looking;
                Some(Effect::LastLook)
            }
        }
    }

    fn nothing_there(&mut self) -> Option<Effect> {
        if self.course != Course::Looking {
            return None;
        }
        self.course = Course::InputEnded;
        Some(Effect::EndInput)
    }

    fn finished(&mut self, now: Instant) -> Option<Effect> {
        if self.is_upgraded() {
            self.writing = Writing::Nothing;
        }
        match self.course {
            Course::Closed | Course::Lingering { .. } => None,
            // Silent for idle_grace or longer (or never whole): what we wrote before was read long ago.
            Course::InputEnded => Some(self.close()),
            Course::Open | Course::Looking if self.reading == Reading::Ended => Some(self.close()),
            Course::Open | Course::Looking => {
                self.course = Course::Lingering { since: now, left: self.limits.linger_bytes };
                Some(Effect::Linger)
            }
        }
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
