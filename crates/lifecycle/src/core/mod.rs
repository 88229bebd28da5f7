//! The machine with a lock around it, and what its effects come to.
//!
//! Any thread applies inputs; effects are carried out at once, by the thread whose input had them, and none of them
//! blocks. Invariants ("Foreign code" in `docs/semantics.md` has more of the first):
//!
//! 1. What is decided is written under the lock (the phase, the notices, the records); only waking others comes
//!    after it, because a waker may run foreign code. Waking late is harmless: everything published only ever moves
//!    forward, so an old value never overwrites a new one.
//! 2. The time is taken under the lock, so that the machine sees it in order.
//! 3. In a forked child nothing locks: the lock may have been held by a thread that the child does not have (L17).

mod attempt;
mod components;
mod effects;
mod groups;
mod service;
mod settled;
mod shields;

pub(crate) use attempt::Attempt;
pub(crate) use components::{Begun, ComponentEntry, Timeouts};

#[cfg(feature = "tokio")]
use crate::bell::Bell;
use crate::cause::{Cause, Failure, Received};
use crate::clock::Clock;
use crate::component::ComponentReport;
use crate::counts::{PhaseCell, Totals};
use crate::exit_statuses::ExitStatuses;
use crate::follow::{Follow, Item, PATIENCE};
use crate::hooks::Hooks;
use crate::kept::{Kept, MOST_KEPT};
use crate::machine::{
    ComponentId, GroupId, Input, Limits, Machine, Origin, Phase, RELAY, ScopeId, ShieldId, Time, Verdict,
};
use crate::runner::Runner;
use crate::scope::{CutWork, ScopeShared};
use crate::service::{Service, Waits};
use crate::shield::{LiveShield, Shards, ShieldReport};
use crate::signal::Signal;
use crate::watch::{Watch, Watchers};
use crate::work::Account;
use effects::News;
use groups::GroupClose;
use settled::Settled;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What all handles of one lifecycle share.
#[derive(Debug)]
pub(crate) struct Core {
    me: Weak<Self>,
    phase: Arc<PhaseCell>,
    clock: Arc<Clock>,
    shields: Shards,
    /// Whoever installed this; any other process is a forked child.
    process: u32,
    /// Nothing here may fork, so that tests can only say so.
    #[cfg(test)]
    pub(crate) seems_forked: std::sync::atomic::AtomicBool,
    alarm: Alarm,
    hooks: Hooks,
    follow: Arc<Follow>,
    #[cfg(feature = "report-file")]
    report_file: OnceLock<crate::report::ReportFile>,
    service: OnceLock<Service>,
    /// How long whoever stops us waits before it kills.
    waits: OnceLock<Waits>,
    /// Of the lame duck: when something new came last, in nanoseconds of the clock.
    last_arrival: AtomicU64,
    state: Mutex<State>,
    moved_on: Condvar,
    watchers: Watchers,
    /// Who has metrics of its own to bring up to date.
    #[cfg(feature = "metrics")]
    collectors: Watchers,
    /// Closes what blocks, where no other thread can be had.
    closing: Arc<Runner>,
    /// Of each phase.
    #[cfg(feature = "tokio")]
    bells: [Bell; Phase::ALL.len()],
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
    pub(crate) failures: Kept<Failure>,
    /// News is queued here, and told without the lock.
    pub(crate) follow: Arc<Follow>,
    pub(crate) scopes: BTreeMap<ScopeId, ScopeEntry>,
    /// Scopes that were idle before the stop, and of whose cut work nothing is kept.
    pub(crate) scopes_left_out: u64,
    pub(crate) components: BTreeMap<ComponentId, ComponentEntry>,
    /// Groups that close before the stop.
    group_closes: Vec<GroupClose>,
    /// In the order in which they were over.
    pub(crate) component_reports: Kept<ComponentReport>,
    pub(crate) shield_reports: Kept<ShieldReport>,
    /// The one that held the stop up longest, of those that are over.
    pub(crate) longest_shield: Option<ShieldReport>,
    /// During a stop.
    pub(crate) live_shields: BTreeMap<ShieldId, LiveShield>,
    /// Those among the stragglers that have not been told.
    expired_shields: BTreeSet<ShieldId>,
    /// When the stop will be over at the latest, if shields have moved that.
    pub(crate) extended: Option<Time>,
    pub(crate) verdict: Option<Verdict>,
    /// What the report says of each scope, once there is a verdict.
    pub(crate) settled: Option<Settled>,
    pub(crate) exit_statuses: ExitStatuses,
    next_scope: usize,
    next_component: usize,
    next_last: usize,
    next_group: usize,
    /// When the terminal last said that it is gone.
    hung_up: Option<Time>,
}

/// A scope and what the report will say of it.
#[derive(Debug)]
pub(crate) struct ScopeEntry {
    pub(crate) shared: Arc<ScopeShared>,
    /// What had begun and ended when the stop was requested.
    pub(crate) at_stop: Totals,
    pub(crate) cut: Kept<CutWork>,
    /// How many of them when the stop was requested.
    pub(crate) cut_before: u64,
    pub(crate) account: Account,
    /// When its work was done.
    pub(crate) idle_since: Option<Time>,
}

impl Core {
    pub(crate) fn new(
        limits: Limits,
        exit_statuses: ExitStatuses,
        clock: Clock,
        alarm: Alarm,
        hooks: Hooks,
    ) -> Arc<Self> {
        let machine = Machine::new(limits, clock.now());
        let (phase, clock) = (Arc::new(PhaseCell::new()), Arc::new(clock));
        let follow = Arc::clone(hooks.follow());
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            shields: Shards::new(&phase, &clock, me),
            phase,
            clock,
            process: std::process::id(),
            #[cfg(test)]
            seems_forked: std::sync::atomic::AtomicBool::new(false),
            alarm,
            hooks,
            follow: Arc::clone(&follow),
            #[cfg(feature = "report-file")]
            report_file: OnceLock::new(),
            service: OnceLock::new(),
            waits: OnceLock::new(),
            last_arrival: AtomicU64::new(0),
            state: Mutex::new(State {
                machine,
                cause: None,
                failures: Kept::default(),
                follow,
                scopes: BTreeMap::new(),
                scopes_left_out: 0,
                components: BTreeMap::new(),
                group_closes: Vec::new(),
                component_reports: Kept::default(),
                shield_reports: Kept::default(),
                longest_shield: None,
                live_shields: BTreeMap::new(),
                expired_shields: BTreeSet::new(),
                extended: None,
                verdict: None,
                settled: None,
                exit_statuses,
                next_scope: 0,
                next_component: components::FIRST_COMPONENT,
                next_last: 0,
                next_group: 1,
                hung_up: None,
            }),
            moved_on: Condvar::new(),
            watchers: Watchers::default(),
            #[cfg(feature = "metrics")]
            collectors: Watchers::default(),
            closing: Arc::default(),
            #[cfg(feature = "tokio")]
            bells: std::array::from_fn(|_| Bell::default()),
        })
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.load()
    }

    /// Something new has come. One load, but in a lame duck.
    pub(crate) fn note_arrival(&self) {
        if self.phase() == Phase::LameDuck {
            let nanos = u64::try_from(self.clock.now().0.as_nanos()).unwrap_or(u64::MAX);
            // Relaxed: what is seen too late came at the end of the lame duck, and the drain answers that, too.
            self.last_arrival.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    fn last_arrival(&self) -> Time {
        Time(Duration::from_nanos(self.last_arrival.load(Ordering::Relaxed)))
    }

    pub(crate) fn is_forked(&self) -> bool {
        #[cfg(test)]
        if self.seems_forked.load(Ordering::SeqCst) {
            return true;
        }
        self.process != std::process::id()
    }

    #[cfg(feature = "report-file")]
    pub(crate) fn report_file(&self) -> Option<&crate::report::ReportFile> {
        self.report_file.get()
    }

    #[cfg(feature = "report-file")]
    pub(crate) fn write_report_to(&self, path: std::path::PathBuf) {
        self.report_file.get_or_init(|| crate::report::ReportFile::open(path));
    }

    pub(crate) fn follow(&self) -> &Arc<Follow> {
        &self.follow
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
    pub(crate) fn bell(&self, phase: Phase) -> &Bell {
        // Every phase has one, so the first is never taken instead.
        self.bells.get(phase as usize).unwrap_or(&self.bells[0])
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
        self.with(|locked| {
            if let Some(input) = decide(locked.state) {
                locked.apply(input);
            }
        });
    }

    /// Looks and applies under one lock, and then makes known what came of it; `None` in a forked child.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Locked<'_>) -> R) -> Option<R> {
        let mut state = self.state()?;
        let before = (self.phase(), state.extended);
        let mut locked = Locked { core: self, state: &mut state, news: News::default() };
        let answer = act(&mut locked);
        locked.look_for_closed_groups();
        let mut news = locked.news;
        if before != (self.phase(), state.extended) {
            news.alarm |= self.service_moved(before.0, &state);
        }
        drop(state);
        self.publish(news);
        Some(answer)
    }

    /// Applies a wish for the end; true if it was the first.
    pub(crate) fn request(&self, cause: Cause) -> bool {
        let mut first = false;
        self.apply(Input::Stop(cause.wish()), |state| {
            if let Cause::Failure(failure) = &cause {
                state.keep_failure(failure.clone());
            }
            first = state.cause.is_none();
            state.cause.get_or_insert(cause);
        });
        first
    }

    pub(crate) fn signal(&self, received: Received, at: Instant) {
        let (signal, at) = (received.signal.number(), self.clock.time(at));
        self.with(|locked| {
            let first = locked.state.cause.is_none();
            locked.state.cause.get_or_insert(Cause::Signal(received));
            let origin = locked.state.origin(received, at);
            let before = locked.state.machine.attempts();
            let effects = locked.state.machine.apply(self.clock.now(), Input::Signal { signal, origin, at });
            let attempt = locked.state.machine.attempts();
            let counts = attempt != before;
            let attempt = Attempt {
                received,
                attempt,
                max_attempts: locked.state.machine.max_attempts(),
                counts,
                first,
            };
            // Told before what comes of it.
            locked.state.follow.push(Item::Attempt(attempt));
            locked.carry_out(effects);
            if received.sender.ends_us() {
                locked.apply(Input::SystemEnds { at });
            }
        });
    }

    /// Other limits, as far as the stop lets them change.
    pub(crate) fn limit(&self, limits: Limits) {
        self.with(|locked| locked.state.machine.limit(limits));
    }

    /// Whether signals have forced the end. Not in a forked child.
    pub(crate) fn is_forced(&self) -> bool {
        self.state().is_some_and(|state| state.machine.is_forced())
    }

    /// Waits until everybody was told everything, a second at most if somebody blocks.
    pub(crate) fn flush(&self) {
        if !self.is_forked() {
            let begun = Instant::now();
            self.follow.flush();
            self.watchers.flush(PATIENCE.saturating_sub(begun.elapsed()));
        }
    }

    /// The lifecycle is over: what is left is told, and the threads that are there for foreign code end.
    pub(crate) fn close_runners(&self) {
        if !self.is_forked() {
            self.closing.close();
            if let Some(service) = self.service() {
                service.end();
            }
            self.watchers.close();
            self.follow.close();
        }
    }

    /// Has `act` called, beside the stop, whenever it has moved on.
    pub(crate) fn on_change(&self, act: Arc<dyn Fn() + Send + Sync>) -> Watch {
        if matches!(self.alarm, Alarm::Hub) && !self.is_forked() {
            self.watchers.start();
        }
        self.watchers.add(act)
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn collectors(&self) -> &Watchers {
        &self.collectors
    }

    /// When the system has ended the process at the latest, if it has said that it will.
    pub(crate) fn last_moment(&self) -> Option<Instant> {
        let at = self.state()?.machine.last_moment()?;
        self.clock.instant(at)
    }

    pub(crate) fn abandon(&self) {
        self.apply(Input::Abandoned, |state| _ = state.cause.get_or_insert(Cause::Dropped));
    }

    /// Adds a scope, which is busy.
    pub(crate) fn add_scope(self: &Arc<Self>, name: String, group: GroupId) -> Arc<ScopeShared> {
        let Some(mut state) = self.state() else {
            return ScopeShared::new(ScopeId(usize::MAX), group, name, Arc::downgrade(self));
        };
        let id = ScopeId(state.next_scope);
        state.next_scope += 1;
        let shared = ScopeShared::new(id, group, name, Arc::downgrade(self));
        drop(state);
        self.scope_busy(&shared);
        shared
    }

    /// Work of the scope may begin, or begins again.
    pub(crate) fn scope_busy(&self, shared: &Arc<ScopeShared>) {
        let (scope, group) = (shared.id(), shared.group());
        let input = if group == GroupId::ROOT { Input::Busy(scope) } else { Input::BusyIn { scope, group } };
        self.apply(input, |state| {
            let entry = state.scopes.entry(scope).or_insert_with(|| ScopeEntry::new(Arc::clone(shared)));
            entry.idle_since = None;
        });
    }

    /// The scope's handle is gone and so is its last work.
    pub(crate) fn scope_idle(&self, id: ScopeId) {
        self.apply_if(|state| {
            if state.scopes.get(&id).is_some_and(|entry| entry.shared.totals().in_flight() > 0) {
                // Work began again since that was seen; its end looks once more.
                return None;
            }
            if state.machine.requested().is_none() && !state.keeps(id) {
                // Nobody will ask what became of it, and programs that run long may have many.
                let entry = state.scopes.remove(&id);
                state.scopes_left_out += u64::from(entry.is_some_and(|entry| !entry.cut.is_empty()));
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

    /// Blocks until `phase` is reached or `timeout` has passed; true if it is reached.
    pub(crate) fn wait_for(&self, phase: Phase, timeout: Option<Duration>) -> bool {
        // The phase is written under the lock: looked at again under it, no change can slip through between.
        self.phase() >= phase || self.wait_until(timeout, |_| self.phase() >= phase)
    }

    /// Blocks until `is_over` or `timeout` has passed; true if it is over. Ticks meanwhile, so that a deadline does
    /// not depend on a runtime that this very thread may be blocking.
    pub(crate) fn wait_until(&self, timeout: Option<Duration>, is_over: impl Fn(&State) -> bool) -> bool {
        // Too far away to be represented is for ever.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let Some(state) = self.state() else { return false };
            if is_over(&state) {
                return true;
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
    }
}

/// The state under its lock, and what is to be made known afterwards.
pub(crate) struct Locked<'a> {
    core: &'a Core,
    pub(crate) state: &'a mut State,
    news: News,
}

impl Locked<'_> {
    pub(crate) fn apply(&mut self, input: Input) {
        let effects = self.state.machine.apply(self.core.clock.now(), input);
        self.carry_out(effects);
    }
}

impl ScopeEntry {
    fn new(shared: Arc<ScopeShared>) -> Self {
        Self {
            shared,
            at_stop: Totals::default(),
            cut: Kept::default(),
            cut_before: 0,
            account: Account::default(),
            idle_since: None,
        }
    }
}

impl State {
    /// One after the end is not kept where the verdict says that nothing failed.
    pub(crate) fn keep_failure(&mut self, failure: Failure) {
        if !matches!(self.verdict, Some(Verdict::Clean | Verdict::Cut)) {
            self.failures.push(failure);
        }
    }

    /// Whether a scope that is idle before the stop is kept, since some of its work was cut.
    fn keeps(&self, id: ScopeId) -> bool {
        let is_kept = |entry: &ScopeEntry| entry.idle_since.is_some() && !entry.cut.is_empty();
        let kept = || self.scopes.values().filter(|entry| is_kept(entry)).count();
        self.scopes
            .get(&id)
            .is_some_and(|entry| !entry.cut.is_empty() && (is_kept(entry) || kept() < MOST_KEPT))
    }

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
