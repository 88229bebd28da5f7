//! Where live shields are counted while no stop is requested: slots that any thread may take, without a lock.
//!
//! 1. Whoever takes or renews a shield publishes it first and looks for a stop afterwards; whoever requests a stop
//!    sets the phase first and reads the slots afterwards. So no shield is missed by both: either it sees the stop,
//!    or it is seen. Both need the one order of all `SeqCst` accesses.
//! 2. A slot carries a generation, which tells one use from the next: an end that is reported late never ends the
//!    next shield in its slot.
//! 3. The renewal by a safe point may look first and publish afterwards: what a stop may miss is one renewal, by a
//!    thread that is at its safe point anyway.
//! 4. When a shield was taken is written right after its slot is, with the same generation: whoever reads it in
//!    between finds another one, and knows that the shield is new.
//! 5. A name is put down under a lock before its holder looks for a stop, and looked up after the phase is set:
//!    whichever takes the lock last knows of the other.

use super::sites;
use crate::clock::Clock;
use crate::core::Core;
use crate::counts::PhaseCell;
use crate::loom::{AtomicU64, Ordering};
use crate::machine::{Phase, ShieldId, Time};
use crate::site::Site;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering as Plain};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Duration;

/// As many as for work, for the same reason.
const SHARDS: usize = crate::counts::SHARDS;

/// Beyond these, a shield costs a lock.
const SLOTS: usize = 32;

/// All live shields of a lifecycle.
#[derive(Debug)]
pub(crate) struct Shards {
    shards: [Arc<Shard>; SHARDS],
}

#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    slots: [Slot; SLOTS],
    more: Mutex<More>,
    names: Mutex<HashMap<ShieldId, Cow<'static, str>>>,
    phase: Arc<PhaseCell>,
    clock: Arc<Clock>,
    core: Weak<Core>,
}

/// Shields for which there was no slot.
#[derive(Debug, Default)]
struct More {
    next: u32,
    slots: BTreeMap<u32, Arc<Slot>>,
}

/// A live shield's place.
pub(super) struct Held {
    shard: Arc<Shard>,
    place: Place,
    id: ShieldId,
    /// What the slot says beside the time.
    tag: Tag,
    named: bool,
}

/// A shield that is live when the stop is requested.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: ShieldId,
    /// When its budget ends.
    pub(crate) until: Time,
    /// When it was taken.
    pub(crate) since: Time,
    pub(crate) site: Option<Site>,
    pub(crate) name: Option<Cow<'static, str>>,
}

enum Place {
    Slot(usize),
    More(u32, Arc<Slot>),
}

impl Shards {
    pub(crate) fn new(phase: &Arc<PhaseCell>, clock: &Arc<Clock>, core: &Weak<Core>) -> Self {
        let shard = || Shard {
            slots: std::array::from_fn(|_| Slot::new()),
            more: Mutex::default(),
            names: Mutex::default(),
            phase: Arc::clone(phase),
            clock: Arc::clone(clock),
            core: Weak::clone(core),
        };
        Self { shards: std::array::from_fn(|_| Arc::new(shard())) }
    }

    /// Publishes a shield. Look for a stop after this, not before.
    #[inline]
    pub(super) fn hold(&self, budget: u64, site: Site) -> Held {
        let number = shard_of_this_thread();
        // The number is in range, so the first one is never taken instead.
        let shard = self.shards.get(number).unwrap_or(&self.shards[0]);
        let is_forked = || shard.core.upgrade().is_none_or(|core| core.is_forked());
        let (now, site) = (shard.clock.coarse_millis(), sites::number(site, is_forked));
        let until = until(now, budget);
        for (index, slot) in shard.slots.iter().enumerate() {
            if let Some(tag) = slot.take(site, now, until) {
                let id = shield_id(number, index, tag);
                return Held { shard: Arc::clone(shard), place: Place::Slot(index), id, tag, named: false };
            }
        }
        shard.hold_more(number, site, now, until)
    }

    /// Those that are live now.
    pub(crate) fn live(&self) -> Vec<Live> {
        let mut live = Vec::new();
        let time = |millis| Time(Duration::from_millis(millis));
        for (number, shard) in self.shards.iter().enumerate() {
            let (more, names) = (lock(&shard.more), lock(&shard.names));
            let slots = shard.slots.iter().enumerate();
            let more = more.slots.iter().map(|(key, slot)| (SLOTS + *key as usize, &**slot));
            for (index, slot) in slots.chain(more) {
                if let Some((tag, until)) = slot.read() {
                    let id = shield_id(number, index, tag);
                    live.push(Live {
                        id,
                        until: time(until),
                        since: slot.since(tag).map_or_else(|| shard.clock.now(), time),
                        site: sites::site(tag.site()),
                        name: names.get(&id).cloned(),
                    });
                }
            }
        }
        live
    }
}

impl Shard {
    /// Rounded up, and so never zero, which is free.
    #[inline]
    fn until(&self, budget: u64) -> u64 {
        until(self.clock.coarse_millis(), budget)
    }

    fn hold_more(self: &Arc<Self>, number: usize, site: u64, now: u64, until: u64) -> Held {
        let slot = Arc::new(Slot::new());
        let tag = slot.take(site, now, until).unwrap_or(Tag(0));
        let mut key = u32::MAX;
        // In a forked child the lock may be held by a thread that is not there; nobody counts there anyway (L17).
        if self.core.upgrade().is_some_and(|core| !core.is_forked()) {
            let mut more = lock(&self.more);
            key = more.next;
            more.next = more.next.wrapping_add(1);
            more.slots.insert(key, Arc::clone(&slot));
        }
        let id = shield_id(number, SLOTS.saturating_add(key as usize), tag);
        Held { shard: Arc::clone(self), place: Place::More(key, slot), id, tag, named: false }
    }
}

impl Held {
    #[inline]
    pub(super) fn phase(&self) -> Phase {
        self.shard.phase.load()
    }

    pub(super) fn id(&self) -> ShieldId {
        self.id
    }

    /// `None` once every handle of the lifecycle is dropped.
    pub(super) fn core(&self) -> Option<Arc<Core>> {
        self.shard.core.upgrade()
    }

    /// Look for a stop after this, not before.
    pub(super) fn name(&mut self, name: Cow<'static, str>) {
        let id = self.id;
        self.named |= self.names().is_some_and(|mut names| {
            names.insert(id, name);
            true
        });
    }

    /// Not in a forked child, if a thread held the lock that is not there.
    fn names(&self) -> Option<MutexGuard<'_, HashMap<ShieldId, Cow<'static, str>>>> {
        match self.shard.names.try_lock() {
            Ok(names) => Some(names),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            // Asked here alone, since it is a system call.
            Err(TryLockError::WouldBlock) if self.core().is_some_and(|core| core.is_forked()) => None,
            Err(TryLockError::WouldBlock) => Some(lock(&self.shard.names)),
        }
    }

    /// A new budget, by a safe point (invariant 3).
    #[inline]
    pub(super) fn touch(&self, budget: u64) {
        let until = self.shard.until(budget);
        self.slot().store(self.tag, until, Ordering::Relaxed);
    }

    /// A new budget. Look for a stop after this, not before.
    pub(super) fn renew(&self, budget: u64) {
        let until = self.shard.until(budget);
        self.slot().store(self.tag, until, Ordering::SeqCst);
    }

    #[inline]
    fn slot(&self) -> &Slot {
        match &self.place {
            // The index is in range, so the first one is never taken instead.
            Place::Slot(index) => self.shard.slots.get(*index).unwrap_or(&self.shard.slots[0]),
            Place::More(_, slot) => slot,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.slot().free(self.tag);
        if self.named
            && let Some(mut names) = self.names()
        {
            let name = names.remove(&self.id);
            drop(names);
            drop(name);
        }
        if let Place::More(key, _) = &self.place
            && *key != u32::MAX
            && self.core().is_none_or(|core| !core.is_forked())
        {
            lock(&self.shard.more).slots.remove(key);
        }
        if self.phase() >= Phase::LameDuck
            && let Some(core) = self.core()
        {
            core.shield_ended(self.id);
        }
    }
}

/// From the top: 14 bits of generation, 12 of site, 38 of the time when the budget ends, in milliseconds (8 years).
/// A time of zero: free.
#[derive(Debug)]
struct Slot {
    now: AtomicU64,
    /// The same, with the time when it was taken instead.
    since: AtomicU64,
}

/// Everything but the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag(u64);

const TIME_BITS: u32 = 38;
const TIME: u64 = (1 << TIME_BITS) - 1;
const GENERATION_SHIFT: u32 = TIME_BITS + sites::BITS;

impl Slot {
    fn new() -> Self {
        Self { now: AtomicU64::new(0), since: AtomicU64::new(0) }
    }

    /// `None` if it is taken.
    #[inline]
    fn take(&self, site: u64, now: u64, until: u64) -> Option<Tag> {
        let before = self.now.load(Ordering::Relaxed);
        if before & TIME != 0 {
            return None;
        }
        let generation = (before >> GENERATION_SHIFT) + 1;
        // The highest bit is shifted out: generations come round.
        let tag = Tag((generation << GENERATION_SHIFT) | (site << TIME_BITS));
        self.now.compare_exchange(before, tag.0 | until, Ordering::SeqCst, Ordering::Relaxed).ok()?;
        self.since.store(tag.0 | now & TIME, Ordering::Relaxed);
        Some(tag)
    }

    #[inline]
    fn store(&self, tag: Tag, until: u64, order: Ordering) {
        self.now.store(tag.0 | until, order);
    }

    /// Look for a stop after this, not before.
    #[inline]
    fn free(&self, tag: Tag) {
        self.now.store(tag.0, Ordering::SeqCst);
    }

    /// Read after the phase is set, not before.
    fn read(&self) -> Option<(Tag, u64)> {
        let now = self.now.load(Ordering::SeqCst);
        (now & TIME != 0).then_some((Tag(now & !TIME), now & TIME))
    }

    /// When the shield with this tag was taken; `None` if it has hardly been (invariant 4), or is gone.
    fn since(&self, tag: Tag) -> Option<u64> {
        let since = self.since.load(Ordering::Relaxed);
        (since & !TIME == tag.0).then_some(since & TIME)
    }
}

impl Tag {
    fn site(self) -> u64 {
        (self.0 >> TIME_BITS) & sites::LAST
    }
}

#[inline]
fn until(now: u64, budget: u64) -> u64 {
    now.saturating_add(budget).saturating_add(1).min(TIME)
}

/// Rounded up: no budget is shorter than it was asked for.
#[inline]
pub(super) fn millis(budget: Duration) -> u64 {
    let part = u64::from(budget.subsec_nanos().div_ceil(1_000_000));
    budget.as_secs().saturating_mul(1_000).saturating_add(part)
}

fn shield_id(shard: usize, index: usize, tag: Tag) -> ShieldId {
    ShieldId(((shard as u64) << 56) | ((index as u64) << 14) | (tag.0 >> GENERATION_SHIFT))
}

#[inline]
fn shard_of_this_thread() -> usize {
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = SHARD.try_with(|shard| {
        if shard.get() == usize::MAX {
            shard.set(NEXT.fetch_add(1, Plain::Relaxed) % SHARDS);
        }
        shard.get()
    });
    number.unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, exeunt_loom))]
mod loom_tests {
    use super::{Slot, TIME};
    use crate::counts::PhaseCell;
    use crate::loom::model;
    use crate::machine::Phase;
    use std::sync::Arc;

    fn shared() -> (Arc<Slot>, Arc<PhaseCell>) {
        (Arc::new(Slot::new()), Arc::new(PhaseCell::new()))
    }

    #[test]
    fn loom_a_shield_sees_the_stop_or_is_seen() {
        model(|| {
            let (slot, phase) = shared();
            let taker = {
                let (slot, phase) = (Arc::clone(&slot), Arc::clone(&phase));
                loom::thread::spawn(move || {
                    slot.take(1, 5, 9).unwrap();
                    phase.load() == Phase::Starting
                })
            };
            phase.set(Phase::LameDuck);
            let seen = slot.read().is_some();
            let granted = taker.join().unwrap();
            assert!(seen || !granted, "granted, and not waited for");
        });
    }

    #[test]
    fn loom_a_renewal_sees_the_stop_or_is_seen() {
        model(|| {
            let (slot, phase) = shared();
            let tag = slot.take(1, 5, 9).unwrap();
            let holder = {
                let (slot, phase) = (Arc::clone(&slot), Arc::clone(&phase));
                loom::thread::spawn(move || {
                    slot.store(tag, 99, crate::loom::Ordering::SeqCst);
                    phase.load() == Phase::Starting
                })
            };
            phase.set(Phase::LameDuck);
            let until = slot.read().unwrap().1;
            let unaware = holder.join().unwrap();
            assert!(until == 99 || !unaware, "renewed, and the old budget counts");
        });
    }

    #[test]
    fn loom_an_end_sees_the_stop_or_is_seen() {
        model(|| {
            let (slot, phase) = shared();
            let tag = slot.take(1, 5, 9).unwrap();
            let holder = {
                let (slot, phase) = (Arc::clone(&slot), Arc::clone(&phase));
                loom::thread::spawn(move || {
                    slot.free(tag);
                    phase.load() == Phase::Starting
                })
            };
            phase.set(Phase::LameDuck);
            let live = slot.read().is_some();
            let silent = holder.join().unwrap();
            assert!(!live || !silent, "ended without a word, and waited for");
        });
    }

    #[test]
    fn loom_nobody_is_told_the_age_of_another_use() {
        model(|| {
            let (slot, _) = shared();
            let first = slot.take(1, 3, 9).unwrap();
            slot.free(first);
            let taker = {
                let slot = Arc::clone(&slot);
                loom::thread::spawn(move || slot.take(1, 5, 9).unwrap())
            };
            if let Some((tag, _)) = slot.read() {
                assert!(matches!(slot.since(tag), None | Some(5)));
            }
            let tag = taker.join().unwrap();
            assert_eq!(slot.since(tag), Some(5));
        });
    }

    #[test]
    fn loom_one_slot_is_taken_by_one() {
        model(|| {
            let (slot, _) = shared();
            let other = {
                let slot = Arc::clone(&slot);
                loom::thread::spawn(move || slot.take(2, 5, 9))
            };
            let mine = slot.take(1, 5, 9);
            let theirs = other.join().unwrap();
            assert!(mine.is_none() || theirs.is_none(), "two in one slot");
            let (tag, until) = slot.read().unwrap();
            assert_eq!((Some(tag), until & TIME), (mine.or(theirs), 9));
        });
    }
}

#[cfg(all(test, not(exeunt_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_tells_one_use_from_the_next() {
        let slot = Slot::new();
        let first = slot.take(7, 5, 100).unwrap();
        assert_eq!((first.site(), slot.take(7, 5, 100)), (7, None));
        slot.store(first, 200, Ordering::Relaxed);
        assert_eq!(slot.read(), Some((first, 200)));
        slot.free(first);
        assert_eq!(slot.read(), None);
        let second = slot.take(7, 5, 100).unwrap();
        assert_ne!(shield_id(1, 2, first), shield_id(1, 2, second));
    }

    #[test]
    fn a_slot_knows_since_when_and_tells_it_of_no_other_use() {
        let slot = Slot::new();
        let first = slot.take(7, 40, 100).unwrap();
        slot.store(first, 200, Ordering::Relaxed);
        assert_eq!(slot.since(first), Some(40));
        slot.free(first);
        let second = slot.take(7, 0, 100).unwrap();
        assert_eq!((slot.since(first), slot.since(second)), (None, Some(0)));
    }

    #[test]
    fn generations_come_round() {
        let slot = Slot::new();
        let first = slot.take(3, 5, 1).unwrap();
        slot.free(first);
        for _ in 0..(1 << 14) - 1 {
            let tag = slot.take(3, 5, 1).unwrap();
            assert_ne!(tag, first);
            assert_eq!(tag.site(), 3);
            slot.free(tag);
        }
        assert_eq!(slot.take(3, 5, 1), Some(first));
    }

    #[test]
    fn budgets_are_rounded_up_and_never_look_free() {
        assert_eq!([0, 1, 999_999, 1_000_000].map(|nanos| millis(Duration::from_nanos(nanos))), [0, 1, 1, 1]);
        assert_eq!((until(0, 0), until(7, 3)), (1, 11));
        assert_eq!(until(u64::MAX, millis(Duration::MAX)), TIME);
    }
}
