//! The order of a close, without a socket and without a clock.

use std::time::{Duration, Instant};

use super::{options::CloseOptions, report::Method};

/// What to do against the clients that may be on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// New clients are turned away: look and accept in turn until nobody is on the way.
    Look,
    /// They are not: accept who is in the queue, up to this many.
    Empty { at_most: usize },
}

/// What the driver has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Count the handshakes under way, and tell by `looked`.
    Look,
    /// Accept one, and tell by `accepted`, `emptied` or `exhausted`.
    Accept,
    /// Nothing before this instant.
    Wait(Instant),
    /// Close the descriptor.
    Close,
}

/// The order of a close. Invariants:
///
/// 1. Under [`Plan::Look`], `Close` comes only after two rounds in a row in which the look found no handshake and the
///    accept *after* it nobody (or at the limit). The look must come first: a handshake that completes between an empty
///    accept and a look without findings would be seen by neither.
/// 2. The two rounds are [`SETTLE`] apart. The kernel moves a connection in two steps (out of the table of handshakes,
///    then into the queue), and a SYN that another processor let through just before the others were turned away takes a moment to be
///    in the table; one round could fall into either gap.
/// 3. It ends by `limit`, and where new clients are not turned away also by count, whatever the clients do.
#[derive(Clone, Debug)]
pub(crate) struct Procedure {
    plan: Plan,
    stage: Stage,
    limit: Instant,
    grace: Instant,
    quiet_rounds: u32,
    turn: u32,
    waited: bool,
    pub(crate) looks: u32,
    pub(crate) handshakes: usize,
    pub(crate) accepted: usize,
    pub(crate) limit_hit: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Look,
    Accept { seen: usize },
    Pause { until: Instant, then_look: bool },
    Done,
}

pub(crate) const SETTLE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
const QUIET_ROUNDS: u32 = 2;

impl Procedure {
    pub(crate) fn new(plan: Plan, now: Instant, options: &CloseOptions) -> Self {
        let stage = match plan {
            Plan::Look => Stage::Look,
            Plan::Empty { .. } => Stage::Accept { seen: 0 },
        };
        Self {
            plan,
            stage,
            limit: now + options.limit,
            grace: now + options.handshake_grace.min(options.limit),
            quiet_rounds: 0,
            turn: 0,
            waited: false,
            looks: 0,
            handshakes: 0,
            accepted: 0,
            limit_hit: false,
        }
    }

    pub(crate) fn next(&mut self, now: Instant) -> Action {
        if let Stage::Pause { until, then_look } = self.stage
            && now >= until
        {
            self.stage = if then_look { Stage::Look } else { Stage::Accept { seen: 0 } };
        }
        match self.stage {
            Stage::Look => Action::Look,
            Stage::Accept { .. } => Action::Accept,
            Stage::Pause { until, .. } => Action::Wait(until),
            Stage::Done => Action::Close,
        }
    }

    /// A look found `handshakes` under way.
    pub(crate) fn looked(&mut self, handshakes: usize) {
        self.looks += 1;
        self.handshakes = self.handshakes.max(handshakes);
        self.stage = Stage::Accept { seen: handshakes };
    }

    /// No look is to be had, now or any more: the handshakes get their grace instead.
    pub(crate) fn blind(&mut self) {
        self.waited = true;
        self.stage = Stage::Accept { seen: 0 };
    }

    /// One was accepted.
    pub(crate) fn accepted(&mut self) {
        self.accepted += 1;
        if let Plan::Empty { at_most } = self.plan
            && self.accepted >= at_most
        {
            self.limit_hit = true;
            self.stage = Stage::Done;
        }
    }

    /// Nobody is in the queue.
    pub(crate) fn emptied(&mut self, now: Instant) {
        let Stage::Accept { seen } = self.stage else { return };
        if self.waited {
            if now >= self.grace {
                self.stage = Stage::Done;
            } else {
                self.pause(now, self.grace, false);
            }
            return;
        }
        self.quiet_rounds = if seen == 0 { self.quiet_rounds + 1 } else { 0 };
        if self.quiet_rounds >= QUIET_ROUNDS {
            self.stage = Stage::Done;
        } else if now >= self.limit {
            self.end_by_limit();
        } else {
            let until = if seen == 0 { now + SETTLE } else { self.limit };
            self.pause(now, until, self.plan == Plan::Look);
        }
    }

    /// There are no descriptors to accept with; the clients stay in the queue meanwhile.
    pub(crate) fn exhausted(&mut self, now: Instant) {
        self.quiet_rounds = 0;
        if now >= self.limit {
            self.end_by_limit();
        } else {
            self.pause(now, self.limit, self.plan == Plan::Look && !self.waited);
        }
    }

    /// accept(2) failed for good.
    pub(crate) fn failed(&mut self) {
        self.stage = Stage::Done;
    }

    pub(crate) fn method(&self) -> Method {
        match self.plan {
            Plan::Look if self.waited => Method::Waited,
            Plan::Look => Method::Looked,
            Plan::Empty { .. } => Method::Emptied,
        }
    }

    fn end_by_limit(&mut self) {
        self.limit_hit = true;
        self.stage = Stage::Done;
    }

    /// Pauses of 1, 2, 4, 8, 10, 10 ... ms, not beyond `latest`.
    fn pause(&mut self, now: Instant, latest: Instant, then_look: bool) {
        let pause = (SETTLE * (1 << self.turn.min(4))).min(LONGEST_PAUSE);
        self.turn += 1;
        self.stage = Stage::Pause { until: latest.min(now + pause), then_look };
    }
}

#[cfg(test)]
#[path = "procedure_tests.rs"]
mod tests;
