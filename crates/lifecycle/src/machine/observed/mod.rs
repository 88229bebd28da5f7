//! What must hold in every state, whatever the inputs: each rule an assertion.

mod effects;
mod groups;
mod inputs;
mod invariants;

use super::deadline::LEFT_BY_SYSTEM;
use super::{
    ComponentId, Effect, GroupId, Input, Limits, Machine, Notice, Phase, ScopeId, ShieldId, ShieldKind, Time,
    Verdict,
};
use groups::Groups;
use std::collections::BTreeMap;
use std::time::Duration;

/// Applies an input, and answers the machine's question for shields as its driver does; nothing ever arrives.
pub(super) fn drive(
    machine: &mut Machine,
    now: Time,
    input: Input,
    shields: &[(ShieldId, Time)],
) -> Vec<Effect> {
    drive_with(machine, now, input, shields, Time::default())
}

/// The same, and the last that came came then.
fn drive_with(
    machine: &mut Machine,
    now: Time,
    input: Input,
    shields: &[(ShieldId, Time)],
    last_arrival: Time,
) -> Vec<Effect> {
    let mut effects = machine.apply(now, input);
    if let Some(look) = effects.iter().position(|effect| *effect == Effect::Look) {
        effects.remove(look);
        for (shield, until) in shields {
            let taken = Input::ShieldTaken { shield: *shield, kind: ShieldKind::Standing, until: *until };
            effects.extend(machine.apply(now, taken));
        }
        effects.extend(machine.apply(now, Input::Looked));
    }
    if let Some(look) = effects.iter().position(|effect| *effect == Effect::LookForArrivals) {
        effects.remove(look);
        effects.extend(machine.apply(now, Input::LastArrival { at: last_arrival }));
    }
    effects
}

/// A machine, and what an observer who sees only inputs and effects knows of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Observed {
    pub(super) machine: Machine,
    limits: Limits,
    pub(super) now: Time,
    pub(super) phase: Phase,
    pub(super) requested: Option<Time>,
    deadlines: Option<(Time, Time)>,
    signals: u32,
    failed: bool,
    work_cut: bool,
    pub(super) busy: BTreeMap<ScopeId, Notice>,
    pub(super) components: BTreeMap<ComponentId, Component>,
    groups: Groups,
    pub(super) shields: BTreeMap<ShieldId, Time>,
    /// When something new came last, which the machine hears of when it asks.
    last_arrival: Time,
    /// It was ready before the stop request; until the end of the lame duck.
    was_ready: bool,
    forced: Option<Time>,
    /// When the system said that it will end us.
    doomed: Option<Time>,
    pub(super) verdict: Option<Verdict>,
}

/// A component as seen from outside.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Component {
    group: Option<GroupId>,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Starting(Time),
    Started,
    Closing(Time),
    Over,
}

impl Observed {
    pub(super) fn new(limits: Limits) -> Self {
        let now = Time::default();
        Self {
            machine: Machine::new(limits, now),
            limits,
            now,
            phase: Phase::Starting,
            requested: None,
            deadlines: None,
            signals: 0,
            failed: false,
            work_cut: false,
            busy: BTreeMap::new(),
            components: BTreeMap::new(),
            groups: Groups::default(),
            shields: BTreeMap::new(),
            last_arrival: now,
            was_ready: false,
            forced: None,
            doomed: None,
            verdict: None,
        }
    }

    /// Lets time pass, applies the input, and asserts every invariant.
    pub(super) fn step(&mut self, span: Duration, input: Input) {
        if input.asks_for_time() && self.machine.wake_at().is_some_and(|at| at <= self.now.after(span)) {
            // What is due comes first, as if it had been noticed in time.
            self.step(span, Input::Tick);
            return self.step(Duration::ZERO, input);
        }
        self.now = self.now.after(span);
        let input = match input {
            Input::Signal { signal, origin, .. } => Input::Signal { signal, origin, at: self.now },
            Input::ShieldTaken { shield, kind, until } => {
                Input::ShieldTaken { shield, kind, until: self.now.after(until.0) }
            }
            Input::ShieldRenewed { shield, until } => {
                Input::ShieldRenewed { shield, until: self.now.after(until.0) }
            }
            Input::SystemEnds { .. } => Input::SystemEnds { at: self.now },
            input => input,
        };
        let before = self.clone();
        self.observe_input(input, &before);
        self.observe_group(input);
        let shields: Vec<_> = self.shields.iter().map(|(id, until)| (*id, *until)).collect();
        // Before a stop, shields are nothing to the machine.
        let seen = if self.is_unseen(input) { Input::Tick } else { input };
        let effects = drive_with(&mut self.machine, self.now, seen, &shields, self.last_arrival);
        self.observe_taken(input, &before);
        if let (Some(_), Input::Busy(scope) | Input::BusyIn { scope, .. }) = (self.verdict, input) {
            assert_eq!(effects, [Effect::Cut(scope)], "L5: who comes after the end is cut");
            return;
        }
        if self.machine.attempts() >= self.limits.max_attempts && before.verdict.is_none() {
            self.forced.get_or_insert(self.now);
        }
        let at_once = self.forced.is_some() || input == Input::Abandoned;
        for effect in &effects {
            assert_eq!(self.verdict, None, "L14: the exit comes last, once; then {effect:?}");
            self.observe_effect(*effect, &before, at_once);
        }
        if at_once && self.phase >= Phase::Closing {
            // Those that were never asked for: nobody holds an end off that comes at once.
            self.shields.clear();
        }
        self.check(&before, input);
    }

    fn is_unseen(&self, input: Input) -> bool {
        let shield =
            matches!(input, Input::ShieldTaken { .. } | Input::ShieldRenewed { .. } | Input::ShieldEnded(_));
        (shield && self.requested.is_none()) || matches!(input, Input::LastArrival { .. })
    }

    /// How far shields may move the end.
    fn limit(&self, requested: Time) -> Time {
        let last = self.doomed.map_or(Time(Duration::MAX), |doomed| doomed.after(LEFT_BY_SYSTEM));
        requested.after(self.limits.hard_limit.max(self.limits.grace)).min(last)
    }

    /// When a lame duck is over, by what has come so far.
    fn lame_duck_until(&self) -> Time {
        let requested = self.requested.expect("a lame duck before the stop request");
        if !self.was_ready {
            return requested;
        }
        let Limits { grace, lame_duck, lame_duck_quiet, .. } = self.limits;
        let reserve = (grace / 5).min(Duration::from_secs(5));
        let most = requested.after(lame_duck.min(grace - reserve));
        let quiet = self.last_arrival.max(requested).after(lame_duck_quiet);
        let until = if lame_duck_quiet.is_zero() { most } else { most.min(quiet) };
        self.doomed.map_or(until, |doomed| until.min(doomed))
    }

    fn is(&self, id: ComponentId, test: impl Fn(State) -> bool) -> bool {
        self.components.get(&id).is_some_and(|component| test(component.state))
    }

    fn set(&mut self, id: ComponentId, state: State) {
        if let Some(component) = self.components.get_mut(&id) {
            component.state = state;
        }
    }
}
