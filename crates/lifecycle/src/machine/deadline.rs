//! What the grace period comes to (L2).

use super::phase::Time;
use std::time::Duration;

/// A deadline that is noticed later than this was missed by the whole process: stopped, throttled, suspended.
pub(crate) const LATE: Duration = Duration::from_millis(100);

/// How long ready work may then use up what has piled up, before the deadline takes effect.
pub(crate) const PASS: Duration = Duration::from_millis(100);

/// The time limits of a stop, all counted from the stop request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    pub(crate) grace: Duration,
    pub(crate) lame_duck: Duration,
    pub(crate) max_attempts: u32,
}

impl Limits {
    /// How much of the grace is kept for closing: 20 %, but no more than 5 s.
    pub(crate) fn close_reserve(&self) -> Duration {
        (self.grace / 5).min(Duration::from_secs(5))
    }

    /// From the stop request until what is in flight is cut.
    pub(crate) fn drain(&self) -> Duration {
        self.grace - self.close_reserve()
    }
}

/// The stop request's time and the deadlines that follow from it. Nothing restarts this clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Clock {
    pub(crate) requested: Time,
    pub(crate) lame_duck: Time,
    pub(crate) drain: Deadline,
    pub(crate) hard: Deadline,
}

impl Clock {
    /// Load balancers send nothing to whom they never saw ready, so `was_ready` alone makes a lame duck.
    pub(crate) fn start(limits: &Limits, requested: Time, was_ready: bool) -> Self {
        let lame_duck = if was_ready { limits.lame_duck.min(limits.drain()) } else { Duration::ZERO };
        Self {
            requested,
            lame_duck: requested.after(lame_duck),
            drain: Deadline::new(requested.after(limits.drain())),
            hard: Deadline::new(requested.after(limits.grace)),
        }
    }
}

/// A point in time that gives one more pass over ready work when it is noticed too late.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Deadline {
    pub(crate) at: Time,
    pass_until: Option<Time>,
}

impl Deadline {
    fn new(at: Time) -> Self {
        Self { at, pass_until: None }
    }

    /// Whether it takes effect now. Grants the pass, once, to whoever asks too late.
    pub(crate) fn is_due(&mut self, now: Time) -> bool {
        if self.pass_until.is_none() && now > self.at.after(LATE) {
            self.pass_until = Some(now.after(PASS));
        }
        now >= self.takes_effect()
    }

    /// When to ask [`is_due`](Self::is_due) next.
    pub(crate) fn takes_effect(&self) -> Time {
        self.pass_until.unwrap_or(self.at)
    }
}
