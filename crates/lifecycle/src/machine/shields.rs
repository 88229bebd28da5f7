//! Shields that hold the stop off (L6-L8). Before a stop the machine knows of none: they are counted by atomics, and
//! looked at when the stop is requested.

use super::deadline::Deadline;
use super::phase::Time;
use super::vocabulary::{ShieldId, ShieldKind};
use std::collections::BTreeMap;

/// The live shields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Shields {
    live: BTreeMap<ShieldId, Shield>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shield {
    kind: ShieldKind,
    until: Deadline,
}

impl Shields {
    pub(crate) fn take(&mut self, id: ShieldId, kind: ShieldKind, until: Time) {
        self.live.entry(id).or_insert(Shield { kind, until: Deadline::new(until) });
    }

    /// A renewal may shorten the budget, too.
    pub(crate) fn renew(&mut self, id: ShieldId, until: Time) {
        if let Some(shield) = self.live.get_mut(&id) {
            shield.until.set(until);
        }
    }

    /// No budget lasts longer than that.
    pub(crate) fn limit(&mut self, until: Time) {
        self.live.values_mut().for_each(|shield| shield.until.set(shield.until.at.min(until)));
    }

    pub(crate) fn kind(&self, id: ShieldId) -> Option<ShieldKind> {
        self.live.get(&id).map(|shield| shield.kind)
    }

    pub(crate) fn end(&mut self, id: ShieldId) -> bool {
        self.live.remove(&id).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Takes out those whose budget has run out.
    pub(crate) fn take_due(&mut self, now: Time) -> Vec<ShieldId> {
        let due: Vec<_> =
            self.live.iter_mut().filter_map(|(id, shield)| shield.until.is_due(now).then_some(*id)).collect();
        self.live.retain(|id, _| !due.contains(id));
        due
    }

    pub(crate) fn take_all(&mut self) -> Vec<ShieldId> {
        std::mem::take(&mut self.live).into_keys().collect()
    }

    /// When to look for [`take_due`](Self::take_due) next.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.live.values().map(|shield| shield.until.takes_effect()).min()
    }

    /// When the last budget runs out.
    pub(crate) fn last_until(&self) -> Option<Time> {
        self.live.values().map(|shield| shield.until.at).max()
    }
}
