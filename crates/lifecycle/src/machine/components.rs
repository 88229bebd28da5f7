//! Components: what has started and is to be closed, in which order (L3, L4).

use super::deadline::Deadline;
use super::phase::Time;
use super::vocabulary::{ComponentId, GroupId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Components that are starting, started or closing. What is over is gone from here, so that nothing closes twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Components {
    /// The group around each group; the first, the root, has none.
    groups: BTreeMap<GroupId, GroupId>,
    entries: BTreeMap<ComponentId, Component>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Component {
    order: Order,
    state: State,
    /// How long closing may take; `None`: a share of what is left.
    close: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Starting(Deadline),
    Started,
}

/// The greatest closes first. The path of groups from the root, then the component: a number of a group is greater
/// than the 0 that stands before a component, so what is in a group within closes before what is beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Order {
    Component(Vec<usize>),
    /// In reverse order of registration, before everything else (L8).
    AtExit(ComponentId),
}

impl Order {
    /// Everything is, if that is no group.
    fn is_within(&self, group: Option<GroupId>) -> bool {
        match (self, group) {
            (_, None) | (Self::Component(_), Some(GroupId::ROOT)) => true,
            // The path ends with a 0, which is no group within the root, and the component.
            (Self::Component(path), Some(group)) => {
                path.iter().take_while(|one| **one != 0).any(|one| *one == group.0)
            }
            (Self::AtExit(_), Some(_)) => false,
        }
    }
}

impl Components {
    pub(crate) fn open_group(&mut self, group: GroupId, parent: GroupId) {
        if group != GroupId::ROOT && parent < group && self.has_group(parent) {
            self.groups.entry(group).or_insert(parent);
        }
    }

    pub(crate) fn starting(&mut self, id: ComponentId, group: GroupId, until: Time, close: Option<Duration>) {
        let order = Order::Component(self.path(id, group));
        let state = State::Starting(Deadline::new(until));
        self.entries.entry(id).or_insert(Component { order, state, close });
    }

    pub(crate) fn at_exit(&mut self, id: ComponentId, close: Option<Duration>) {
        let entry = Component { order: Order::AtExit(id), state: State::Started, close };
        self.entries.entry(id).or_insert(entry);
    }

    pub(crate) fn has_group(&self, group: GroupId) -> bool {
        group == GroupId::ROOT || self.groups.contains_key(&group)
    }

    /// Whether the group is that one, or somewhere in it.
    pub(crate) fn is_within(&self, group: GroupId, around: GroupId) -> bool {
        let mut group = group;
        while group != around {
            // Each parent is older than its child, so this ends.
            let Some(parent) = self.groups.get(&group) else { return false };
            group = *parent;
        }
        true
    }

    pub(crate) fn groups_within(&self, group: GroupId) -> BTreeSet<GroupId> {
        let groups = self.groups.keys().copied().filter(|one| self.is_within(*one, group));
        groups.chain([group]).collect()
    }

    /// The group is closed, and those within.
    pub(crate) fn forget_group(&mut self, group: GroupId) {
        let within = self.groups_within(group);
        self.groups.retain(|one, _| !within.contains(one));
    }

    /// The start is over. Nothing, if it had been given up.
    pub(crate) fn started(&mut self, id: ComponentId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.state = State::Started;
        }
    }

    /// Whether there was anything to remove.
    pub(crate) fn remove(&mut self, id: ComponentId) -> bool {
        self.entries.remove(&id).is_some()
    }

    pub(crate) fn is_starting(&self, id: ComponentId) -> bool {
        self.entries.get(&id).is_some_and(|entry| matches!(entry.state, State::Starting(_)))
    }

    pub(crate) fn contains(&self, id: ComponentId) -> bool {
        self.entries.contains_key(&id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those that start, of a group or of all.
    pub(crate) fn starting_now(&self, within: Option<GroupId>) -> Vec<ComponentId> {
        let entries = self.entries.iter().filter(|(_, entry)| entry.order.is_within(within));
        entries.map(|(id, _)| *id).filter(|id| self.is_starting(*id)).collect()
    }

    /// Starts whose time is over.
    pub(crate) fn due(&mut self, now: Time) -> Vec<ComponentId> {
        let due = self.entries.iter_mut().filter_map(|(id, entry)| match &mut entry.state {
            State::Starting(until) => until.is_due(now).then_some(*id),
            State::Started => None,
        });
        due.collect()
    }

    /// When to look for [`due`](Self::due) ones next.
    pub(crate) fn next_due(&self) -> Option<Time> {
        let starting = self.entries.values().filter_map(|entry| match &entry.state {
            State::Starting(until) => Some(until.takes_effect()),
            State::Started => None,
        });
        starting.min()
    }

    /// Which closes next of a group or of all, how long it may take, and whether it is the last.
    pub(crate) fn next_to_close(
        &self,
        within: Option<GroupId>,
    ) -> Option<(ComponentId, Option<Duration>, bool)> {
        let mut entries: Vec<_> =
            self.entries.iter().filter(|(_, entry)| entry.order.is_within(within)).collect();
        entries.sort_by(|(_, one), (_, other)| one.order.cmp(&other.order));
        let (id, entry) = entries.pop()?;
        Some((*id, entry.close, entries.is_empty()))
    }

    pub(crate) fn is_exit_work(&self, id: ComponentId) -> bool {
        self.entries.get(&id).is_some_and(|entry| matches!(entry.order, Order::AtExit(_)))
    }

    /// Those of a group or all, in the order in which they would close.
    pub(crate) fn in_order(&self, within: Option<GroupId>) -> Vec<ComponentId> {
        let mut entries: Vec<_> =
            self.entries.iter().filter(|(_, entry)| entry.order.is_within(within)).collect();
        entries.sort_by(|(_, one), (_, other)| other.order.cmp(&one.order));
        entries.into_iter().map(|(id, _)| *id).collect()
    }

    fn path(&self, id: ComponentId, group: GroupId) -> Vec<usize> {
        let mut path = vec![id.0, 0];
        let mut group = group;
        // Each parent is older than its child, so this ends.
        while let Some(parent) = self.groups.get(&group) {
            path.push(group.0);
            group = *parent;
        }
        path.reverse();
        path
    }
}
