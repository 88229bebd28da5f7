//! Random moments: spread, not secrecy, is what they are for.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(std::process::id()))
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Somewhere from zero to `most`, to the microsecond.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(self.number() % (micros + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_spread_over_the_whole_span() {
        let mut random = Random(1);
        let most = Duration::from_millis(8);
        let mut buckets = [0_u32; 8];
        for _ in 0..8_000 {
            let moment = random.up_to(most);
            assert!(moment <= most);
            buckets[(moment.as_micros() / 1_000).min(7) as usize] += 1;
        }
        assert!(buckets.iter().all(|count| (800..1_200).contains(count)), "{buckets:?}");
        assert_eq!(random.up_to(Duration::ZERO), Duration::ZERO);
    }
}
