//! Work by name, while it is in flight.
//!
//! 1. A slot is taken after its work was counted in, and freed before it is counted out: nothing is ever named that
//!    is not counted.
//! 2. An abort handle is put in under the slot's lock, and whoever puts it in looks for the cut afterwards; whoever
//!    cuts sets the notice first and takes the locks afterwards. So no task escapes both.

#[cfg(feature = "tokio")]
use super::guard::Handover;
use crate::machine::Time;
use crate::site::Site;
use slab::Slab;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
#[cfg(feature = "tokio")]
use tokio::task::AbortHandle;

/// A piece of work that is in flight, as held-up notices name it, or was left behind, as the report does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LiveWork {
    /// What it is.
    pub name: String,
    /// What sort of work: `task`, `blocking`, `thread`, `job`, `child process`, or what
    /// [`Scope::track`](crate::Scope::track) was told.
    pub kind: &'static str,
    /// How long it has been in flight.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::report::seconds"))]
    pub age: Duration,
    /// Where it was spawned, or pushed.
    pub site: Site,
}

/// What a piece of work is called; text is made of it only when somebody asks.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    Text(Cow<'static, str>),
    Numbered { of: Arc<str>, number: u64 },
}

/// How to end a piece of work from outside.
#[cfg(feature = "tokio")]
pub(crate) enum Abort {
    Task(AbortHandle),
    /// A blocking job that may not have begun: tokio would drop an aborted one only when a thread is free.
    Waiting(Arc<Handover>),
}

/// One named piece of work.
pub(crate) struct Entry {
    pub(crate) name: Name,
    pub(crate) kind: &'static str,
    pub(crate) since: Time,
    pub(crate) site: Site,
    #[cfg(feature = "tokio")]
    abort: Option<Abort>,
    sequence: u64,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    slot: usize,
    /// Slots are used again; this tells one use from the next.
    sequence: u64,
}

impl Key {
    const NOWHERE: Self = Self { slot: usize::MAX, sequence: u64::MAX };
}

/// The named work of one shard of a scope.
#[derive(Default)]
pub(crate) struct Registry(Mutex<(Slab<Entry>, u64)>);

impl Registry {
    /// In a forked child the work may go without its name, as in [`remove`](Self::remove).
    pub(crate) fn insert(
        &self,
        name: Name,
        kind: &'static str,
        since: Time,
        site: Site,
        is_forked: impl FnOnce() -> bool,
    ) -> Key {
        let Some(mut slots) = self.slots_unless(is_forked) else { return Key::NOWHERE };
        let (entries, next) = &mut *slots;
        let sequence = *next;
        *next += 1;
        let slot = entries.insert(Entry {
            name,
            kind,
            since,
            site,
            #[cfg(feature = "tokio")]
            abort: None,
            sequence,
        });
        Key { slot, sequence }
    }

    /// A forked child may have been left a lock that is held by a thread it does not have; to ask whether we are one
    /// takes a system call, so only if the lock is held.
    pub(crate) fn remove(&self, key: Key, is_forked: impl FnOnce() -> bool) -> Option<Entry> {
        let mut slots = self.slots_unless(is_forked)?;
        let (entries, _) = &mut *slots;
        entries.get(key.slot).filter(|entry| entry.sequence == key.sequence)?;
        entries.try_remove(key.slot)
    }

    /// What was waiting has begun, or the like.
    pub(crate) fn becomes(&self, key: Key, kind: &'static str) {
        let (entries, _) = &mut *self.slots();
        if let Some(entry) = entries.get_mut(key.slot).filter(|entry| entry.sequence == key.sequence) {
            entry.kind = kind;
        }
    }

    /// How to end it from outside. Look for the cut after this (invariant 2).
    #[cfg(feature = "tokio")]
    pub(crate) fn abort_by(&self, key: Key, abort: Abort) {
        let (entries, _) = &mut *self.slots();
        if let Some(entry) = entries.get_mut(key.slot).filter(|entry| entry.sequence == key.sequence) {
            entry.abort = Some(abort);
        }
    }

    /// Ends whatever can be ended from outside, without holding a lock: to end work may drop it at once.
    #[cfg(feature = "tokio")]
    pub(crate) fn abort_all(&self) {
        let aborts: Vec<_> = self.slots().0.iter_mut().filter_map(|(_, entry)| entry.abort.take()).collect();
        for abort in aborts {
            match abort {
                Abort::Task(task) => task.abort(),
                // Its thread, once it has one, finds nothing to do.
                Abort::Waiting(guard) => drop(guard.take()),
            }
        }
    }

    fn slots_unless(&self, is_forked: impl FnOnce() -> bool) -> Option<MutexGuard<'_, (Slab<Entry>, u64)>> {
        match self.0.try_lock() {
            Ok(slots) => Some(slots),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if is_forked() => None,
            Err(TryLockError::WouldBlock) => Some(self.slots()),
        }
    }

    fn slots(&self) -> MutexGuard<'_, (Slab<Entry>, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `most` oldest pieces of work among all these, oldest first.
pub(crate) fn oldest<'a>(
    registries: impl Iterator<Item = &'a Registry>,
    now: Time,
    most: usize,
) -> Vec<LiveWork> {
    let slots: Vec<_> = registries.map(Registry::slots).collect();
    let mut live: Vec<&Entry> =
        slots.iter().flat_map(|slots| slots.0.iter().map(|(_, entry)| entry)).collect();
    let age = |entry: &&Entry| (entry.since, entry.sequence);
    if most < live.len() {
        live.select_nth_unstable_by_key(most, age);
        live.truncate(most);
    }
    live.sort_by_key(age);
    let live = live.into_iter();
    live.map(|entry| LiveWork {
        name: entry.name.to_string(),
        kind: entry.kind,
        age: now.since(entry.since),
        site: entry.site,
    })
    .collect()
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Numbered { of, number } => write!(f, "{of} #{number}"),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Name, Registry, Time, oldest};
    use crate::site::Site;
    use std::time::Duration;

    fn insert(registry: &Registry, name: &'static str, since: u64) -> Key {
        let since = Time(Duration::from_secs(since));
        registry.insert(Name::Text(name.into()), "task", since, Site::here(), || false)
    }

    #[test]
    fn a_key_means_one_use_of_its_slot() {
        let registry = Registry::default();
        let gone = insert(&registry, "gone", 0);
        assert_eq!(registry.remove(gone, || false).unwrap().name.to_string(), "gone");
        let key = insert(&registry, "here", 0);
        assert_eq!(gone.slot, key.slot, "used again");
        registry.becomes(gone, "job");
        assert!(registry.remove(gone, || false).is_none());
        let entry = registry.remove(key, || false).unwrap();
        assert_eq!((entry.name.to_string().as_str(), entry.kind), ("here", "task"));
    }

    #[test]
    fn a_forked_child_does_not_wait_for_a_lock_that_nobody_will_release() {
        let registry = Registry::default();
        let key = insert(&registry, "a parent's", 0);
        let held = registry.slots();
        assert!(registry.remove(key, || true).is_none());
        let nameless = Name::Text("a child's".into());
        let nowhere = registry.insert(nameless, "task", Time::default(), Site::here(), || true);
        drop(held);
        assert!(registry.remove(nowhere, || true).is_none());
        assert!(registry.remove(key, || true).is_some(), "it only looks where it would wait");
    }

    #[test]
    fn the_oldest_come_first_whatever_their_shard_and_equals_in_their_order() {
        let registries = [Registry::default(), Registry::default()];
        insert(&registries[0], "third", 2);
        insert(&registries[0], "fourth", 2);
        insert(&registries[0], "last", 9);
        insert(&registries[1], "second", 1);
        insert(&registries[1], "first", 0);
        // The slots of those that have gone are used again, in no order.
        let gone = [insert(&registries[0], "gone", 0), insert(&registries[0], "gone", 0)];
        gone.into_iter().for_each(|key| drop(registries[0].remove(key, || false)));
        insert(&registries[0], "fifth", 3);
        insert(&registries[0], "sixth", 3);
        let live = oldest(registries.iter(), Time(Duration::from_secs(10)), 6);
        let named: Vec<_> = live.iter().map(|work| (work.name.as_str(), work.age.as_secs())).collect();
        let expected =
            [("first", 10), ("second", 9), ("third", 8), ("fourth", 8), ("fifth", 7), ("sixth", 7)];
        assert_eq!(named, expected);
    }
}
