use crate::observe::{Class, Observation, Subject, classify};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A request counts as begun with the signal within this time of it, before or after.
pub(crate) const AT_THE_SIGNAL: Duration = Duration::from_millis(10);

/// Every request of a round, counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) counts: BTreeMap<(Class, Subject), Count>,
    /// The first of each class but `ok`.
    pub(crate) examples: BTreeMap<(Class, Subject), Observation>,
    /// How the peers of long streams saw them end.
    pub(crate) farewells: BTreeMap<&'static str, u64>,
    begun: Vec<Instant>,
    /// Requests begun before the signal and not the first of a client's first connection.
    pub(crate) later: u64,
    /// Those of them that reused a connection.
    pub(crate) reused: u64,
    /// Requests begun before the signal and not over at it.
    pub(crate) in_flight: u64,
    /// The client's own shortages: how often, and the first in words.
    pub(crate) own_trouble: Option<(u64, String)>,
}

/// Requests of a class, and those of them whose outcome was known before the signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) all: u64,
    pub(crate) before: u64,
}

impl Ledger {
    /// Enters one request. `opening`: it is the first of its client's first connection, which no
    /// server can have kept alive. `signal` is when it was sent, if it was.
    pub(crate) fn record(&mut self, seen: Observation, opening: bool, signal: Option<Instant>) {
        let class = classify(&seen);
        let before = signal.is_none_or(|signal| seen.ended < signal);
        let count = self.counts.entry((class, seen.subject)).or_default();
        count.all += 1;
        count.before += u64::from(before);

        let begun_before = signal.is_none_or(|signal| seen.begun < signal);
        if begun_before && !opening {
            self.later += 1;
            self.reused += u64::from(seen.answered_before > 0);
        }
        self.in_flight += u64::from(begun_before && !before);
        if signal.is_none_or(|signal| seen.begun <= signal + AT_THE_SIGNAL) {
            self.begun.push(seen.begun);
        }
        if class != Class::Ok {
            self.examples.entry((class, seen.subject)).or_insert(seen);
        }
    }

    pub(crate) fn own_trouble(&mut self, error: &std::io::Error) {
        self.own_trouble.get_or_insert_with(|| (0, error.to_string())).0 += 1;
    }

    /// Requests begun within 10 ms of the signal.
    pub(crate) fn begun_at(&self, signal: Instant) -> usize {
        let near = |begun: &&Instant| {
            begun.saturating_duration_since(signal).max(signal.saturating_duration_since(**begun))
                <= AT_THE_SIGNAL
        };
        self.begun.iter().filter(near).count()
    }

    pub(crate) fn count(&self, class: Class) -> Count {
        let mut sum = Count::default();
        for ((_, _), count) in self.counts.iter().filter(|((of, _), _)| *of == class) {
            sum.all += count.all;
            sum.before += count.before;
        }
        sum
    }

    /// A long stream has ended so.
    pub(crate) fn farewell(&mut self, words: &'static str) {
        *self.farewells.entry(words).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Answer;

    #[test]
    fn requests_are_placed_relative_to_the_signal() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let signal = at(100);
        let mut ledger = Ledger::default();
        ledger.record(Observation::answered(at(0), at(1), 0), true, None);
        ledger.record(Observation::answered(at(2), at(3), 1), false, None);
        ledger.record(Observation::answered(at(4), at(5), 0), false, None);
        ledger.record(Observation::answered(at(89), at(99), 2), false, Some(signal));
        ledger.record(Observation::answered(at(91), at(101), 3), false, Some(signal));
        ledger.record(Observation::answered(at(109), at(110), 3), false, Some(signal));
        ledger.record(Observation::answered(at(111), at(112), 3), false, Some(signal));
        assert_eq!((ledger.later, ledger.reused), (4, 3));
        assert_eq!(ledger.begun_at(signal), 2);
        assert_eq!(ledger.in_flight, 1);
        assert_eq!(ledger.count(Class::Ok), Count { all: 7, before: 4 });
    }

    #[test]
    fn the_first_of_each_loss_is_kept() {
        let now = Instant::now();
        let lost = |status| Observation {
            answer: Answer::Whole { status, says_close: false },
            ..Observation::answered(now, now, 1)
        };
        let mut ledger = Ledger::default();
        ledger.record(lost(500), false, None);
        ledger.record(lost(503), false, None);
        ledger.record(lost(200), false, None);
        assert_eq!(ledger.examples.len(), 1);
        assert_eq!(ledger.examples[&(Class::ErrorStatus, Subject::Request)].answer, lost(500).answer);
    }
}
