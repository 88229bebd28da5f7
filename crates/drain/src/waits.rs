//! How long those who take part in a request may keep each other waiting, as a pure state machine (rule D9).

use std::time::{Duration, Instant};

/// Between the first look at a wait that has lasted too long and the second. Deadlines come late where the process was
/// stopped or the machine suspended; then what is awaited may lie ready, and gets one turn of the loop (rule L2).
const SECOND_LOOK: Duration = Duration::from_millis(10);

/// What is awaited, and from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// The head of the response, from the program.
    Answer,
    /// More of a request's body, from the peer, by the program.
    Body,
    /// That the peer takes what is written to it.
    Write,
}

/// The waits of one request, or of one connection, each with its own end.
///
/// Told when a wait begins and ends, it says when it must be looked at ([`wake_at`](Self::wake_at)), and then, which has
/// lasted too long ([`tick`](Self::tick)). It costs no timer while nobody waits, and none to move: whoever watches may
/// tick it too early.
///
/// ```
/// use exeunt_drain::{Wait, Waits};
/// use std::time::{Duration, Instant};
///
/// let now = Instant::now();
/// let mut waits = Waits::default();
/// waits.begin(Wait::Body, now, Duration::from_secs(30));
/// let end = waits.wake_at().expect("somebody waits");
/// assert_eq!(end, now + Duration::from_secs(30));
/// assert_eq!(waits.tick(end), None); // what is awaited may have come just now
/// let end = waits.wake_at().expect("and then it has not");
/// assert_eq!(waits.tick(end), Some(Wait::Body));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Waits {
    answer: Clock,
    body: Clock,
    write: Clock,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Clock {
    /// `None`: nobody waits, or for ever.
    until: Option<Instant>,
    /// It has run out once, and its second look is due then.
    looked: bool,
}

impl Waits {
    /// A wait begins, and may last so long. One that had begun begins anew.
    pub fn begin(&mut self, wait: Wait, now: Instant, limit: Duration) {
        // A limit past the end of time is none.
        *self.clock(wait) = Clock { until: now.checked_add(limit), looked: false };
    }

    /// What was awaited has come, or is not awaited any more.
    pub fn end(&mut self, wait: Wait) {
        *self.clock(wait) = Clock::default();
    }

    /// A wait may last so much longer, if anybody waits.
    pub fn extend(&mut self, wait: Wait, by: Duration) {
        let clock = self.clock(wait);
        clock.until = clock.until.and_then(|until| until.checked_add(by));
    }

    /// When to call [`tick`](Self::tick). `None`: nobody waits.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        [&self.answer, &self.body, &self.write].into_iter().filter_map(|clock| clock.until).min()
    }

    /// The time is [`wake_at`](Self::wake_at) or later; sooner does no harm. Answers a wait that has lasted too long, which
    /// is over then; if there are several, each in a call of its own.
    pub fn tick(&mut self, now: Instant) -> Option<Wait> {
        [Wait::Write, Wait::Body, Wait::Answer].into_iter().find(|wait| self.clock(*wait).tick(now))
    }

    fn clock(&mut self, wait: Wait) -> &mut Clock {
        match wait {
            Wait::Answer => &mut self.answer,
            Wait::Body => &mut self.body,
            Wait::Write => &mut self.write,
        }
    }
}

impl Clock {
    /// Whether it has run out, twice.
    fn tick(&mut self, now: Instant) -> bool {
        if self.until.is_none_or(|until| now < until) {
            return false;
        }
        let overdue = self.looked;
        *self = if overdue {
            Self::default()
        } else {
            Self { until: now.checked_add(SECOND_LOOK), looked: true }
        };
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Wait; 3] = [Wait::Answer, Wait::Body, Wait::Write];

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn each_wait_has_its_own_end() {
        let start = Instant::now();
        for wait in ALL {
            let mut waits = Waits::default();
            assert_eq!(waits.wake_at(), None);
            for (other, limit) in ALL.into_iter().zip(10..) {
                waits.begin(other, start, seconds(limit));
            }
            waits.begin(wait, start, seconds(1));
            let first = start + seconds(1);
            assert_eq!(waits.wake_at(), Some(first));
            assert_eq!(waits.tick(first - Duration::from_nanos(1)), None);
            assert_eq!(waits.tick(first), None, "a second look first");
            assert_eq!(waits.tick(first + SECOND_LOOK), Some(wait));
            assert!(waits.wake_at() >= Some(start + seconds(10)), "and then it is over");
        }
    }

    #[test]
    fn what_comes_between_the_looks_ends_the_wait() {
        let start = Instant::now();
        let mut waits = Waits::default();
        waits.begin(Wait::Body, start, seconds(1));
        assert_eq!(waits.tick(start + seconds(60)), None, "the process was stopped for a minute");
        waits.end(Wait::Body);
        assert_eq!(waits.tick(start + seconds(61)), None);
        waits.begin(Wait::Body, start + seconds(61), seconds(1));
        assert_eq!(waits.tick(start + seconds(62)), None, "a new wait has a second look of its own");
    }

    #[test]
    fn a_wait_can_be_extended_and_one_that_nobody_began_cannot() {
        let start = Instant::now();
        let mut waits = Waits::default();
        waits.extend(Wait::Answer, seconds(5));
        assert_eq!(waits.wake_at(), None);
        waits.begin(Wait::Answer, start, seconds(1));
        waits.extend(Wait::Answer, seconds(5));
        assert_eq!(waits.wake_at(), Some(start + seconds(6)));
        waits.extend(Wait::Answer, Duration::MAX);
        assert_eq!(waits.wake_at(), None, "for ever");
    }

    #[test]
    fn those_that_run_out_together_are_told_one_by_one() {
        let start = Instant::now();
        let mut waits = Waits::default();
        for wait in ALL {
            waits.begin(wait, start, seconds(1));
        }
        let late = start + seconds(2);
        assert_eq!(waits.tick(late), None);
        let mut told: Vec<_> = std::iter::from_fn(|| waits.tick(late + SECOND_LOOK)).collect();
        told.sort_by_key(|wait| format!("{wait:?}"));
        assert_eq!((told, waits.wake_at()), (ALL.to_vec(), None));
    }

    proptest! {
        /// However it is ticked, no wait ends before its limit, nor lasts longer than its second look.
        #[test]
        fn waits_end_in_time(limit in 0_u64..2000, ticks in prop::collection::vec(1_u64..500, 1..40)) {
            let start = Instant::now();
            let mut waits = Waits::default();
            waits.begin(Wait::Write, start, Duration::from_millis(limit));
            let mut now = start;
            for step in ticks {
                now += Duration::from_millis(step);
                if waits.tick(now).is_some() {
                    prop_assert!(now >= start + Duration::from_millis(limit));
                    prop_assert_eq!(waits.wake_at(), None);
                    return Ok(());
                }
            }
            // Whoever obeys `wake_at` is done in two.
            while let Some(at) = waits.wake_at() {
                now = now.max(at);
                prop_assert!(at <= now);
                waits.tick(now);
            }
        }
    }
}
