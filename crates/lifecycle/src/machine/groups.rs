//! Groups that close before the stop does (L4): their work is told, and cut at a deadline of theirs; then their
//! components close. Once the stop closes, it takes over what is left of them.

use super::Machine;
use super::closing::{Closing, Step};
use super::components::Components;
use super::deadline::{Deadline, close_reserve};
use super::phase::{Phase, Time};
use super::vocabulary::{ComponentId, Effect, GroupId, Late, Notice, ScopeId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Groups that are being closed, and the work that they wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Groups {
    closing: BTreeMap<GroupId, Early>,
    /// The groups of busy scopes; those of the root are not here.
    scopes: BTreeMap<ScopeId, GroupId>,
}

/// How far a group is on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Early {
    drain: Deadline,
    hard: Deadline,
    /// Its work is done, or cut.
    closing: Option<Closing>,
}

impl Groups {
    pub(super) fn begin(&mut self, scope: ScopeId, group: GroupId) {
        if group != GroupId::ROOT {
            self.scopes.insert(scope, group);
        }
    }

    pub(super) fn idle(&mut self, scope: ScopeId) {
        self.scopes.remove(&scope);
    }

    /// A close is over. False: none of ours was being closed.
    pub(super) fn closed(&mut self, id: ComponentId, components: &mut Components) -> bool {
        self.closing
            .values_mut()
            .filter_map(|early| early.closing.as_mut())
            .any(|closing| closing.closed(id, components))
    }

    /// What work of the group is told, because the group closes, or one around it.
    pub(super) fn notice(&self, group: GroupId, components: &Components) -> Notice {
        if !components.has_group(group) {
            return Notice::Cut;
        }
        let around = self.closing.iter().filter(|(around, _)| components.is_within(group, **around));
        around
            .map(|(_, early)| if early.closing.is_some() { Notice::Cut } else { Notice::Told })
            .max()
            .unwrap_or(Notice::None)
    }

    /// When something is due next.
    pub(super) fn next_due(&self, busy: &BTreeMap<ScopeId, Notice>, components: &Components) -> Option<Time> {
        let due = self.closing.iter().map(|(group, early)| match &early.closing {
            None => early.drain.takes_effect(),
            Some(closing) => {
                let busy = busy.keys().any(|scope| self.has(*group, *scope, components));
                closing.next_due(&early.hard, busy && !components.is_over(Some(*group)))
            }
        });
        due.min()
    }

    /// Lets go of the groups within this one, or of all, and answers what is being closed in them.
    pub(super) fn dissolve(
        &mut self,
        within: Option<GroupId>,
        components: &Components,
    ) -> BTreeMap<ComponentId, Deadline> {
        let goes = |group: GroupId| {
            within.is_none_or(|around| group != around && components.is_within(group, around))
        };
        let mut under_way = BTreeMap::new();
        self.closing.retain(|group, early| {
            if !goes(*group) {
                return true;
            }
            under_way.extend(early.closing.take().into_iter().flat_map(Closing::into_under_way));
            false
        });
        under_way
    }

    fn has(&self, group: GroupId, scope: ScopeId, components: &Components) -> bool {
        self.scopes.get(&scope).is_some_and(|inner| components.is_within(*inner, group))
    }
}

impl Machine {
    /// Whether the group is closed, as far as the lifecycle has time for it.
    pub(crate) fn is_over(&self, group: GroupId) -> bool {
        match self.phase {
            Phase::Stopped => true,
            Phase::Closing => self.components.is_over(Some(group)),
            _ => !self.components.has_group(group),
        }
    }

    /// The components of the group, and of those within, that are not over.
    pub(crate) fn members(&self, group: GroupId) -> Vec<ComponentId> {
        self.components.in_order(Some(group))
    }

    /// The group, and those within.
    pub(crate) fn groups_within(&self, group: GroupId) -> BTreeSet<GroupId> {
        self.components.groups_within(group)
    }

    /// Whether something may begin in it.
    pub(crate) fn is_open(&self, group: GroupId) -> bool {
        self.groups.notice(group, &self.components) == Notice::None
    }

    pub(super) fn close_group(
        &mut self,
        now: Time,
        group: GroupId,
        within: Duration,
        effects: &mut Vec<Effect>,
    ) {
        // In `Closing` it closes in its turn; the root closes with the program.
        if group == GroupId::ROOT || self.phase >= Phase::Closing || !self.is_open(group) {
            return;
        }
        let drain = Deadline::new(now.after(within - close_reserve(within)));
        let early = Early { drain, hard: Deadline::new(now.after(within)), closing: None };
        self.groups.closing.insert(group, early);
        self.notify_within(group, Notice::Told, effects);
    }

    /// Moves on each group that closes as far as it goes; those within before those around them.
    pub(super) fn close_groups(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let groups: Vec<GroupId> = self.groups.closing.keys().rev().copied().collect();
        for group in groups {
            while self.step_group(group, now, effects) {}
        }
    }

    /// One step; false if there is something to wait for, or nothing more.
    fn step_group(&mut self, group: GroupId, now: Time, effects: &mut Vec<Effect>) -> bool {
        let busy = self.busy.keys().any(|scope| self.groups.has(group, *scope, &self.components));
        let starting = self.components.starting_now(Some(group));
        let Some(early) = self.groups.closing.get_mut(&group) else { return false };
        let Some(closing) = &mut early.closing else {
            let over = early.drain.is_due(now);
            let begins = over || (!busy && starting.is_empty());
            if begins {
                self.begin_to_close(group, now, &starting, effects);
            }
            return begins;
        };
        match closing.step(now, &mut early.hard, busy, &mut self.components, effects) {
            Step::Wait => false,
            Step::Begun => true,
            Step::Late => {
                self.failed = true;
                true
            }
            // Work that is left is waited for by the stop, and may be done by then.
            Step::Over { skipped } => {
                self.work_cut |= skipped;
                self.groups.closing.remove(&group);
                self.components.forget_group(group);
                false
            }
        }
    }

    /// Whatever may hold it up is over.
    fn begin_to_close(
        &mut self,
        group: GroupId,
        now: Time,
        starting: &[ComponentId],
        effects: &mut Vec<Effect>,
    ) {
        self.notify_within(group, Notice::Cut, effects);
        for component in starting {
            self.components.remove(*component);
            self.failed = true;
            effects.push(Effect::CancelStart(*component, Late::Group));
        }
        let under_way = self.groups.dissolve(Some(group), &self.components);
        if let Some(early) = self.groups.closing.get_mut(&group) {
            let mut closing = Closing::of(group);
            closing.begin(now, early.hard.takes_effect(), under_way);
            early.closing = Some(closing);
        }
    }

    fn notify_within(&mut self, group: GroupId, due: Notice, effects: &mut Vec<Effect>) {
        let effect = if due == Notice::Cut { Effect::Cut } else { Effect::Tell };
        for (scope, notice) in &mut self.busy {
            if *notice < due && self.groups.has(group, *scope, &self.components) {
                *notice = due;
                effects.push(effect(*scope));
            }
        }
    }
}
