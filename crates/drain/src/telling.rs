//! When those who hold a stream are told of the drain (rule D6).

use std::time::{Duration, Instant};

/// What is kept of the drain for whoever is told last, at most: time to say goodbye, and to hear the peer's.
const RESERVE: Duration = Duration::from_secs(2);

/// When streams (of a WebSocket, of server-sent events, of a long poll) are told of the drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tell {
    /// When it begins: they have all of its time to say goodbye, and their clients go elsewhere at once.
    #[default]
    AtOnce,
    /// That long before the drain deadline: what may still end by itself has the time before it, and the stop takes as
    /// long as the grace lets it.
    BeforeDeadline(Duration),
}

/// When which stream is told: the moment of [`Tell`], and from there on over a window.
///
/// ```
/// use exeunt_drain::{Tell, Telling};
/// use std::time::{Duration, Instant};
///
/// let telling = Telling { tell: Tell::AtOnce, spread: Duration::from_secs(10) };
/// let begun = Instant::now();
/// let deadline = begun + Duration::from_secs(20);
/// let moments = (0..4).map(|number| (telling.moment(number, begun, deadline) - begun).as_secs());
/// assert_eq!(moments.collect::<Vec<_>>(), [0, 6, 2, 8]); // far from their neighbours, however many there are
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Telling {
    /// When the window begins.
    pub tell: Tell,
    /// How long it is, so that not everybody reconnects at the same moment; zero tells all at once.
    pub spread: Duration,
}

impl Telling {
    /// When the stream with this `number`, in the order of accept, is told in a drain that began at `begun`.
    ///
    /// Never before that, and never later than a reserve before `deadline` (2 s, or a quarter of the drain if that is
    /// less); a window that would pass it is shorter. Streams with numbers in a row are spread evenly over the window,
    /// wherever the row begins and however long it is, so that nobody needs to know who is still there.
    #[must_use]
    pub fn moment(&self, number: u64, begun: Instant, deadline: Instant) -> Instant {
        let drain = deadline.saturating_duration_since(begun);
        let latest = drain.saturating_sub(RESERVE.min(drain / 4));
        let first = match self.tell {
            Tell::AtOnce => Duration::ZERO,
            Tell::BeforeDeadline(before) => drain.saturating_sub(before).min(latest),
        };
        let window = self.spread.min(latest.saturating_sub(first));
        // No later than the deadline, which exists.
        begun + first + part(window, number)
    }
}

/// That number's part of the window: multiples of the golden ratio's fraction leave no gap much larger than another
/// (the three-distance theorem).
fn part(window: Duration, number: u64) -> Duration {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let share = u128::from(number.wrapping_mul(GOLDEN));
    // A window that is cut to a drain has 64 bits of nanoseconds, or is 584 years long.
    let window = window.as_nanos().min(u128::from(u64::MAX));
    Duration::from_nanos(((window * share) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn d6_streams_are_told_at_once_or_before_the_deadline() {
        let begun = Instant::now();
        // Tell, spread, the drain's length; the first and the last of many, in milliseconds.
        let table = [
            ("at once", Tell::AtOnce, 0, 20, (0, 0)),
            ("over a window", Tell::AtOnce, 10, 20, (0, 9_999)),
            ("a window beyond the reserve", Tell::AtOnce, 60, 20, (0, 17_999)),
            ("a short drain", Tell::AtOnce, 60, 4, (0, 2_999)),
            ("before the deadline", Tell::BeforeDeadline(seconds(5)), 0, 20, (15_000, 15_000)),
            ("before it, over a window", Tell::BeforeDeadline(seconds(5)), 10, 20, (15_000, 17_999)),
            ("longer before than the drain is", Tell::BeforeDeadline(seconds(60)), 0, 20, (0, 0)),
            ("in the reserve", Tell::BeforeDeadline(seconds(1)), 10, 20, (18_000, 18_000)),
            ("no time at all", Tell::BeforeDeadline(seconds(1)), 10, 0, (0, 0)),
        ];
        for (name, tell, spread, drain, expected) in table {
            let telling = Telling { tell, spread: seconds(spread) };
            let after = |number| telling.moment(number, begun, begun + seconds(drain)) - begun;
            let last = (0..10_000).map(after).max().unwrap();
            let found = (after(0).as_millis(), last.as_millis());
            // The last of ten thousand is within a ten thousandth of the window's end, or two.
            assert!(found.0 == expected.0 && found.1.abs_diff(expected.1) <= 4, "{name}: {found:?}");
        }
    }

    proptest! {
        /// Wherever the row of numbers begins: each tenth of the window gets a tenth of them, and five at most are amiss
        /// (twice the sequence's discrepancy, which grows with the logarithm of the count).
        #[test]
        fn d6_a_row_of_streams_is_spread_evenly(first in any::<u64>(), count in 10_u64..500) {
            let telling = Telling { tell: Tell::AtOnce, spread: seconds(10) };
            let begun = Instant::now();
            let mut tenths = [0_i64; 10];
            for number in (0..count).map(|number| first.wrapping_add(number)) {
                let after = telling.moment(number, begun, begun + seconds(20)) - begun;
                tenths[usize::try_from(after.as_secs()).unwrap()] += 1;
            }
            for tenth in tenths {
                prop_assert!((tenth * 10 - count as i64).abs() <= 55, "{tenths:?} of {count}");
            }
        }

        /// Within the drain, and out of the reserve, whatever was asked for.
        #[test]
        fn d6_nobody_is_told_too_late(
            number in any::<u64>(), before in prop::option::of(0_u64..100_000), spread in 0_u64..100_000, drain in 0_u64..100_000,
        ) {
            let tell = before.map_or(Tell::AtOnce, |before| Tell::BeforeDeadline(Duration::from_millis(before)));
            let telling = Telling { tell, spread: Duration::from_millis(spread) };
            let begun = Instant::now();
            let drain = Duration::from_millis(drain);
            let moment = telling.moment(number, begun, begun + drain);
            prop_assert!(moment >= begun && moment + RESERVE.min(drain / 4) <= begun + drain);
        }
    }
}
