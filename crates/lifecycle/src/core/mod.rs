//! The machine with a lock around it, and what its effects come to.
//!
//! Any thread applies inputs; effects are carried out at once, by the thread whose input had them, and none of them
//! blocks. Invariants:
//!
//! 1. What is decided is written under the lock (the phase, the notices, the records); only waking others comes
//!    after it, because a waker may run foreign code. Waking late is harmless: everything published only ever moves
//!    forward, so an old value never overwrites a new one.
//! 2. The time is taken under the lock, so that the machine sees it in order.
//! 3. In a forked child nothing locks: the lock may have been held by a thread that the child does not have (L17).

mod attempt;
mod effects;

use crate::cause::{Cause, Failure, Received};
use crate::clock::Clock;
use crate::counts::{PhaseCell, Totals};
use crate::hooks::Hooks;
use crate::machine::{Input, Limits, Machine, Origin, Phase, RELAY, ScopeId, Time, Verdict};
use crate::scope::{CutWork, ScopeShared};
use crate::signal::Signal;
use crate::work::Account;
use attempt::Attempt;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What all handles of one lifecycle share.
#[derive(Debug)]
pub(crate) struct Core {
    phase: PhaseCell,
    clock: Clock,
    /// Whoever installed this; any other process is a forked child.
    process: u32,
    alarm: Alarm,
    hooks: Hooks,
    max_attempts: u32,
    me: Weak<Self>,
    state: Mutex<State>,
    moved_on: Condvar,
    #[cfg(feature = "tokio")]
    phases: tokio::sync::watch::Sender<Phase>,
}

/// Who applies the ticks.
#[derive(Debug)]
pub(crate) enum Alarm {
    /// The signal thread.
    Hub,
    /// A task on a runtime.
    #[cfg(feature = "tokio")]
    Task(tokio::sync::Notify),
}

/// What is behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) machine: Machine,
    pub(crate) cause: Option<Cause>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) failures_left_out: u64,
    pub(crate) scopes: BTreeMap<ScopeId, ScopeEntry>,
    pub(crate) verdict: Option<Verdict>,
    next_scope: usize,
    /// When the terminal last said that it is gone.
    hung_up: Option<Time>,
}

/// A scope and what the report will say of it.
#[derive(Debug)]
pub(crate) struct ScopeEntry {
    pub(crate) shared: Arc<ScopeShared>,
    /// What had begun and ended when the stop was requested.
    pub(crate) at_stop: Totals,
    pub(crate) cut: Vec<CutWork>,
    pub(crate) account: Account,
    /// When its work was done.
    pub(crate) idle_since: Option<Time>,
}

impl Core {
    pub(crate) fn new(limits: Limits, clock: Clock, alarm: Alarm, hooks: Hooks) -> Arc<Self> {
        let machine = Machine::new(limits, clock.now());
        Arc::new_cyclic(|me| Self {
            phase: PhaseCell::new(),
            clock,
            process: std::process::id(),
            alarm,
            hooks,
            max_attempts: limits.max_attempts,
            me: Weak::clone(me),
            state: Mutex::new(State {
                machine,
                cause: None,
                failures: Vec::new(),
                failures_left_out: 0,
                scopes: BTreeMap::new(),
                verdict: None,
                next_scope: 0,
                hung_up: None,
            }),
            moved_on: Condvar::new(),
            #[cfg(feature = "tokio")]
            phases: tokio::sync::watch::Sender::new(Phase::Starting),
        })
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.load()
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn phases(&self) -> tokio::sync::watch::Receiver<Phase> {
        self.phases.subscribe()
    }

    /// The state; not in a forked child.
    pub(crate) fn state(&self) -> Option<MutexGuard<'_, State>> {
        // A panic of ours while it was held would leave it readable still.
        (!self.is_forked()).then(|| self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Applies an input. `record` runs first, under the same lock.
    pub(crate) fn apply(&self, input: Input, record: impl FnOnce(&mut State)) {
        self.apply_if(|state| {
            record(state);
            Some(input)
        });
    }

    /// Decides on an input under the lock, and applies it.
    pub(crate) fn apply_if(&self, decide: impl FnOnce(&mut State) -> Option<Input>) {
        let Some(mut state) = self.state() else { return };
        let Some(input) = decide(&mut state) else { return };
        let effects = state.machine.apply(self.clock.now(), input);
        let news = self.carry_out(&mut state, effects);
        drop(state);
        self.publish(news);
    }

    /// Applies a wish for the end; true if it was the first.
    pub(crate) fn request(&self, cause: Cause) -> bool {
        let mut first = false;
        self.apply(Input::Stop(cause.wish()), |state| {
            if let Cause::Failure(failure) = &cause {
                state.failures.push(failure.clone());
            }
            first = state.cause.is_none();
            state.cause.get_or_insert(cause);
        });
        first
    }

    pub(crate) fn signal(&self, received: Received, at: Instant) {
        let (signal, at) = (received.signal.number(), self.clock.time(at));
        let Some(mut state) = self.state() else { return };
        let first = state.cause.is_none();
        state.cause.get_or_insert(Cause::Signal(received));
        let origin = state.origin(received, at);
        let before = state.machine.attempts();
        let effects = state.machine.apply(self.clock.now(), Input::Signal { signal, origin, at });
        let attempt = state.machine.attempts();
        let news = self.carry_out(&mut state, effects);
        drop(state);
        let counts = attempt != before;
        Attempt { received, attempt, max_attempts: self.max_attempts, counts, first }.trace();
        self.publish(news);
    }

    pub(crate) fn abandon(&self) {
        self.apply(Input::Abandoned, |state| _ = state.cause.get_or_insert(Cause::Dropped));
    }

    /// Adds a scope, which is busy.
    pub(crate) fn add_scope(self: &Arc<Self>, name: String) -> Arc<ScopeShared> {
        let Some(mut state) = self.state() else {
            return ScopeShared::new(ScopeId(usize::MAX), name, Arc::downgrade(self));
        };
        let id = ScopeId(state.next_scope);
        state.next_scope += 1;
        let shared = ScopeShared::new(id, name, Arc::downgrade(self));
        let entry = ScopeEntry {
            shared: Arc::clone(&shared),
            at_stop: Totals::default(),
            cut: Vec::new(),
            account: Account::default(),
            idle_since: None,
        };
        state.scopes.insert(id, entry);
        drop(state);
        self.apply(Input::Busy(id), |_| {});
        shared
    }

    /// The scope's handle is gone and so is its last work.
    pub(crate) fn scope_idle(&self, id: ScopeId) {
        self.apply_if(|state| {
            if state.scopes.get(&id).is_some_and(|entry| entry.shared.totals().in_flight() > 0) {
                // Work began again since that was seen; its end looks once more.
                return None;
            }
            if state.machine.requested().is_none() {
                // Nobody will ask what became of it, and programs that run long may have many.
                state.scopes.remove(&id);
            } else if let Some(entry) = state.scopes.get_mut(&id) {
                entry.idle_since.get_or_insert_with(|| self.clock.now());
            }
            Some(Input::Idle(id))
        });
    }

    /// When the next tick is due, and how long that is from now.
    pub(crate) fn wake_at(&self) -> Option<(Time, Duration)> {
        let at = self.state()?.machine.wake_at()?;
        Some((at, at.since(self.clock.now())))
    }

    /// Blocks until `phase` is reached or `timeout` has passed; true if it is reached. Ticks meanwhile, so that a
    /// deadline does not depend on a runtime that this very thread may be blocking.
    pub(crate) fn wait_for(&self, phase: Phase, timeout: Option<Duration>) -> bool {
        // Too far away to be represented is for ever.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while self.phase() < phase {
            let Some(state) = self.state() else { return false };
            // The phase is written under the lock: looked at again under it, no change can slip through between.
            if self.phase() >= phase {
                break;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            let alarm = state.machine.wake_at().map(|at| at.since(self.clock.now()).max(SHORTEST_WAIT));
            let wait = [left, alarm].into_iter().flatten().min();
            let woken = match wait {
                Some(wait) => {
                    let (state, result) =
                        self.moved_on.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
                    drop(state);
                    !result.timed_out()
                }
                None => {
                    drop(self.moved_on.wait(state).unwrap_or_else(PoisonError::into_inner));
                    true
                }
            };
            if !woken {
                self.apply(Input::Tick, |_| {});
            }
        }
        true
    }
}

impl State {
    /// A terminal that goes tells its session's leader and its foreground group, and so may tell one process twice
    /// (`tty_vhangup` of the leader's exit, after the hang-up itself): the second is no wish of its own.
    fn origin(&mut self, received: Received, at: Time) -> Origin {
        let origin = received.sender.origin();
        if received.signal != Signal::HANGUP || origin != Origin::Terminal {
            return origin;
        }
        match self.hung_up.replace(at) {
            Some(before) if before.0.abs_diff(at.0) <= RELAY => Origin::Relative,
            _ => origin,
        }
    }
}

/// A deadline on a paused clock does not come nearer by waiting; do not spin on it.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
