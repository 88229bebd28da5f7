//! Shields during a stop.

use super::{Core, Locked};
use crate::follow::{Item, Progress};
use crate::machine::{Ended, Input, ShieldId, ShieldKind};
use crate::shield::{Break, LiveShield, Shards, ShieldOutcome, ShieldReport};
use crate::site::Site;
use std::borrow::Cow;
use std::time::Duration;

impl Core {
    pub(crate) fn shields(&self) -> &Shards {
        &self.shields
    }

    /// Grants a shield to counted work after the stop request; false: refused.
    pub(crate) fn shield_work(&self, shield: ShieldId, budget: Duration, site: Site) -> bool {
        let granted = self.with(|locked| {
            let since = self.clock.now();
            locked.apply(Input::ShieldTaken { shield, kind: ShieldKind::Work, until: since.after(budget) });
            let granted = locked.state.machine.is_shielded_by(shield);
            if granted {
                let live = LiveShield { name: None, site: Some(site), since };
                locked.state.live_shields.entry(shield).or_insert(live);
            }
            granted
        });
        granted.unwrap_or(false)
    }

    /// During a stop, which may have looked for names already.
    pub(crate) fn name_shield(&self, shield: ShieldId, name: Cow<'static, str>) {
        self.with(|locked| {
            if let Some(live) = locked.state.live_shields.get_mut(&shield) {
                live.name = Some(name);
            }
        });
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
                locked.shield_ends(shield);
                locked.apply(Input::ShieldEnded(shield));
            }
            live
        });
        broken.unwrap_or(Ok(()))
    }

    /// How the stop has gone on without the shield, if it has.
    pub(crate) fn shield_outcome(&self, shield: ShieldId) -> Option<ShieldOutcome> {
        self.with(|locked| {
            locked.apply(Input::Tick);
            match locked.look_after(shield) {
                Ok(()) => None,
                Err(Break::Expired) => Some(ShieldOutcome::Expired),
                Err(Break::Stop) if locked.state.machine.is_forced() => Some(ShieldOutcome::Forced),
                Err(Break::Stop) => Some(ShieldOutcome::Ended),
            }
        })
        .flatten()
    }

    pub(crate) fn shield_ended(&self, shield: ShieldId) {
        self.with(|locked| {
            locked.shield_ends(shield);
            locked.state.expired_shields.remove(&shield);
            locked.apply(Input::ShieldEnded(shield));
        });
    }
}

impl Locked<'_> {
    /// The phase is written: whoever takes a shield from now on sees the stop (invariant 1 of the shards).
    pub(super) fn look_for_shields(&mut self) {
        let mut longest = None;
        for live in self.core.shields.live() {
            let (shield, until) = (live.id, live.until);
            let live = LiveShield { name: live.name, site: live.site, since: live.since };
            if longest.as_ref().is_none_or(|(_, latest)| *latest < until) {
                longest = Some((live.who(), until));
            }
            self.state.live_shields.insert(shield, live);
            self.apply(Input::ShieldTaken { shield, kind: ShieldKind::Standing, until });
            // The first signal has forced the end, and left nothing for shields to hold off.
            if !self.state.machine.is_shielded_by(shield) {
                self.shield_over(shield, Ended::Forced);
            }
        }
        if let Some((who, until)) = longest {
            self.core.look_at_length(self.state, &who, until);
        }
        self.apply(Input::Looked);
    }

    pub(super) fn shield_over(&mut self, shield: ShieldId, why: Ended) {
        let outcome = match why {
            Ended::Expired => {
                self.state.expired_shields.insert(shield);
                ShieldOutcome::Expired
            }
            Ended::Forced => ShieldOutcome::Forced,
        };
        self.wake_watchers();
        if let Some(report) = self.held_by(shield, outcome) {
            self.state.shield_reports.push(report.clone());
            self.state.follow.push(Item::News(Progress::Shield(report)));
        }
    }

    /// It ends by itself, if it has not been ended.
    fn shield_ends(&mut self, shield: ShieldId) {
        self.held_by(shield, ShieldOutcome::Ended);
    }

    /// Takes it from those that are live.
    fn held_by(&mut self, shield: ShieldId, outcome: ShieldOutcome) -> Option<ShieldReport> {
        let (live, now) = (self.state.live_shields.remove(&shield)?, self.core.clock.now());
        let report = live.report(self.state.machine.requested().unwrap_or(now), now, outcome);
        if self.state.longest_shield.as_ref().is_none_or(|longest| longest.held <= report.held) {
            self.state.longest_shield = Some(report.clone());
        }
        Some(report)
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
