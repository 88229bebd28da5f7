//! Shields during a stop.

use super::{Core, Locked};
use crate::follow::{Item, Progress};
use crate::machine::{Ended, Input, ShieldId, ShieldKind};
use crate::shield::{Break, Shards, ShieldOutcome, ShieldReport};
use std::time::Duration;

impl Core {
    pub(crate) fn shields(&self) -> &Shards {
        &self.shields
    }

    /// Grants a shield to counted work after the stop request; false: refused.
    pub(crate) fn shield_work(&self, shield: ShieldId, budget: Duration) -> bool {
        let granted = self.with(|locked| {
            let until = self.clock.now().after(budget);
            locked.apply(Input::ShieldTaken { shield, kind: ShieldKind::Work, until });
            locked.state.machine.is_shielded_by(shield)
        });
        granted.unwrap_or(false)
    }

    /// A new budget during a stop.
    pub(crate) fn renew_shield(&self, shield: ShieldId, budget: Duration) -> Result<(), Break> {
        let renewed = self.with(|locked| {
            let until = self.clock.now().after(budget);
            locked.apply(Input::ShieldRenewed { shield, until });
            locked.look_after(shield)
        });
        renewed.unwrap_or(Ok(()))
    }

    /// A safe point during a stop. `Ok`: the shield was live; it ends here if `ends` says so.
    pub(crate) fn shield_break(&self, shield: ShieldId, ends: bool) -> Result<(), Break> {
        let broken = self.with(|locked| {
            locked.apply(Input::Tick);
            let live = locked.look_after(shield);
            if ends {
                locked.apply(Input::ShieldEnded(shield));
            }
            live
        });
        broken.unwrap_or(Ok(()))
    }

    pub(crate) fn shield_ended(&self, shield: ShieldId) {
        self.with(|locked| {
            locked.state.live_shields.remove(&shield);
            locked.state.expired_shields.remove(&shield);
            locked.apply(Input::ShieldEnded(shield));
        });
    }
}

impl Locked<'_> {
    /// The phase is written: whoever takes a shield from now on sees the stop (invariant 1 of the shards).
    pub(super) fn look_for_shields(&mut self) {
        for (shield, until, site) in self.core.shields.live() {
            self.state.live_shields.insert(shield, site);
            self.apply(Input::ShieldTaken { shield, kind: ShieldKind::Standing, until });
        }
        self.apply(Input::Looked);
    }

    pub(super) fn shield_over(&mut self, shield: ShieldId, why: Ended) {
        let site = self.state.live_shields.remove(&shield).flatten();
        let outcome = match why {
            Ended::Expired => {
                self.state.expired_shields.insert(shield);
                ShieldOutcome::Expired
            }
            Ended::Forced => ShieldOutcome::Forced,
        };
        let report = ShieldReport { site, outcome };
        self.state.shield_reports.push(report);
        self.state.follow.push(Item::News(Progress::Shield(report)));
    }

    fn look_after(&self, shield: ShieldId) -> Result<(), Break> {
        if self.state.machine.is_shielded_by(shield) {
            Ok(())
        } else if self.state.expired_shields.contains(&shield) {
            Err(Break::Expired)
        } else {
            Err(Break::Stop)
        }
    }
}
