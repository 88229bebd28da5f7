//! The machine that decides (design rules L1-L9, L12, L14, L19).
//!
//! Pure: inputs and the present time go in, effects come out, and whoever drives it carries them out. It holds
//! ids only, so that every order of inputs can be explored and states compared.

mod attempts;
#[cfg(test)]
mod by_hand;
mod closing;
mod components;
mod deadline;
#[cfg(test)]
mod early;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod explore;
mod groups;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod parts;
mod phase;
#[cfg(test)]
mod random;
#[cfg(test)]
mod shielded;
mod shields;
#[cfg(test)]
mod system_ends;
#[cfg(test)]
mod table;
mod vocabulary;

pub(crate) use attempts::{Origin, RELAY};
pub(crate) use deadline::Limits;
pub use phase::Phase;
pub(crate) use phase::{PhaseLog, Time};
pub use vocabulary::Verdict;
pub(crate) use vocabulary::{
    ComponentId, Effect, Ended, GroupId, Input, Late, Notice, ScopeId, ShieldId, ShieldKind, Wish,
};

use attempts::Attempts;
use closing::{Closing, Step};
use components::Components;
use deadline::Clock;
use groups::Groups;
use shields::Shields;
use std::collections::BTreeMap;

/// The state of a program's end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    limits: Limits,
    phase: Phase,
    log: PhaseLog,
    clock: Option<Clock>,
    attempts: Attempts,
    /// Scopes that are busy, and what they were told last.
    busy: BTreeMap<ScopeId, Notice>,
    components: Components,
    groups: Groups,
    shields: Shields,
    /// All shields that there were at the stop request are known.
    looked: bool,
    closing: Closing,
    forced: Option<i32>,
    failed: bool,
    work_cut: bool,
    wake_at: Option<Time>,
}

impl Machine {
    pub(crate) fn new(limits: Limits, now: Time) -> Self {
        Self {
            limits,
            phase: Phase::Starting,
            log: PhaseLog::new(now),
            clock: None,
            attempts: Attempts::default(),
            busy: BTreeMap::new(),
            components: Components::default(),
            groups: Groups::default(),
            shields: Shields::default(),
            looked: false,
            closing: Closing::default(),
            forced: None,
            failed: false,
            work_cut: false,
            wake_at: None,
        }
    }

    pub(crate) fn log(&self) -> &PhaseLog {
        &self.log
    }

    /// Signals that counted.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts.count()
    }

    pub(crate) fn max_attempts(&self) -> u32 {
        self.limits.max_attempts
    }

    pub(crate) fn is_forced(&self) -> bool {
        self.forced.is_some()
    }

    /// Other limits. A stop that was requested keeps its times (L2).
    pub(crate) fn limit(&mut self, limits: Limits) {
        if self.clock.is_none() {
            self.limits = limits;
        }
        self.limits.max_attempts = limits.max_attempts;
    }

    pub(crate) fn requested(&self) -> Option<Time> {
        self.clock.as_ref().map(|clock| clock.requested)
    }

    pub(crate) fn drain_deadline(&self) -> Option<Time> {
        self.clock.as_ref().map(|clock| clock.drain.at)
    }

    pub(crate) fn hard_deadline(&self) -> Option<Time> {
        self.clock.as_ref().map(|clock| clock.hard.at)
    }

    /// Whether the component was taken, and is not over.
    pub(crate) fn has(&self, component: ComponentId) -> bool {
        self.components.contains(component)
    }

    /// Whether the shield holds the stop off.
    pub(crate) fn is_shielded_by(&self, shield: ShieldId) -> bool {
        self.shields.kind(shield).is_some()
    }

    /// When the system has ended the program at the latest, if it has said that it will.
    pub(crate) fn last_moment(&self) -> Option<Time> {
        self.clock.as_ref()?.last_moment()
    }

    /// The latest time that a renewal may bring the shield to.
    #[cfg(test)]
    fn limit_of(&self, shield: ShieldId) -> Option<Time> {
        Some(self.clock.as_ref()?.latest(self.shields.kind(shield)?))
    }

    /// When the next `Tick` is due.
    pub(crate) fn wake_at(&self) -> Option<Time> {
        self.wake_at
    }

    /// Takes an input and answers what is to be done.
    pub(crate) fn apply(&mut self, now: Time, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.phase < Phase::Stopped {
            if input.asks_for_time() {
                self.move_on(now, &mut effects);
            }
            self.take(now, input, &mut effects);
            self.move_on(now, &mut effects);
            self.tell_who_holds_up(now, &mut effects);
            self.set_alarm(&mut effects);
        } else if let Input::Busy(scope) | Input::BusyIn { scope, .. } = input {
            effects.push(Effect::Cut(scope));
        }
        effects
    }

    fn take(&mut self, now: Time, input: Input, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Stopped {
            return;
        }
        match input {
            Input::Signal { signal, origin, at } => {
                let attempts = self.attempts.note(origin, at);
                self.request(now, at, effects);
                if attempts >= self.limits.max_attempts {
                    self.force(now, signal, effects);
                }
            }
            Input::Stop(wish) => {
                self.failed |= wish == Wish::Failure;
                self.request(now, now, effects);
            }
            Input::SystemEnds { at } => self.system_ends(at.min(now), effects),
            Input::BodyEnded { well: false } => {
                if self.clock.is_none() {
                    self.failed = true;
                    self.request(now, now, effects);
                }
            }
            Input::Ready | Input::BodyEnded { well: true } => {
                if self.phase == Phase::Starting {
                    self.enter(Phase::Running, now, effects);
                }
            }
            Input::Busy(scope) => self.begin(scope, GroupId::ROOT, effects),
            Input::BusyIn { scope, group } => self.begin(scope, group, effects),
            Input::Idle(scope) => {
                self.busy.remove(&scope);
                self.groups.idle(scope);
            }
            Input::WorkCut(_) => self.work_cut = true,
            Input::WorkFailed => self.failed = true,
            Input::LastArrival { at } => {
                if let Some(clock) = &mut self.clock {
                    clock.last_arrival(now, at);
                }
            }
            Input::Abandoned => self.abandon(now, effects),
            Input::Tick => {}
            Input::CloseGroup { group, within } => self.close_group(now, group, within, effects),
            Input::GroupOpened { .. }
            | Input::Starting { .. }
            | Input::Started(_)
            | Input::StartFailed(_)
            | Input::StartDropped(_)
            | Input::AtExit { .. }
            | Input::Closed { .. } => self.take_component(now, input, effects),
            Input::ShieldTaken { .. }
            | Input::ShieldRenewed { .. }
            | Input::ShieldEnded(_)
            | Input::Looked => self.take_shield(now, input, effects),
        }
    }

    fn take_component(&mut self, now: Time, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::GroupOpened { group, parent } if self.is_open(parent) => {
                self.components.open_group(group, parent);
            }
            // Nothing further starts once a stop is requested (L3), or its group closes.
            Input::Starting { component, group, start, close }
                if self.clock.is_none() && self.is_open(group) =>
            {
                self.components.starting(component, group, now.after(start), close);
            }
            Input::Started(component) => self.components.started(component),
            Input::StartFailed(component) if self.components.is_starting(component) => {
                self.components.remove(component);
                self.failed = true;
                self.request(now, now, effects);
            }
            Input::StartDropped(component) if self.components.is_starting(component) => {
                self.components.remove(component);
            }
            Input::AtExit { component, close } if self.closing.takes_exit_work() => {
                self.components.at_exit(component, close);
            }
            Input::Closed { component, well } => {
                let was_closing = self.closing.closed(component, &mut self.components)
                    || self.groups.closed(component, &mut self.components);
                self.failed |= was_closing && !well;
            }
            _ => {}
        }
    }

    fn take_shield(&mut self, now: Time, input: Input, effects: &mut Vec<Effect>) {
        let Some(clock) = &mut self.clock else { return };
        match input {
            Input::ShieldTaken { shield, kind, until } => {
                let takes = match kind {
                    ShieldKind::Standing => !self.looked && self.phase == Phase::LameDuck,
                    ShieldKind::Work => self.looked && self.phase < Phase::Closing,
                };
                let until = until.min(clock.latest(kind));
                if takes && until > now {
                    self.shields.take(shield, kind, until);
                } else if takes && kind == ShieldKind::Standing {
                    // It ran out before the stop, and is not late.
                    effects.push(Effect::EndShield(shield, Ended::Expired));
                }
            }
            Input::ShieldRenewed { shield, until } => {
                let Some(most) = self.shields.kind(shield).map(|kind| clock.latest(kind)) else { return };
                self.shields.renew(shield, until.min(most));
                self.shift(effects);
            }
            Input::ShieldEnded(shield) if self.shields.end(shield) => {
                clock.release(now);
                self.shift(effects);
            }
            Input::Looked => {
                self.looked = true;
                self.shift(effects);
            }
            _ => {}
        }
    }

    /// The first request starts the clock; later ones change nothing (L2).
    fn request(&mut self, now: Time, at: Time, effects: &mut Vec<Effect>) {
        if self.clock.is_some() {
            return;
        }
        let was_ready = self.phase == Phase::Running;
        self.clock = Some(Clock::start(&self.limits, at.min(now), was_ready));
        if !was_ready {
            self.enter(Phase::Running, now, effects);
        }
        self.enter(Phase::LameDuck, now, effects);
        effects.push(Effect::Look);
    }

    /// The end comes nearer, and nothing moves it away again (L2).
    fn system_ends(&mut self, said: Time, effects: &mut Vec<Effect>) {
        let Some(clock) = &mut self.clock else { return };
        clock.system_ends(said);
        self.shields.limit(clock.limit());
        self.shift(effects);
    }

    fn begin(&mut self, scope: ScopeId, group: GroupId, effects: &mut Vec<Effect>) {
        self.groups.begin(scope, group);
        let notice = self.busy.entry(scope).or_insert(Notice::None);
        let due = match self.phase {
            Phase::Starting | Phase::Running | Phase::LameDuck => Notice::None,
            Phase::Draining => Notice::Told,
            Phase::Closing | Phase::Stopped => Notice::Cut,
        };
        let due = due.max(self.groups.notice(group, &self.components));
        if *notice < due {
            *notice = due;
            effects.push(if due == Notice::Cut { Effect::Cut(scope) } else { Effect::Tell(scope) });
        }
    }

    fn move_on(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.expire(now, effects);
        self.close_groups(now, effects);
        self.advance(now, effects);
    }

    /// Gives up starts and shields whose time is over.
    fn expire(&mut self, now: Time, effects: &mut Vec<Effect>) {
        for component in self.components.due(now) {
            self.components.remove(component);
            effects.push(Effect::CancelStart(component, Late::Timeout));
            self.failed = true;
            self.request(now, now, effects);
        }
        let Some(clock) = &mut self.clock else { return };
        for shield in self.shields.take_due(now) {
            clock.release(now);
            effects.push(Effect::EndShield(shield, Ended::Expired));
        }
        if self.looked && self.phase < Phase::Closing {
            self.shift(effects);
        }
        if let Some(clock) = &mut self.clock {
            // Asked though a shield may hold it off: both have their pass at once (L2).
            clock.drain.is_due(now);
        }
    }

    /// Moves on through every phase that is over.
    fn advance(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some(clock) = &mut self.clock {
            let quiet = self.shields.is_empty();
            match self.phase {
                // Whether a shield holds it off is not known yet.
                Phase::LameDuck if !self.looked => return,
                Phase::LameDuck if now >= clock.lame_duck => {
                    // Nobody was held up before.
                    clock.is_held_up(now);
                    self.enter(Phase::Draining, now, effects);
                }
                Phase::LameDuck if clock.asks_for_arrivals(now) => {
                    effects.push(Effect::LookForArrivals);
                    return;
                }
                Phase::Draining if quiet && self.busy.is_empty() && !self.components.is_any_starting() => {
                    self.enter(Phase::Closing, now, effects);
                }
                Phase::Draining if quiet && clock.drain.is_due(now) => {
                    self.enter(Phase::Closing, now, effects);
                }
                Phase::Closing => {
                    if !self.close(now, effects) {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// One step of closing; false if there is something to wait for.
    fn close(&mut self, now: Time, effects: &mut Vec<Effect>) -> bool {
        let Some(clock) = &mut self.clock else { return false };
        let busy = !self.busy.is_empty();
        match self.closing.step(now, &mut clock.hard, busy, &mut self.components, effects) {
            Step::Wait => false,
            Step::Begun => true,
            Step::Late => {
                self.failed = true;
                true
            }
            Step::Over { skipped } => {
                self.work_cut |= skipped || busy;
                self.stop(now, effects);
                false
            }
        }
    }

    /// Everything is cut and skipped, exit work apart (L9).
    fn force(&mut self, now: Time, signal: i32, effects: &mut Vec<Effect>) {
        self.forced.get_or_insert(signal);
        self.pass_through_to_closing(now, effects);
        self.closing.force(now, &mut self.components, effects);
    }

    fn abandon(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.request(now, now, effects);
        self.pass_through_to_closing(now, effects);
        self.work_cut |= !self.busy.is_empty();
        self.work_cut |= self.closing.abandon(&mut self.components, effects);
        self.stop(now, effects);
    }

    fn stop(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.enter(Phase::Stopped, now, effects);
        effects.push(Effect::Exit(self.verdict()));
    }

    /// Passes through all phases before it (L1). No scope stays uncut behind `Closing` (L5).
    fn pass_through_to_closing(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.looked = true;
        while let Some(next) = self.phase.next().filter(|next| *next <= Phase::Closing) {
            self.enter(next, now, effects);
        }
    }

    fn enter(&mut self, phase: Phase, now: Time, effects: &mut Vec<Effect>) {
        self.phase = phase;
        self.log.push(now);
        effects.push(Effect::Enter(phase));
        let (due, effect): (_, fn(ScopeId) -> Effect) = match phase {
            Phase::Draining => (Notice::Told, Effect::Tell),
            Phase::Closing => (Notice::Cut, Effect::Cut),
            _ => return,
        };
        for (scope, notice) in self.busy.iter_mut().filter(|(_, notice)| **notice < due) {
            *notice = due;
            effects.push(effect(*scope));
        }
        if phase == Phase::Closing {
            self.enter_closing(now, effects);
        }
    }

    /// Whatever may hold `Closing` off is over.
    fn enter_closing(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let shields = self.shields.take_all().into_iter();
        effects.extend(shields.map(|shield| Effect::EndShield(shield, Ended::Forced)));
        for component in self.components.starting_now(None) {
            self.components.remove(component);
            self.failed = true;
            effects.push(Effect::CancelStart(component, Late::Stop));
        }
        if let Some(clock) = &self.clock {
            let under_way = self.groups.dissolve(None, &self.components);
            self.closing.begin(now, clock.hard.takes_effect(), under_way);
        }
    }

    fn shift(&mut self, effects: &mut Vec<Effect>) {
        let until = self.shields.last_until();
        let extended = self.clock.as_mut().and_then(|clock| clock.shift(until));
        effects.extend(extended.map(Effect::Extend));
    }

    fn tell_who_holds_up(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let waits = matches!(self.phase, Phase::Draining | Phase::Closing);
        if let Some(clock) = self.clock.as_mut().filter(|_| waits)
            && clock.is_held_up(now)
        {
            effects.push(Effect::HeldUp);
        }
    }

    /// How it would end if it ended now, by the order of L14.
    fn verdict(&self) -> Verdict {
        match (self.forced, self.failed, self.work_cut) {
            (Some(signal), ..) => Verdict::Forced { signal },
            (None, true, _) => Verdict::Failed,
            (None, false, true) => Verdict::Cut,
            (None, false, false) => Verdict::Clean,
        }
    }

    fn set_alarm(&mut self, effects: &mut Vec<Effect>) {
        let phase = self.clock.as_ref().and_then(|clock| match self.phase {
            Phase::LameDuck => self.looked.then(|| clock.lame_duck_due()),
            // It cannot come before the last shield ends.
            Phase::Draining if self.shields.is_empty() => Some(clock.drain.takes_effect()),
            Phase::Closing => {
                let unwinds = !self.busy.is_empty() && !self.components.is_empty();
                Some(self.closing.next_due(&clock.hard, unwinds))
            }
            Phase::Starting | Phase::Running | Phase::Draining | Phase::Stopped => None,
        });
        let waits = matches!(self.phase, Phase::Draining | Phase::Closing);
        let held_up = self.clock.as_ref().filter(|_| waits).map(|clock| clock.held_up);
        let over = self.phase == Phase::Stopped;
        let groups = self.groups.next_due(&self.busy, &self.components);
        let others = [phase, held_up, groups, self.components.next_due(), self.shields.next_due()];
        let at = others.into_iter().flatten().min().filter(|_| !over);
        if let Some(at) = at.filter(|at| Some(*at) != self.wake_at) {
            effects.push(Effect::WakeAt(at));
        }
        self.wake_at = at;
    }
}
