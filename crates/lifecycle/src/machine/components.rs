//! Components: what has started and is to be closed, in which order (L3, L4).

use super::deadline::Deadline;
use super::phase::Time;
use super::vocabulary::{ComponentId, GroupId};
use std::collections::btree_map::{Entry, Range};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Components that are starting, started or closing. What is over is gone from here, so that nothing closes twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Components {
    /// The group around each group; the first, the root, has none.
    groups: BTreeMap<GroupId, GroupId>,
    entries: BTreeMap<ComponentId, Component>,
    /// All of them again: programs may have many, and each input asks for some.
    order: BTreeMap<Order, ComponentId>,
    starting: BTreeSet<ComponentId>,
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

impl Components {
    pub(crate) fn open_group(&mut self, group: GroupId, parent: GroupId) {
        if group != GroupId::ROOT && parent < group && self.has_group(parent) {
            self.groups.entry(group).or_insert(parent);
        }
    }

    pub(crate) fn starting(&mut self, id: ComponentId, group: GroupId, until: Time, close: Option<Duration>) {
        let mut path = self.path(group);
        // No group has the number 0 there.
        path.extend([0, id.0]);
        self.add(
            id,
            Component { order: Order::Component(path), state: State::Starting(Deadline::new(until)), close },
        );
    }

    pub(crate) fn at_exit(&mut self, id: ComponentId, close: Option<Duration>) {
        self.add(id, Component { order: Order::AtExit(id), state: State::Started, close });
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
            self.starting.remove(&id);
        }
    }

    /// Whether there was anything to remove.
    pub(crate) fn remove(&mut self, id: ComponentId) -> bool {
        let Some(entry) = self.entries.remove(&id) else { return false };
        self.order.remove(&entry.order);
        self.starting.remove(&id);
        true
    }

    pub(crate) fn is_starting(&self, id: ComponentId) -> bool {
        self.starting.contains(&id)
    }

    pub(crate) fn contains(&self, id: ComponentId) -> bool {
        self.entries.contains_key(&id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those that start, of a group or of all.
    pub(crate) fn starting_now(&self, within: Option<GroupId>) -> Vec<ComponentId> {
        let Some(group) = within else { return self.starting.iter().copied().collect() };
        let members: BTreeSet<_> = self.members(Some(group)).map(|(_, id)| *id).collect();
        members.intersection(&self.starting).copied().collect()
    }

    pub(crate) fn is_any_starting(&self) -> bool {
        !self.starting.is_empty()
    }

    /// Starts whose time is over.
    pub(crate) fn due(&mut self, now: Time) -> Vec<ComponentId> {
        let (starting, entries) = (&self.starting, &mut self.entries);
        let due = starting.iter().filter(|id| match entries.get_mut(id).map(|entry| &mut entry.state) {
            Some(State::Starting(until)) => until.is_due(now),
            Some(State::Started) | None => false,
        });
        due.copied().collect()
    }

    /// When to look for [`due`](Self::due) ones next.
    pub(crate) fn next_due(&self) -> Option<Time> {
        let starting = self.starting.iter().filter_map(|id| self.entries.get(id));
        let starting = starting.filter_map(|entry| match &entry.state {
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
        let mut members = self.members(within).rev();
        let (_, id) = members.next()?;
        Some((*id, self.entries.get(id)?.close, members.next().is_none()))
    }

    /// Whether nothing of a group, or of all, is left.
    pub(crate) fn is_over(&self, within: Option<GroupId>) -> bool {
        self.members(within).next().is_none()
    }

    pub(crate) fn is_exit_work(&self, id: ComponentId) -> bool {
        self.entries.get(&id).is_some_and(|entry| matches!(entry.order, Order::AtExit(_)))
    }

    /// Those of a group or all, in the order in which they would close.
    pub(crate) fn in_order(&self, within: Option<GroupId>) -> Vec<ComponentId> {
        self.members(within).rev().map(|(_, id)| *id).collect()
    }

    fn add(&mut self, id: ComponentId, component: Component) {
        if let Entry::Vacant(vacant) = self.entries.entry(id) {
            self.order.insert(component.order.clone(), id);
            if matches!(component.state, State::Starting(_)) {
                self.starting.insert(id);
            }
            vacant.insert(component);
        }
    }

    /// Those of a group, or all: what closes last comes first.
    fn members(&self, within: Option<GroupId>) -> Range<'_, Order, ComponentId> {
        let nothing = Order::AtExit(ComponentId(0));
        let Some(group) = within else { return self.order.range(..) };
        if !self.has_group(group) {
            return self.order.range(&nothing..&nothing);
        }
        let first = self.path(group);
        // What is within has the group's path before its own.
        let mut behind = first.clone();
        let behind = match behind.last_mut() {
            Some(last) => {
                *last = last.saturating_add(1);
                Order::Component(behind)
            }
            None => nothing,
        };
        self.order.range(Order::Component(first)..behind)
    }

    /// The groups from the root, which is not there itself, to this one.
    fn path(&self, group: GroupId) -> Vec<usize> {
        let mut path = Vec::new();
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
