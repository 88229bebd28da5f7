//! The machine that decides (design rules L1, L2, L5, L9, L14).
//!
//! Pure: inputs and the present time go in, effects come out, and whoever drives it carries them out. It holds
//! ids only, so that every order of inputs can be explored and states compared.

mod attempts;
mod deadline;
#[cfg(test)]
mod explore;
mod phase;
#[cfg(test)]
mod random;
#[cfg(test)]
mod table;
mod vocabulary;

pub(crate) use attempts::{Origin, RELAY};
pub(crate) use deadline::Limits;
pub use phase::Phase;
pub(crate) use phase::{PhaseLog, Time};
pub use vocabulary::Verdict;
pub(crate) use vocabulary::{Effect, Input, Notice, ScopeId, Wish};

use attempts::Attempts;
use deadline::Clock;
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

    pub(crate) fn requested(&self) -> Option<Time> {
        self.clock.as_ref().map(|clock| clock.requested)
    }

    pub(crate) fn drain_deadline(&self) -> Option<Time> {
        self.clock.as_ref().map(|clock| clock.drain.at)
    }

    pub(crate) fn hard_deadline(&self) -> Option<Time> {
        self.clock.as_ref().map(|clock| clock.hard.at)
    }

    /// When the next `Tick` is due.
    pub(crate) fn wake_at(&self) -> Option<Time> {
        self.wake_at
    }

    /// Takes an input and answers what is to be done.
    pub(crate) fn apply(&mut self, now: Time, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.phase < Phase::Stopped {
            self.take(now, input, &mut effects);
            self.advance(now, &mut effects);
            self.set_alarm(&mut effects);
        } else if let Input::Busy(scope) = input {
            effects.push(Effect::Cut(scope));
        }
        effects
    }

    fn take(&mut self, now: Time, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Signal { signal, origin, at } => {
                let attempts = self.attempts.note(origin, at);
                self.request(now, at, effects);
                if attempts >= self.limits.max_attempts {
                    self.end(now, Verdict::Forced { signal }, effects);
                }
            }
            Input::Stop(wish) => {
                self.failed |= wish == Wish::Failure;
                self.request(now, now, effects);
            }
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
            Input::Busy(scope) => self.begin(scope, effects),
            Input::Idle(scope) => _ = self.busy.remove(&scope),
            Input::WorkCut(_) => self.work_cut = true,
            Input::WorkFailed => self.failed = true,
            Input::Abandoned => {
                self.request(now, now, effects);
                self.work_cut |= !self.busy.is_empty();
                self.end(now, self.verdict(), effects);
            }
            Input::Tick => {}
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
    }

    fn begin(&mut self, scope: ScopeId, effects: &mut Vec<Effect>) {
        let notice = self.busy.entry(scope).or_insert(Notice::None);
        let due = match self.phase {
            Phase::Starting | Phase::Running | Phase::LameDuck => Notice::None,
            Phase::Draining => Notice::Told,
            Phase::Closing | Phase::Stopped => Notice::Cut,
        };
        if *notice < due {
            *notice = due;
            effects.push(if due == Notice::Cut { Effect::Cut(scope) } else { Effect::Tell(scope) });
        }
    }

    /// Moves on through every phase that is over.
    fn advance(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some(clock) = &mut self.clock {
            match self.phase {
                Phase::LameDuck if now >= clock.lame_duck => self.enter(Phase::Draining, now, effects),
                Phase::Draining if self.busy.is_empty() => self.enter(Phase::Closing, now, effects),
                Phase::Draining if clock.drain.is_due(now) => self.enter(Phase::Closing, now, effects),
                Phase::Closing if self.busy.is_empty() => return self.end(now, self.verdict(), effects),
                Phase::Closing if clock.hard.is_due(now) => {
                    self.work_cut = true;
                    return self.end(now, self.verdict(), effects);
                }
                _ => return,
            }
        }
    }

    /// Passes through all phases that are left (L1). No scope stays uncut behind `Closing` (L5).
    fn end(&mut self, now: Time, verdict: Verdict, effects: &mut Vec<Effect>) {
        while let Some(next) = self.phase.next() {
            self.enter(next, now, effects);
        }
        effects.push(Effect::Exit(verdict));
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
    }

    /// How it would end if it ended now, by the order of L14.
    fn verdict(&self) -> Verdict {
        match (self.failed, self.work_cut) {
            (true, _) => Verdict::Failed,
            (false, true) => Verdict::Cut,
            (false, false) => Verdict::Clean,
        }
    }

    fn set_alarm(&mut self, effects: &mut Vec<Effect>) {
        let at = self.clock.as_ref().and_then(|clock| match self.phase {
            Phase::LameDuck => Some(clock.lame_duck),
            Phase::Draining => Some(clock.drain.takes_effect()),
            Phase::Closing => Some(clock.hard.takes_effect()),
            Phase::Starting | Phase::Running | Phase::Stopped => None,
        });
        if let Some(at) = at.filter(|at| Some(*at) != self.wake_at) {
            effects.push(Effect::WakeAt(at));
        }
        self.wake_at = at;
    }
}
