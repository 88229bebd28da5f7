//! How long to wait before a child that died is replaced.

use std::time::Duration;

/// 100 ms after the first death, twice as long after each that follows soon, 30 s at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    next: Duration,
    in_a_row: u32,
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// One that lived that long had started well: its death is a first one again.
const WELL: Duration = Duration::from_secs(10);

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST, in_a_row: 0 }
    }
}

impl Backoff {
    /// It has died after it had `lived`: how long to wait.
    pub(super) fn died(&mut self, lived: Duration) -> Duration {
        if lived >= WELL {
            *self = Self::default();
        }
        let wait = self.next;
        self.next = (2 * self.next).min(LONGEST);
        self.in_a_row = self.in_a_row.saturating_add(1);
        wait
    }

    /// How many have died soon, one after the other.
    pub(super) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn c8_the_wait_doubles_and_a_good_life_ends_that() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..11).map(|_| backoff.died(Duration::from_secs(9)).as_millis()).collect();
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
        assert_eq!((waits, backoff.in_a_row()), (expected.to_vec(), 11));
        assert_eq!((backoff.died(Duration::from_secs(10)).as_millis(), backoff.in_a_row()), (100, 1));
        assert_eq!((backoff.died(Duration::ZERO).as_millis(), backoff.in_a_row()), (200, 2));
    }
}
