//! What an input changes for who sees inputs alone.

use super::{Component, Observed, State};
use crate::machine::deadline::LEFT_BY_SYSTEM;
use crate::machine::{Input, Notice, Phase, ShieldKind, Wish};

impl Observed {
    pub(super) fn observe_input(&mut self, input: Input, before: &Self) {
        if self.verdict.is_some() {
            return;
        }
        match input {
            Input::Signal { .. } => self.signals += 1,
            Input::Stop(Wish::Failure) | Input::WorkFailed => self.failed = true,
            Input::BodyEnded { well: false } if self.requested.is_none() => self.failed = true,
            Input::WorkCut(_) => self.work_cut = true,
            Input::Busy(scope) | Input::BusyIn { scope, .. } => {
                _ = self.busy.entry(scope).or_insert(Notice::None);
            }
            Input::Idle(scope) => _ = self.busy.remove(&scope),
            Input::Abandoned => self.work_cut |= !self.busy.is_empty(),
            Input::StartFailed(id) if self.is(id, |state| matches!(state, State::Starting(_))) => {
                self.failed = true;
                self.set(id, State::Over);
            }
            Input::StartDropped(id) if self.is(id, |state| matches!(state, State::Starting(_))) => {
                self.set(id, State::Over);
            }
            Input::Started(id) if self.is(id, |state| matches!(state, State::Starting(_))) => {
                self.set(id, State::Started);
            }
            Input::Closed { component, well }
                if self.is(component, |state| matches!(state, State::Closing(_))) =>
            {
                self.failed |= !well;
                self.set(component, State::Over);
            }
            Input::Ready | Input::BodyEnded { well: true } if self.phase == Phase::Starting => {
                self.was_ready = true;
            }
            Input::LastArrival { .. } => self.last_arrival = self.now,
            Input::ShieldTaken { shield, until, .. } if self.requested.is_none() => {
                _ = self.shields.insert(shield, until);
            }
            Input::ShieldRenewed { shield, until } if self.requested.is_none() => {
                self.shields.entry(shield).and_modify(|end| *end = until);
            }
            Input::ShieldEnded(shield) => _ = self.shields.remove(&shield),
            Input::SystemEnds { at } if self.requested.is_some() => {
                let doomed = *self.doomed.get_or_insert(at);
                self.shields.values_mut().for_each(|end| *end = (*end).min(doomed.after(LEFT_BY_SYSTEM)));
            }
            _ => {}
        }
        let start_failed = matches!(input, Input::StartFailed(_)) && self.failed && !before.failed;
        let wish = matches!(
            input,
            Input::Signal { .. } | Input::Stop(_) | Input::BodyEnded { well: false } | Input::Abandoned
        );
        if (wish || start_failed) && self.requested.is_none() {
            self.requested = Some(self.now);
        }
    }

    /// What the machine was asked for, and whether it should have taken it.
    pub(super) fn observe_taken(&mut self, input: Input, before: &Self) {
        match input {
            Input::Starting { component, group, start, .. } => {
                let taken = self.machine.has(component);
                let open = before.requested.is_none() && before.groups.is_open(group);
                assert_eq!(taken, open, "L3: nothing starts after a stop request, or in a group that closes");
                if taken {
                    let state = State::Starting(self.now.after(start));
                    self.components.insert(component, Component { group: Some(group), state });
                }
            }
            Input::AtExit { component, .. } => {
                let closing = |component: &Component| {
                    component.group.is_some() && matches!(component.state, State::Closing(_) | State::Over)
                };
                let begun = before.phase == Phase::Closing && before.components.values().any(closing);
                let over = before.forced.is_some() || before.verdict.is_some();
                let taken = self.machine.has(component);
                assert!(taken || begun || over, "L8: exit work is taken until components close");
                if taken {
                    let state = State::Started;
                    self.components.insert(component, Component { group: None, state });
                }
            }
            Input::ShieldTaken { shield, kind, until } if before.requested.is_some() => {
                let taken = self.machine.is_shielded_by(shield);
                let work = kind == ShieldKind::Work && before.phase < Phase::Closing;
                let at_once =
                    until <= self.now || before.deadlines.is_some_and(|(drain, _)| drain <= self.now);
                assert!(!taken || work, "L8: refused after a stop request, except inside counted work");
                assert!(taken || !work || at_once || self.phase_moved(before), "L8: granted to counted work");
                if taken {
                    let drain = before.deadlines.map_or(until, |(drain, _)| drain);
                    self.shields.insert(shield, until.min(drain));
                }
            }
            Input::ShieldRenewed { shield, until } if before.requested.is_some() => {
                if let Some(end) = self.shields.get_mut(&shield) {
                    // How far it was let is checked by the deadlines.
                    *end = until.min(before.machine.limit_of(shield).unwrap_or(until));
                }
            }
            _ => {}
        }
    }

    fn phase_moved(&self, before: &Self) -> bool {
        self.machine.log().iter().count() != before.machine.log().iter().count()
    }
}
