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

pub(crate) use attempts::{Attempts, Origin};
pub use phase::Phase;
pub(crate) use phase::{PhaseLog, Time};

use deadline::Clock;
pub(crate) use deadline::Limits;
use std::collections::BTreeMap;

/// Somebody whose work must be done before `Closing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ScopeId(pub(crate) usize);

/// What happens to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// A stop signal was delivered, at a time that may be a little before now.
    Signal { signal: i32, origin: Origin, at: Time },
    /// Somebody wishes the program to end.
    Stop(Wish),
    /// Everything that was to start has started.
    Ready,
    /// The program's main function body is over. Well: it has started what it had to. Not well: it failed, unless
    /// a stop was requested before, which bodies commonly answer by leaving with an error (L3).
    BodyEnded { well: bool },
    /// The scope has work to do.
    Busy(ScopeId),
    /// The scope has no work left.
    Idle(ScopeId),
    /// A piece of the scope's work was ended before it was finished.
    WorkCut(ScopeId),
    /// Nobody is left to see this through: end at once.
    Abandoned,
    /// Time has passed. Too many ticks do no harm.
    Tick,
}

/// Why the program is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wish {
    /// Somebody called for it.
    Call,
    /// Something that the program cannot do without has failed.
    Failure,
}

/// What is to be done about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// The phase begins.
    Enter(Phase),
    /// Tell the scope to finish what it has and accept nothing new.
    Tell(ScopeId),
    /// End the scope's work now.
    Cut(ScopeId),
    /// Apply a `Tick` at this time; replaces what was said before.
    WakeAt(Time),
    /// It is over. Comes once, last.
    Exit(Verdict),
}

/// How it ended (L14), worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Verdict {
    /// Everything was finished.
    Clean,
    /// A deadline cut something.
    Cut,
    /// A component or the body failed.
    Failed,
    /// Signals forced the end; by this one at last.
    Forced {
        /// The signal's number.
        signal: i32,
    },
}

impl Verdict {
    /// The exit status that goes with it: 0 clean, 3 cut, 1 failed, 128 + signal forced.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Cut => 3,
            Self::Failed => 1,
            Self::Forced { signal } => u8::try_from(signal).unwrap_or(0).saturating_add(128),
        }
    }
}

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

/// What a scope was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Notice {
    /// Nothing yet.
    None,
    /// To accept nothing new.
    Told,
    /// To end its work at once.
    Cut,
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
