//! Counting work in and out, from many threads, for a few nanoseconds (L5).
//!
//! 1. Whoever begins work publishes it first and looks for a stop afterwards; whoever requests a stop sets the flag
//!    first and counts afterwards. So no work is missed by both: either it sees the stop, or it is counted.
//! 2. Whoever ends work counts it out first and looks for the seal afterwards; whoever seals sets the seal first
//!    and counts afterwards. So the last one out is always noticed, by at least one of them.
//!
//! Both need the one order of all `SeqCst` accesses: with acquire and release alone, each side may look before the
//! other's write has reached it.

use crate::loom::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use crate::machine::Phase;

/// The phase, for whoever only looks.
#[derive(Debug)]
pub(crate) struct PhaseCell(AtomicU8);

impl PhaseCell {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(Phase::Starting as u8))
    }

    /// One load. Work that was begun before is counted by every stop that is not seen here.
    pub(crate) fn load(&self) -> Phase {
        Phase::from_index(self.0.load(Ordering::SeqCst))
    }

    /// Count after this, not before.
    pub(crate) fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::SeqCst);
    }
}

/// Enough for the cores of most machines; two threads that share a shard are slower, not wrong.
pub(crate) const SHARDS: usize = 16;

/// One of the places where work is counted, on cache lines of its own (two, since lines are fetched in pairs).
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    begun: AtomicU64,
    ended: AtomicU64,
    /// No more work begins here.
    sealed: AtomicBool,
}

impl Shard {
    pub(crate) fn new() -> Self {
        Self { begun: AtomicU64::new(0), ended: AtomicU64::new(0), sealed: AtomicBool::new(false) }
    }

    /// Work begins. Look for a stop after this, not before.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// Work that began here ends. True: the shard is sealed, and this may have been the last of all. While there is
    /// more here, it was not, and whoever ends that looks.
    pub(crate) fn end(&self) -> bool {
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.sealed.load(Ordering::SeqCst) && self.totals().in_flight() == 0
    }

    pub(crate) fn seal(&self) {
        self.sealed.store(true, Ordering::SeqCst);
    }

    /// What was counted. Ended is read first, so that work in between seems to be in flight, never the reverse.
    pub(crate) fn totals(&self) -> Totals {
        let ended = self.ended.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        Totals { begun, ended }
    }
}

/// How much work has begun and ended so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) begun: u64,
    pub(crate) ended: u64,
}

impl Totals {
    pub(crate) fn in_flight(self) -> u64 {
        self.begun.saturating_sub(self.ended)
    }
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(shards: I) -> Self {
        shards.fold(Self::default(), |sum, shard| Self {
            begun: sum.begun + shard.begun,
            ended: sum.ended + shard.ended,
        })
    }
}

#[cfg(all(test, exeunt_loom))]
mod loom_tests {
    use super::{PhaseCell, Shard, Totals};
    use crate::loom::{AtomicBool, Ordering, model};
    use crate::machine::Phase;
    use std::sync::Arc;

    #[test]
    fn loom_work_sees_the_stop_or_is_counted() {
        model(|| {
            let shards = Arc::new([Shard::new(), Shard::new()]);
            let phase = Arc::new(PhaseCell::new());
            let worker = {
                let (shards, phase) = (Arc::clone(&shards), Arc::clone(&phase));
                loom::thread::spawn(move || {
                    shards[1].begin();
                    phase.load() == Phase::Starting
                })
            };
            phase.set(Phase::LameDuck);
            let counted = shards.iter().map(Shard::totals).sum::<Totals>().in_flight();
            let missed_the_stop = worker.join().unwrap();
            assert!(counted == 1 || !missed_the_stop, "neither side saw the other");
        });
    }

    #[test]
    fn loom_the_last_one_out_is_noticed() {
        model(|| {
            let shards = Arc::new([Shard::new(), Shard::new()]);
            let noticed = Arc::new(AtomicBool::new(false));
            let idle =
                |shards: &[Shard; 2]| shards.iter().map(Shard::totals).sum::<Totals>().in_flight() == 0;
            shards.iter().for_each(Shard::begin);
            let workers = [0, 1].map(|index: usize| {
                let (shards, noticed) = (Arc::clone(&shards), Arc::clone(&noticed));
                loom::thread::spawn(move || {
                    if shards[index].end() && idle(&shards) {
                        noticed.store(true, Ordering::Relaxed);
                    }
                })
            });
            shards.iter().for_each(Shard::seal);
            let mut seen = idle(&shards);
            for worker in workers {
                worker.join().unwrap();
            }
            seen |= noticed.load(Ordering::Relaxed);
            assert!(seen, "all work has ended, and nobody noticed");
        });
    }
}
