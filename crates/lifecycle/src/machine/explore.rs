//! Every order of a few inputs, at times that cross each deadline, and what must hold in every state on the way.

use super::deadline::{LATE, PASS};
use super::{Effect, Input, Limits, Machine, Notice, Origin, Phase, ScopeId, Time, Verdict, Wish};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// A machine, and what an observer who sees only inputs and effects knows of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Observed {
    machine: Machine,
    limits: Limits,
    now: Time,
    phase: Phase,
    requested: Option<Time>,
    deadlines: Option<(Time, Time)>,
    signals: u32,
    failed: bool,
    work_cut: bool,
    busy: BTreeMap<ScopeId, Notice>,
    verdict: Option<Verdict>,
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
            verdict: None,
        }
    }

    /// Lets time pass, applies the input, and asserts every invariant.
    pub(super) fn step(&mut self, span: Duration, input: Input) {
        self.now = self.now.after(span);
        let input = match input {
            Input::Signal { signal, origin, .. } => Input::Signal { signal, origin, at: self.now },
            input => input,
        };
        let before = self.clone();
        let effects = self.machine.apply(self.now, input);
        self.observe_input(input);
        let forced = effects.iter().any(|effect| matches!(effect, Effect::Exit(Verdict::Forced { .. })));
        let at_once = forced || input == Input::Abandoned;
        if let (Some(_), Input::Busy(scope)) = (self.verdict, input) {
            assert_eq!(effects, [Effect::Cut(scope)], "L5: who comes after the end is cut");
            return;
        }
        for effect in &effects {
            assert_eq!(self.verdict, None, "L14: the exit comes last, once; then {effect:?}");
            self.observe_effect(*effect, &before, at_once);
        }
        self.check(&before, input);
    }

    fn observe_input(&mut self, input: Input) {
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
            _ => {}
        }
        let wish = matches!(
            input,
            Input::Signal { .. } | Input::Stop(_) | Input::BodyEnded { well: false } | Input::Abandoned
        );
        if wish && self.requested.is_none() {
            self.requested = Some(self.now);
        }
    }

    fn observe_effect(&mut self, effect: Effect, before: &Self, at_once: bool) {
        match effect {
            Effect::Enter(phase) => {
                assert_eq!(Some(phase), self.phase.next(), "L1: one phase after the other");
                self.phase = phase;
            }
            Effect::Tell(scope) => {
                assert_eq!(self.phase, Phase::Draining, "L12: told in Draining");
                assert_eq!(self.busy.insert(scope, Notice::Told), Some(Notice::None), "told once");
            }
            Effect::Cut(scope) => {
                assert_ne!(self.busy.insert(scope, Notice::Cut), Some(Notice::Cut), "cut once");
                self.check_cut(before, at_once);
            }
            Effect::WakeAt(at) => assert!(at > self.now, "an alarm for what is due already"),
            Effect::Exit(verdict) => {
                let unfinished = !self.busy.is_empty();
                let in_time = self.deadlines.is_none_or(|(_, hard)| self.now < hard);
                assert!(at_once || !unfinished || !in_time, "L5: it waits for what was cut");
                self.work_cut |= unfinished;
                self.verdict = Some(verdict);
            }
        }
    }

    /// L2: nothing is cut before the drain deadline, nor, when that was missed, before one more pass.
    fn check_cut(&self, before: &Self, at_once: bool) {
        if at_once {
            return;
        }
        let (drain, _) = self.machine.drain_deadline().zip(self.machine.hard_deadline()).unwrap();
        assert!(self.now >= drain, "L2: cut before the drain deadline");
        if self.now > drain.after(LATE) && before.phase <= Phase::Draining {
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
        let deadlines = machine.drain_deadline().zip(machine.hard_deadline());
        if let Some(requested) = self.requested {
            let (drain, hard) = deadlines.unwrap();
            assert_eq!(hard.since(requested), self.limits.grace, "L2: hard deadline");
            assert_eq!(hard.since(drain), (self.limits.grace / 5).min(Duration::from_secs(5)), "L2: reserve");
            assert!(before.deadlines.is_none() || before.deadlines == deadlines, "L2: nothing restarts it");
        }
        self.deadlines = deadlines;
        if self.phase >= Phase::Closing {
            assert!(self.busy.values().all(|notice| *notice == Notice::Cut), "L5: finished or cut");
        }
        if self.phase == Phase::Draining {
            assert!(self.busy.values().all(|notice| *notice == Notice::Told), "L12: everybody is told");
            assert!(!self.busy.is_empty(), "L5: nothing holds Draining up");
        }
        self.check_end(before, input);
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
                assert!(machine.attempts() >= self.limits.max_attempts, "L9: forced too soon");
                if before.verdict.is_none() {
                    assert!(
                        matches!(input, Input::Signal { signal: by, .. } if by == signal),
                        "L14: by whom"
                    );
                }
            }
            Some(verdict) => assert_eq!(verdict, expected, "L14: precedence"),
            None => assert!(machine.attempts() < self.limits.max_attempts, "L9: not forced"),
        }
        let waits = matches!(self.phase, Phase::LameDuck | Phase::Draining | Phase::Closing);
        assert_eq!(machine.wake_at().is_some(), waits, "somebody must look at the clock");
        assert!(machine.wake_at().is_none_or(|at| at > self.now), "what is due has been done");
    }

    /// From here, ticks alone bring the end: in time if they come in time, two passes later otherwise.
    pub(super) fn check_liveness(&self) {
        let Some(requested) = self.requested else { return };
        let latest = requested.after(self.limits.grace).max(self.now).after(PASS * 2);
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
}

const A: ScopeId = ScopeId(0);
const B: ScopeId = ScopeId(1);

fn inputs() -> Vec<Input> {
    let signal = |signal, origin| Input::Signal { signal, origin, at: Time::default() };
    vec![
        signal(2, Origin::Terminal),
        signal(2, Origin::Relative),
        signal(15, Origin::Other),
        Input::Stop(Wish::Call),
        Input::Stop(Wish::Failure),
        Input::Ready,
        Input::BodyEnded { well: false },
        Input::Busy(A),
        Input::Busy(B),
        Input::Idle(A),
        Input::Idle(B),
        Input::WorkCut(A),
        Input::Abandoned,
        Input::Tick,
    ]
}

/// Explores `depth` inputs deep and answers how many states there are.
fn explore(limits: Limits, depth: usize, spans: &[Duration]) -> usize {
    let start = Observed::new(limits);
    let mut seen = HashSet::from([start.clone()]);
    let mut edge = vec![start];
    for _ in 0..depth {
        let mut next = Vec::new();
        for state in edge {
            for input in inputs() {
                for span in spans {
                    let mut after = state.clone();
                    after.step(*span, input);
                    if seen.insert(after.clone()) {
                        after.check_ticks_are_harmless();
                        after.check_liveness();
                        next.push(after);
                    }
                }
            }
        }
        edge = next;
    }
    seen.len()
}

fn limits(lame_duck: u64) -> Limits {
    let (grace, lame_duck) = (Duration::from_secs(10), Duration::from_secs(lame_duck));
    Limits { grace, lame_duck, max_attempts: 3 }
}

/// Spans that, in their sums, fall before, on and long after each of: the relay's window, the lame duck's end (1 s),
/// the drain deadline (8 s), the hard deadline (10 s), and the pass after either.
const SPANS: [u64; 4] = [0, 1_000, 8_000, 10_500];

#[test]
fn every_order_of_four_inputs_across_every_deadline() {
    let states = explore(limits(1), 4, &SPANS.map(Duration::from_millis));
    assert_eq!(states, 89_583, "the exploration has changed: look whether it still reaches what it should");
}

#[test]
fn every_order_of_six_inputs_around_the_drain_deadline() {
    let states = explore(limits(0), 6, &[0, 8_000].map(Duration::from_millis));
    assert_eq!(states, 39_705, "the exploration has changed: look whether it still reaches what it should");
}
