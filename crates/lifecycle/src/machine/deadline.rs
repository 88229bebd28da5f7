//! What the grace period comes to (L2), and how shields move it (L6).

use super::phase::Time;
use super::vocabulary::ShieldKind;
use std::time::Duration;

/// A deadline that is noticed later than this was missed by the whole process: stopped, throttled, suspended.
pub(crate) const LATE: Duration = Duration::from_millis(100);

/// How long ready work may then use up what has piled up, before the deadline takes effect.
pub(crate) const PASS: Duration = Duration::from_millis(100);

/// Who holds the stop up is told this long after the stop request, and then every [`HELD_UP_EACH`].
pub(crate) const HELD_UP: Duration = Duration::from_secs(5);

/// See [`HELD_UP`].
pub(crate) const HELD_UP_EACH: Duration = Duration::from_secs(10);

/// What a system that is about to end us leaves us: Windows kills 5 s after the event.
pub(crate) const LEFT_BY_SYSTEM: Duration = Duration::from_millis(4_500);

/// How long exit work has after a forced end (L9).
pub(crate) const EXIT_WORK: Duration = Duration::from_secs(1);

/// The time limits of a stop, all counted from the stop request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    pub(crate) grace: Duration,
    pub(crate) lame_duck: Duration,
    /// The lame duck is over when nothing has come for so long; zero: no sooner than its own end.
    pub(crate) lame_duck_quiet: Duration,
    pub(crate) max_attempts: u32,
    /// How far shields may move the deadlines.
    pub(crate) hard_limit: Duration,
}

impl Limits {
    /// How much of the grace is kept for closing.
    pub(crate) fn close_reserve(&self) -> Duration {
        close_reserve(self.grace)
    }

    /// From the stop request until what is in flight is cut.
    pub(crate) fn drain(&self) -> Duration {
        self.grace - self.close_reserve()
    }
}

/// How much of a time is kept for closing: 20 %, but no more than 5 s.
pub(super) fn close_reserve(time: Duration) -> Duration {
    (time / 5).min(Duration::from_secs(5))
}

/// The stop request's time and the deadlines that follow from it. Nothing restarts this clock; shields move the
/// deadlines to their end, and no further than the hard limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Clock {
    pub(crate) requested: Time,
    pub(crate) lame_duck: Time,
    quiet: Option<Quiet>,
    pub(crate) drain: Deadline,
    pub(crate) hard: Deadline,
    /// When to tell who holds the stop up.
    pub(crate) held_up: Time,
    limits: Limits,
    /// When the system said that it will end us.
    doomed: Option<Time>,
    /// When the last shield ended that had moved the deadlines.
    released: Option<Time>,
    /// The end that was announced last.
    announced: Time,
}

impl Clock {
    /// Load balancers send nothing to whom they never saw ready, so `was_ready` alone makes a lame duck.
    pub(crate) fn start(limits: &Limits, requested: Time, was_ready: bool) -> Self {
        let lame_duck = if was_ready { limits.lame_duck.min(limits.drain()) } else { Duration::ZERO };
        let hard = requested.after(limits.grace);
        let quiet = limits.lame_duck_quiet;
        Self {
            requested,
            lame_duck: requested.after(lame_duck),
            quiet: (!quiet.is_zero()).then(|| Quiet { until: requested.after(quiet), asked: false }),
            drain: Deadline::new(requested.after(limits.drain())),
            hard: Deadline::new(hard),
            held_up: requested.after(HELD_UP),
            limits: *limits,
            doomed: None,
            released: None,
            announced: hard,
        }
    }

    /// The system will end us, and has said so at that time. A lame duck is over then: whoever would look elsewhere
    /// has no time to.
    pub(crate) fn system_ends(&mut self, at: Time) {
        let at = self.doomed.map_or(at, |before| before.min(at));
        self.doomed = Some(at);
        self.lame_duck = self.lame_duck.min(at);
    }

    /// Whether to ask when the last request came, since the lame duck may be over; answered by
    /// [`last_arrival`](Self::last_arrival).
    pub(crate) fn asks_for_arrivals(&mut self, now: Time) -> bool {
        let due = self.quiet.as_mut().filter(|quiet| !quiet.asked && now >= quiet.until);
        due.map(|quiet| quiet.asked = true).is_some()
    }

    /// The last one came then: the lame duck is over, or is asked about again when it may be.
    pub(crate) fn last_arrival(&mut self, now: Time, at: Time) {
        let Some(quiet) = &mut self.quiet else { return };
        *quiet = Quiet { until: quiet.until.max(at.after(self.limits.lame_duck_quiet)), asked: false };
        if now >= quiet.until {
            self.lame_duck = self.lame_duck.min(now);
        }
    }

    /// When the lame duck is over, or may be.
    pub(crate) fn lame_duck_due(&self) -> Time {
        let asks = self.quiet.as_ref().filter(|quiet| !quiet.asked).map(|quiet| quiet.until);
        asks.map_or(self.lame_duck, |until| until.min(self.lame_duck))
    }

    /// The time that no shield may pass.
    pub(crate) fn limit(&self) -> Time {
        self.no_later(self.requested.after(self.limits.hard_limit.max(self.limits.grace)), Duration::ZERO)
    }

    /// When the system has ended us at the latest.
    pub(crate) fn last_moment(&self) -> Option<Time> {
        Some(self.doomed?.after(LEFT_BY_SYSTEM))
    }

    fn own_drain(&self) -> Time {
        let reserve = self.limits.close_reserve().min(LEFT_BY_SYSTEM / 5);
        self.no_later(self.requested.after(self.limits.drain()), reserve)
    }

    /// That time, or the reserve before the system's if that is sooner.
    fn no_later(&self, time: Time, reserve: Duration) -> Time {
        self.doomed.map_or(time, |said| time.min(said.after(LEFT_BY_SYSTEM - reserve)))
    }

    /// The latest end of a shield's budget: one that was taken before the stop may move the drain deadline.
    pub(crate) fn latest(&self, kind: ShieldKind) -> Time {
        match kind {
            ShieldKind::Standing => self.limit(),
            ShieldKind::Work => self.drain.at,
        }
    }

    /// A shield ended. If it had moved the drain deadline, the deadline is now: what waited behind it is cut, and
    /// the close reserve begins.
    pub(crate) fn release(&mut self, now: Time) {
        if now > self.own_drain() {
            self.released = Some(now);
        }
    }

    /// Moves both deadlines to the end of the last shield, and keeps the close reserve behind it as far as the hard
    /// limit lets it. Answers the new end if it is later than what was announced.
    pub(crate) fn shift(&mut self, shields_until: Option<Time>) -> Option<Time> {
        let moved = self.released.max(shields_until).unwrap_or_default();
        let drain = self.own_drain().max(self.no_later(moved, Duration::ZERO));
        let reserved = drain.after(self.limits.close_reserve()).min(self.limit());
        self.drain.set(drain);
        let own = self.no_later(self.requested.after(self.limits.grace), Duration::ZERO);
        self.hard.set(own.max(reserved));
        let extended = self.hard.at > self.announced;
        self.announced = self.announced.max(self.hard.at);
        extended.then_some(self.hard.at)
    }

    /// Whether it is time to tell who holds the stop up; moves on to the next time.
    pub(crate) fn is_held_up(&mut self, now: Time) -> bool {
        let due = now >= self.held_up;
        while now >= self.held_up {
            self.held_up = self.held_up.after(HELD_UP_EACH);
        }
        due
    }
}

/// How long a lame duck lasts after the last that came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Quiet {
    /// As far as is known.
    until: Time,
    /// The driver was asked whether more has come.
    asked: bool,
}

/// A point in time that gives one more pass over ready work when it is noticed too late.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Deadline {
    pub(crate) at: Time,
    pass_until: Option<Time>,
}

impl Deadline {
    pub(crate) fn new(at: Time) -> Self {
        Self { at, pass_until: None }
    }

    /// Another time is another deadline.
    pub(crate) fn set(&mut self, at: Time) {
        if at != self.at {
            *self = Self::new(at);
        }
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
