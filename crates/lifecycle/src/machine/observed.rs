//! What must hold in every state, whatever the inputs: each rule an assertion.

use super::deadline::{EXIT_WORK, HELD_UP, LATE, LEFT_BY_SYSTEM, PASS};
use super::{
    ComponentId, Effect, Ended, GroupId, Input, Late, Limits, Machine, Notice, Phase, ScopeId, ShieldId,
    ShieldKind, Time, Verdict, Wish,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Applies an input, and answers the machine's question for shields as its driver does.
pub(super) fn drive(
    machine: &mut Machine,
    now: Time,
    input: Input,
    shields: &[(ShieldId, Time)],
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
    pub(super) shields: BTreeMap<ShieldId, Time>,
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
            shields: BTreeMap::new(),
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
        let shields: Vec<_> = self.shields.iter().map(|(id, until)| (*id, *until)).collect();
        // Before a stop, shields are nothing to the machine.
        let seen = if self.is_unseen(input) { Input::Tick } else { input };
        let effects = drive(&mut self.machine, self.now, seen, &shields);
        self.observe_taken(input, &before);
        if let (Some(_), Input::Busy(scope)) = (self.verdict, input) {
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
        shield && self.requested.is_none()
    }

    fn observe_input(&mut self, input: Input, before: &Self) {
        if self.verdict.is_some() {
            return;
        }
        match input {
            Input::Signal { .. } => self.signals += 1,
            Input::Stop(Wish::Failure) | Input::WorkFailed => self.failed = true,
            Input::BodyEnded { well: false } if self.requested.is_none() => self.failed = true,
            Input::WorkCut(_) => self.work_cut = true,
            Input::Busy(scope) => _ = self.busy.entry(scope).or_insert(Notice::None),
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
    fn observe_taken(&mut self, input: Input, before: &Self) {
        match input {
            Input::Starting { component, group, start, .. } => {
                let taken = self.machine.has(component);
                assert_eq!(taken, before.requested.is_none(), "L3: nothing starts after a stop request");
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

    fn observe_effect(&mut self, effect: Effect, before: &Self, at_once: bool) {
        match effect {
            Effect::Look => panic!("asked for shields twice"),
            Effect::Enter(phase) => {
                assert_eq!(Some(phase), self.phase.next(), "L1: one phase after the other");
                self.phase = phase;
                if phase == Phase::Closing && !at_once {
                    assert!(self.shields.is_empty(), "L6: a live shield holds Closing off");
                }
                if phase == Phase::LameDuck {
                    self.requested.get_or_insert(self.now);
                }
            }
            Effect::Tell(scope) => {
                assert_eq!(self.phase, Phase::Draining, "L12: told in Draining");
                assert_eq!(self.busy.insert(scope, Notice::Told), Some(Notice::None), "told once");
            }
            Effect::Cut(scope) => {
                assert_ne!(self.busy.insert(scope, Notice::Cut), Some(Notice::Cut), "cut once");
                assert!(at_once || self.shields.is_empty(), "L6: a live shield holds every cut off");
                self.check_cut(before, at_once);
            }
            Effect::CancelStart(id, late) => self.start_given_up(id, late, at_once),
            Effect::Close(id, until) => self.close_begun(id, until),
            Effect::AbandonClose(id, late) => {
                let Some(State::Closing(until)) = self.components.get(&id).map(|one| one.state) else {
                    panic!("L4: {id:?} is given up, and was not closing")
                };
                let over = self.deadlines.is_some_and(|(_, hard)| self.now >= hard);
                let exit_work = self.forced.is_some_and(|forced| self.now >= forced.after(EXIT_WORK));
                match late {
                    Late::Timeout => {
                        assert!(self.now >= until || over || exit_work, "L4: given up too soon");
                        self.failed = true;
                    }
                    Late::Stop => {
                        assert!(at_once, "L4: interrupted");
                        self.work_cut = true;
                    }
                }
                self.set(id, State::Over);
            }
            Effect::Skip(id) => {
                assert!(self.is(id, |state| state == State::Started), "L4: skipped, and not to be closed");
                let over = self.deadlines.is_some_and(|(_, hard)| self.now >= hard);
                assert!(at_once || over, "L4: skipped, and there was time");
                self.work_cut = true;
                self.set(id, State::Over);
            }
            Effect::EndShield(shield, why) => {
                let until = self.shields.remove(&shield).expect("ended, and not live");
                let until = self.requested.map_or(until, |requested| until.min(self.limit(requested)));
                let allowed = if why == Ended::Expired { self.now >= until } else { at_once };
                assert!(allowed, "L6: {why:?} until {until:?} at {:?}", self.now);
            }
            Effect::Extend(until) => {
                assert!(before.deadlines.is_none_or(|(_, hard)| until > hard), "L6: said once");
                assert_eq!(self.machine.hard_deadline(), Some(until), "L6: announced as it is");
            }
            Effect::HeldUp => {
                let long = self.requested.is_some_and(|requested| self.now >= requested.after(HELD_UP));
                assert!(long, "L15: nobody holds a stop up that has just begun");
            }
            Effect::WakeAt(_) => {}
            Effect::Exit(verdict) => self.observe_exit(verdict, at_once),
        }
    }

    fn observe_exit(&mut self, verdict: Verdict, at_once: bool) {
        let unfinished = !self.busy.is_empty();
        let in_time = self.deadlines.is_none_or(|(_, hard)| self.now < hard);
        assert!(at_once || !unfinished || !in_time, "L5: it waits for what was cut");
        self.work_cut |= unfinished;
        let over = |component: &Component| component.state == State::Over;
        assert!(self.components.values().all(over), "L4: each closed, failed or skipped");
        self.verdict = Some(verdict);
    }

    fn start_given_up(&mut self, id: ComponentId, late: Late, at_once: bool) {
        let Some(State::Starting(until)) = self.components.get(&id).map(|one| one.state) else {
            panic!("L3: {id:?} is given up, and was not starting")
        };
        match late {
            Late::Timeout => assert!(self.now >= until, "L3: its start has more time"),
            Late::Stop => {
                let drained = self.machine.drain_deadline().is_some_and(|drain| self.now >= drain);
                assert!(at_once || drained, "L3: the stop lets a start finish");
            }
        }
        self.failed = true;
        self.set(id, State::Over);
    }

    fn close_begun(&mut self, id: ComponentId, until: Time) {
        assert_eq!(self.phase, Phase::Closing, "L5: closed in Closing alone");
        assert!(self.is(id, |state| state == State::Started), "L4: {id:?} was started and is not closed yet");
        let closing = |component: &Component| matches!(component.state, State::Closing(_));
        assert!(!self.components.values().any(closing), "L4: one after the other");
        let behind = self.components.iter().filter(|(other, component)| {
            component.state == State::Started && **other != id && self.closes_before(**other, id)
        });
        assert_eq!(behind.count(), 0, "L4: something that started later is still open");
        let limit = match self.forced {
            Some(forced) => {
                let exit_work = self.components.get(&id).is_some_and(|component| component.group.is_none());
                assert!(exit_work, "L9: a forced end closes nothing");
                forced.after(EXIT_WORK)
            }
            None => self.machine.hard_deadline().expect("closing without a stop"),
        };
        assert!(until <= limit.max(self.now.after(PASS)), "L4: inside what is left");
        self.set(id, State::Closing(until));
    }

    /// What was written of the order, once more, by other means.
    fn closes_before(&self, one: ComponentId, other: ComponentId) -> bool {
        let group = |id| self.components.get(&id).and_then(|component| component.group);
        match (group(one), group(other)) {
            (None, None) => one > other,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            // All groups here are in the root.
            (Some(a), Some(b)) if a == b => one > other,
            (Some(a), Some(b)) => b == GroupId::ROOT || (a != GroupId::ROOT && a > b),
        }
    }

    /// L2: nothing is cut before the drain deadline, nor, when that was missed, before one more pass.
    fn check_cut(&self, before: &Self, at_once: bool) {
        // Whoever comes in Closing is cut at once.
        if at_once || before.phase >= Phase::Closing {
            return;
        }
        let (drain, _) = self.machine.drain_deadline().zip(self.machine.hard_deadline()).unwrap();
        assert!(self.now >= drain, "L2: cut before the drain deadline");
        if self.now > drain.after(LATE) {
            let asked = before.machine.wake_at().is_some_and(|at| at > drain && at <= self.now);
            assert!(asked, "L2: cut late, without a pass over ready work");
        }
    }

    fn check(&mut self, before: &Self, input: Input) {
        let machine = &self.machine;
        assert_eq!(machine.log().iter().last().map(|(phase, _)| phase), Some(self.phase), "L1: recorded");
        assert!(machine.log().iter().map(|(_, time)| time).is_sorted(), "L1: in order");
        assert_eq!(machine.requested(), self.requested, "L2: the first request starts the clock");
        assert_eq!(self.requested.is_some(), self.phase >= Phase::LameDuck, "L2: and shows in the phase");
        self.check_deadlines(before);
        if self.phase >= Phase::Closing {
            assert!(self.busy.values().all(|notice| *notice == Notice::Cut), "L5: finished or cut");
            assert!(self.shields.is_empty(), "L6: no shield outlives Draining");
            let starting = |component: &Component| matches!(component.state, State::Starting(_));
            assert!(!self.components.values().any(starting), "L3: no start outlives Draining");
        }
        if self.phase == Phase::Draining {
            let starting = |component: &Component| matches!(component.state, State::Starting(_));
            let starts = self.components.values().any(starting);
            assert!(self.busy.values().all(|notice| *notice == Notice::Told), "L12: everybody is told");
            assert!(
                !self.busy.is_empty() || starts || !self.shields.is_empty(),
                "L5: nothing holds Draining up"
            );
        }
        if self.requested.is_some() {
            for shield in self.shields.keys() {
                assert!(self.machine.is_shielded_by(*shield), "L6: live, and forgotten");
            }
        }
        self.check_end(before, input);
    }

    fn check_deadlines(&mut self, before: &Self) {
        let machine = &self.machine;
        let deadlines = machine.drain_deadline().zip(machine.hard_deadline());
        if let Some(requested) = self.requested {
            let (drain, hard) = deadlines.unwrap();
            let reserve = (self.limits.grace / 5).min(Duration::from_secs(5));
            // L2: the last of the system's time, and what is kept of it for closing.
            let last = self.doomed.map_or(Time(Duration::MAX), |doomed| doomed.after(LEFT_BY_SYSTEM));
            let kept = reserve.min(LEFT_BY_SYSTEM / 5);
            let drained = Time(last.0 - kept);
            let limit = self.limit(requested);
            let own_drain = requested.after(self.limits.grace - reserve).min(drained);
            let own_hard = requested.after(self.limits.grace).min(last);
            let shields = self.shields.values().copied().max().unwrap_or_default().min(limit);
            assert!(drain >= own_drain && drain >= shields, "L6: behind every shield");
            let moved =
                !before.shields.is_empty() || !self.shields.is_empty() || self.doomed != before.doomed;
            assert_eq!(hard, own_hard.max(drain.after(reserve).min(limit)), "L6: both move");
            assert!(hard <= limit, "L6: never beyond the hard limit");
            match before.deadlines {
                Some(before) => assert!(moved || Some(before) == deadlines, "L2: nothing restarts it"),
                None => assert!(moved || drain == own_drain, "L2: the deadlines of the grace"),
            }
        }
        self.deadlines = deadlines;
    }

    fn check_end(&self, before: &Self, input: Input) {
        let machine = &self.machine;
        assert!(machine.attempts() <= self.signals, "L9: no more attempts than signals");
        assert_eq!(self.verdict.is_some(), self.phase == Phase::Stopped, "L14: an exit, when it is over");
        let expected = match (self.failed, self.work_cut) {
            (true, _) => Verdict::Failed,
            (false, true) => Verdict::Cut,
            (false, false) => Verdict::Clean,
        };
        match self.verdict {
            Some(Verdict::Forced { signal }) => {
                assert!(self.forced.is_some(), "L9: forced too soon");
                if before.forced.is_none() {
                    assert!(
                        matches!(input, Input::Signal { signal: by, .. } if by == signal),
                        "L14: by whom"
                    );
                }
            }
            Some(verdict) => {
                assert_eq!(verdict, expected, "L14: precedence");
                assert_eq!(self.forced, None, "L14: forced goes before all");
            }
            None => {
                let exit_work =
                    |component: &Component| component.group.is_none() && component.state != State::Over;
                let works = self.components.values().any(exit_work);
                assert!(self.forced.is_none() || works, "L9: a forced end waits for exit work alone");
            }
        }
        let waits = matches!(self.phase, Phase::LameDuck | Phase::Draining | Phase::Closing);
        let starting = |component: &Component| matches!(component.state, State::Starting(_));
        let starts = self.components.values().any(starting);
        assert_eq!(machine.wake_at().is_some(), waits || starts, "somebody must look at the clock");
        assert!(machine.wake_at().is_none_or(|at| at > self.now), "what is due has been done");
    }

    /// How far shields may move the end.
    fn limit(&self, requested: Time) -> Time {
        let last = self.doomed.map_or(Time(Duration::MAX), |doomed| doomed.after(LEFT_BY_SYSTEM));
        requested.after(self.limits.hard_limit.max(self.limits.grace)).min(last)
    }

    /// From here, ticks alone bring the end: in time if they come in time, a pass for each deadline later otherwise.
    pub(super) fn check_liveness(&self) {
        let Some(requested) = self.requested else { return };
        // A shield that ends late leaves the close reserve, but no more than the limit.
        let limit = self.limit(requested);
        let hard = self.machine.hard_deadline().filter(|_| self.shields.is_empty()).unwrap_or(limit);
        let forced = self.forced.map(|forced| forced.after(EXIT_WORK)).unwrap_or_default();
        // Each component may close until a deadline that came late, and each of them is given a pass.
        let latest = hard.max(self.now).max(forced).after(PASS * 3);
        let mut end = self.clone();
        while let Some(at) = end.machine.wake_at() {
            end.step(at.since(end.now), Input::Tick);
        }
        assert_eq!(end.phase, Phase::Stopped, "nothing more to wait for, and not stopped");
        assert!(end.now <= latest, "the hard deadline has passed");
    }

    /// A further tick at the same time changes nothing.
    pub(super) fn check_ticks_are_harmless(&self) {
        let mut again = self.machine.clone();
        assert_eq!(again.apply(self.now, Input::Tick), []);
        assert_eq!(again, self.machine);
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
