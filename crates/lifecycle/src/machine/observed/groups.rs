//! What an observer knows of groups that close before the stop, and what must hold of them.

use super::{Observed, State};
use crate::machine::deadline::{LATE, PASS};
use crate::machine::{ComponentId, GroupId, Input, Notice, Phase, ScopeId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Groups {
    /// The group around each.
    around: BTreeMap<GroupId, GroupId>,
    /// Those of busy scopes.
    scopes: BTreeMap<ScopeId, GroupId>,
    /// When its work is cut, and when it is over.
    closing: BTreeMap<GroupId, (Time, Time)>,
    over: BTreeSet<GroupId>,
}

impl Groups {
    /// The groups around it, and itself, from within.
    fn path(&self, group: GroupId) -> Vec<GroupId> {
        std::iter::successors(Some(group), |group| self.around.get(group).copied()).collect()
    }

    fn is_within(&self, group: GroupId, around: GroupId) -> bool {
        self.path(group).contains(&around)
    }

    pub(super) fn is_open(&self, group: GroupId) -> bool {
        !self.path(group).iter().any(|group| self.closing.contains_key(group) || self.over.contains(group))
    }

    pub(super) fn is_closing(&self) -> bool {
        !self.closing.is_empty()
    }
}

impl Observed {
    pub(super) fn observe_group(&mut self, input: Input) {
        match input {
            Input::GroupOpened { group, parent } if self.groups.is_open(parent) => {
                _ = self.groups.around.insert(group, parent);
            }
            Input::BusyIn { scope, group } => _ = self.groups.scopes.insert(scope, group),
            Input::Idle(scope) => _ = self.groups.scopes.remove(&scope),
            Input::CloseGroup { group, within } if self.may_close(group) => {
                let reserve = (within / 5).min(Duration::from_secs(5));
                let deadlines = (self.now.after(within - reserve), self.now.after(within));
                self.groups.closing.insert(group, deadlines);
            }
            _ => {}
        }
    }

    /// The root closes with the program.
    fn may_close(&self, group: GroupId) -> bool {
        group != GroupId::ROOT && self.phase < Phase::Closing && self.groups.is_open(group)
    }

    /// Whether a close before the stop has told the scope.
    pub(super) fn is_told_by_group(&self, scope: ScopeId) -> bool {
        self.groups.scopes.get(&scope).is_some_and(|group| !self.groups.is_open(*group))
    }

    /// Whether a close before the stop may cut the scope now: at its drain deadline, or one that comes too late.
    pub(super) fn may_be_cut_by_group(&self, scope: ScopeId, before: &Self) -> bool {
        let Some(group) = self.groups.scopes.get(&scope) else { return false };
        let due = self.deadlines_around(*group).any(|(drain, _)| {
            let asked = || before.machine.wake_at().is_some_and(|at| at > drain && at <= self.now);
            self.now >= drain && (self.now <= drain.after(LATE) || asked())
        });
        due || (!before.busy.contains_key(&scope) && self.is_told_by_group(scope))
    }

    /// Whether the drain deadline of a close before the stop is over for it.
    pub(super) fn is_drained_by_group(&self, id: ComponentId) -> bool {
        self.deadlines_of(id).any(|(drain, _)| self.now >= drain)
    }

    /// Whether the time of a close before the stop is over for it.
    pub(super) fn is_out_of_time(&self, id: ComponentId) -> bool {
        self.deadlines_of(id).any(|(_, hard)| self.now >= hard)
    }

    /// L4: closed before the stop, after the work of its group, in the order of its group.
    pub(super) fn check_closed_by_group(&self, id: ComponentId, until: Time) {
        let group =
            self.components.get(&id).and_then(|component| component.group).expect("exit work has no group");
        let path = self.groups.path(group);
        let closing = path.iter().find(|group| self.groups.closing.contains_key(group));
        let closing = *closing.expect("L5: closed in Closing, or with its group");
        for (scope, notice) in &self.busy {
            let group = self.groups.scopes.get(scope).copied().unwrap_or(GroupId::ROOT);
            let within = self.groups.is_within(group, closing);
            assert!(!within || *notice == Notice::Cut, "L5: {scope:?} runs, and {id:?} closes");
        }
        for (other, component) in self.components.iter().filter(|(other, _)| **other != id) {
            let within = component.group.is_some_and(|group| self.groups.is_within(group, closing));
            let closes = matches!(component.state, State::Starting(_) | State::Closing(_));
            assert!(!within || !closes, "L4: one after the other, and {other:?} is not over");
            let open = component.state == State::Started;
            assert!(!within || !open || !self.closes_before(*other, id), "L4: {other:?} is still open");
        }
        let hard = self.deadlines_of(id).map(|(_, hard)| hard).max().unwrap_or_default();
        assert!(until <= hard.max(self.now.after(PASS)), "L4: inside what is left");
    }

    pub(super) fn check_groups(&mut self) {
        let over: Vec<_> =
            self.groups.closing.keys().copied().filter(|group| self.machine.is_over(*group)).collect();
        for group in over {
            for (id, component) in &self.components {
                let within = component.group.is_some_and(|inner| self.groups.is_within(inner, group));
                assert!(!within || component.state == State::Over, "L4: {id:?} is left of {group:?}");
            }
            self.groups.closing.remove(&group);
            self.groups.over.insert(group);
        }
        for (group, (_, hard)) in &self.groups.closing {
            let begins = self.machine.is_open(*group) && self.phase < Phase::Closing;
            assert!(!begins, "L4: something may begin in {group:?}");
            let left = self.now < hard.after(PASS) || self.machine.wake_at().is_some();
            assert!(left || self.phase >= Phase::Closing, "L4: {group:?} is closed late");
        }
        for (scope, group) in &self.groups.scopes {
            let notice = self.busy.get(scope).copied();
            let told = self.groups.is_open(*group) || notice.is_none_or(|notice| notice >= Notice::Told);
            assert!(told, "L4: {scope:?} of {group:?} is not told");
        }
    }

    /// Ticks alone close every group that is to close, in time; or the stop takes over.
    pub(super) fn check_groups_end(&self) {
        let Some(latest) = self.groups.closing.values().map(|(_, hard)| *hard).max() else { return };
        let latest = latest.max(self.now).after(PASS * 3);
        let mut end = self.clone();
        while end.groups.is_closing() && end.phase < Phase::LameDuck {
            let at = end.machine.wake_at().expect("a group is to close, and nobody looks at the clock");
            end.step(at.since(end.now), Input::Tick);
        }
        assert!(end.requested.is_some() || end.now <= latest, "L4: the time of a group has passed");
    }

    fn deadlines_of(&self, id: ComponentId) -> impl Iterator<Item = (Time, Time)> {
        let group = self.components.get(&id).and_then(|component| component.group);
        group.into_iter().flat_map(|group| self.deadlines_around(group))
    }

    fn deadlines_around(&self, group: GroupId) -> impl Iterator<Item = (Time, Time)> {
        self.groups.path(group).into_iter().filter_map(|group| self.groups.closing.get(&group).copied())
    }
}
