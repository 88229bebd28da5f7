//! What a program wants done at a signal and at its end (L9, L16).
//!
//! Two threads of ours at most run it, each in the order in which it was asked for, so that a hook that is slow, panics
//! or never returns delays neither stop signals nor the end: one for signals (`on_signal`, `before_hup`), one for
//! `before_termination`. Invariants:
//!
//! 1. After the end of the lifecycle nothing new is asked for but `before_termination`, and `PATIENCE` later the hooks
//!    are over, whatever still runs. `over` is set once, and whoever set it wakes those who wait.
//! 2. A hang-up leaves `hangups` once, by its hook's return or `PATIENCE` after its delivery, and whoever takes it out
//!    passes it on.
//! 3. No foreign code runs under the lock, none is dropped under it, and no lock is taken in a forked child (L17).

mod lane;
mod set;

pub use set::HookOutcome;
pub(crate) use set::{HookSet, SignalHook, end_hook, signal_hook};

use crate::cause::{Failure, Received};
use crate::core::Core;
use crate::follow::{Follow, Item};
use crate::foreign::Leftover;
use crate::kept::Kept;
use crate::report::Report;
use crate::signal::Signal;
use crate::stop::Stop;
use lane::{Job, Lane};
use std::any::Any;
use std::cell::Cell;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the end waits for hooks, and a hang-up for its own.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a system that ends us at a certain moment leaves to hooks at least: it is not that exact.
const LAST_WORDS: Duration = Duration::from_millis(250);

thread_local! {
    /// This thread runs hooks, and so cannot wait for them.
    static RUNS_HOOKS: Cell<bool> = const { Cell::new(false) };
}

/// The hooks of one lifecycle.
#[derive(Clone, Debug)]
pub(crate) struct Hooks {
    shared: Arc<Shared>,
    /// Told what fails, and left what is to be dropped.
    follow: Arc<Follow>,
    process: u32,
    re_raise: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    #[cfg(feature = "tokio")]
    over: tokio::sync::watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    set: HookSet,
    signals: Lane,
    ending: Lane,
    hangups: Vec<Hangup>,
    next_hangup: u64,
    failures: Kept<Failure>,
    /// When patience is over; set by the end of the lifecycle.
    until: Option<Instant>,
    over: bool,
}

/// A SIGHUP that takes effect when `before_hup` has returned.
#[derive(Debug)]
struct Hangup {
    id: u64,
    received: Received,
    at: Instant,
    due: Instant,
}

/// What nobody waits for any more, to be told and let go of without the lock.
struct GivenUp {
    late: Vec<Failure>,
    jobs: Vec<Job>,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Signals,
    Ending,
}

impl Hooks {
    /// Nothing runs until [`start`](Self::start).
    pub(crate) fn new(set: HookSet) -> Self {
        let re_raise = set.re_raise;
        let shared = Shared {
            state: Mutex::new(State { set, ..State::default() }),
            changed: Condvar::new(),
            #[cfg(feature = "tokio")]
            over: tokio::sync::watch::Sender::new(false),
        };
        let follow = Arc::new(Follow::new());
        Self { shared: Arc::new(shared), follow, process: std::process::id(), re_raise }
    }

    /// Who tells of the lifecycle.
    pub(crate) fn follow(&self) -> &Arc<Follow> {
        &self.follow
    }

    /// Starts the threads that the hooks need, now rather than when there may be none left.
    pub(crate) fn start(&self) -> io::Result<()> {
        let Some(mut state) = self.state() else { return Ok(()) };
        if state.set.needs_signals() {
            self.start_lane(&mut state, Which::Signals)?;
        }
        if state.set.needs_ending() {
            self.start_lane(&mut state, Which::Ending)?;
        }
        Ok(())
    }

    /// Adds a hook for a signal, and starts its thread if need be.
    pub(crate) fn add(&self, signal: Signal, hook: SignalHook) -> io::Result<()> {
        let Some(mut state) = self.state() else { return Ok(()) };
        if state.until.is_none() {
            self.start_lane(&mut state, Which::Signals)?;
            state.set.on_signal.push((signal, hook));
        }
        Ok(())
    }

    /// Ends the threads of a lifecycle that came to nothing; no hook has been called.
    pub(crate) fn dismiss(&self) {
        if let Some(mut state) = self.state() {
            let set = std::mem::take(&mut state.set);
            state.signals.close();
            state.ending.close();
            drop(state);
            drop(set);
            self.shared.changed.notify_all();
            self.join();
        }
    }

    /// Takes back a hook whose signal could not be handled.
    pub(crate) fn remove(&self, hook: &SignalHook) {
        if let Some(mut state) = self.state() {
            let taken = state.set.on_signal.extract_if(.., |(_, kept)| Arc::ptr_eq(kept, hook));
            let taken: Vec<_> = taken.collect();
            drop(state);
            drop(taken);
        }
    }

    /// A signal was delivered; `stops`: it is a stop signal of this lifecycle.
    pub(crate) fn deliver(&self, core: &Arc<Core>, received: Received, at: Instant, stops: bool) {
        let reloads = received.signal == Signal::HANGUP && !stops && core.reload_begins();
        let Some(mut state) = self.state() else { return };
        let mut replaced = Vec::new();
        let hangs_up = received.signal == Signal::HANGUP && !state.set.before_hup.is_empty();
        if hangs_up {
            self.hang_up(&mut state, core, received, at, stops);
        }
        let hooks = state.set.on_signal.iter().filter(|(signal, _)| *signal == received.signal);
        for (number, hook) in hooks.map(|(_, hook)| Arc::clone(hook)).enumerate().collect::<Vec<_>>() {
            let stop = Stop::new(Arc::clone(core));
            let name = format!("on_signal {}", received.signal);
            let job = Job::hook(name, move || hook(received, &stop)).merged((received.signal, number));
            replaced.extend(state.signals.push(job));
        }
        let has_hooks = state.signals.has_thread();
        if reloads && has_hooks {
            let core = Arc::clone(core);
            state.signals.push(Job::own(move || core.reload_ends()));
        }
        drop(state);
        self.shared.changed.notify_all();
        self.let_go(replaced);
        if reloads && !has_hooks {
            core.reload_ends();
        }
        // After its hooks are asked for, since it may bring the end at once; it waits for none of them.
        if stops && !hangs_up {
            core.signal(received, at);
        }
    }

    fn hang_up(&self, state: &mut State, core: &Arc<Core>, received: Received, at: Instant, stops: bool) {
        for hook in state.set.before_hup.clone() {
            let stop = Stop::new(Arc::clone(core));
            // Neither this nor the next is of a kind that replaces another.
            state.signals.push(Job::hook("before_hup".to_owned(), move || hook(received, &stop)));
        }
        if stops {
            let id = state.next_hangup;
            state.next_hangup += 1;
            let due = at.checked_add(PATIENCE).unwrap_or(at);
            state.hangups.push(Hangup { id, received, at, due });
            let (shared, core) = (Arc::clone(&self.shared), Arc::clone(core));
            state.signals.push(Job::own(move || {
                let hangups = shared.lock().take_hangups(|hangup| hangup.id == id);
                hangups.into_iter().for_each(|hangup| core.signal(hangup.received, hangup.at));
            }));
        }
    }

    /// How long until [`tick`](Self::tick) has something to do.
    pub(crate) fn wake_in(&self) -> Option<Duration> {
        let state = self.state()?;
        let until = state.until.filter(|_| !state.over);
        let due = state.hangups.iter().map(|hangup| hangup.due).chain(until).min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Ends the waiting that has lasted long enough.
    pub(crate) fn tick(&self, core: &Core) {
        let now = Instant::now();
        let Some(mut state) = self.state() else { return };
        let due = state.take_hangups(|hangup| hangup.due <= now);
        let late = (!due.is_empty()).then(|| state.fail_late("before_hup".to_owned())).flatten();
        let given_up = state.until.is_some_and(|until| until <= now).then(|| state.give_up()).flatten();
        drop(state);
        due.into_iter().for_each(|hangup| core.signal(hangup.received, hangup.at));
        self.tell(late);
        self.given_up(given_up);
    }

    /// The lifecycle is at its end: `before_termination` begins, once.
    pub(crate) fn end(&self, core: &Arc<Core>) {
        let left = core.last_moment().map(|last| last.saturating_duration_since(Instant::now()));
        let patience = left.map_or(PATIENCE, |left| left.clamp(LAST_WORDS, PATIENCE));
        let Some(mut state) = self.state() else { return };
        if state.until.is_some() {
            return;
        }
        state.until = Instant::now().checked_add(patience);
        state.failures.make_room();
        // Hooks commonly hold a `Stop`, which holds the core, which holds them.
        let set = std::mem::take(&mut state.set);
        state.hangups.clear();
        for hook in &set.before_termination {
            let (core, hook) = (Arc::clone(core), Arc::clone(hook));
            let job = move || hook(&Report::of(&core));
            // Never one that replaces another.
            state.ending.push(Job::hook("before_termination".to_owned(), job));
        }
        state.signals.close();
        state.ending.close();
        let over = state.settle();
        drop(state);
        self.shared.changed.notify_all();
        if over {
            self.shared.publish_over();
        }
        let are_some = set.needs_signals() || set.needs_ending();
        self.let_go(are_some.then_some(set));
    }

    /// Once the phase is `Stopped`: blocks until the hooks are over, which have all returned, or `PATIENCE` has passed
    /// since. Not in a hook, which would wait for itself.
    pub(crate) fn wait(&self) {
        if RUNS_HOOKS.try_with(Cell::get).unwrap_or(true) {
            return;
        }
        let Some(mut state) = self.state() else { return };
        while !state.over {
            let until = state.until.map(|until| until.saturating_duration_since(Instant::now()));
            // Without a time the end is decided, and being told to us by another thread.
            let left = until.unwrap_or(PATIENCE);
            if left.is_zero() {
                let given_up = state.give_up();
                drop(state);
                self.given_up(given_up);
                return self.join();
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.join();
    }

    /// Completes when the hooks are over.
    #[cfg(feature = "tokio")]
    pub(crate) async fn over(&self) {
        if self.process == std::process::id() {
            // The sender lives here, so this cannot end without it.
            _ = self.shared.over.subscribe().wait_for(|over| *over).await;
        }
    }

    /// Keeps the time where there is no signal thread to do it.
    #[cfg(feature = "tokio")]
    pub(crate) fn watch(&self) {
        if self.state().is_some_and(|state| state.until.is_some() && !state.over) {
            let hooks = self.clone();
            // Where none can be had, the hooks' own return ends the wait.
            _ = std::thread::Builder::new().name("exeunt-watchdog".to_owned()).spawn(move || hooks.wait());
        }
    }

    /// Whether the program is to end by the signal that ended it.
    pub(crate) fn re_raise(&self) -> bool {
        self.re_raise
    }

    /// What went wrong in hooks so far.
    pub(crate) fn failures(&self) -> (Vec<Failure>, u64) {
        let failures = self.state().map(|state| (state.failures.kept().to_vec(), state.failures.left_out()));
        failures.unwrap_or_default()
    }

    fn given_up(&self, given_up: Option<GivenUp>) {
        if let Some(GivenUp { late, jobs }) = given_up {
            self.shared.publish_over();
            self.tell(late);
            self.let_go(jobs);
        }
    }

    /// Not under the lock: it is foreign code that listens.
    fn tell(&self, failures: impl IntoIterator<Item = Failure>) {
        failures.into_iter().for_each(|failure| self.follow.push(Item::HookFailed(failure)));
        self.follow.tell();
    }

    /// Nothing of it is dropped here, which may be the signal thread.
    fn let_go<T: Any + Send>(&self, what: impl IntoIterator<Item = T>) {
        let leftovers: Vec<_> = what.into_iter().map(|what| Leftover::new("a hook", what)).collect();
        if !leftovers.is_empty() {
            self.follow.push(Item::Leftovers(leftovers));
            self.follow.tell();
        }
    }

    /// Waits for the threads that are about to end.
    fn join(&self) {
        let Some(mut state) = self.state() else { return };
        let threads = [Which::Signals, Which::Ending].map(|which| state.lane(which).take_finished());
        drop(state);
        for thread in threads.into_iter().flatten() {
            // It does not panic: hooks' panics are caught.
            _ = thread.join();
        }
    }

    fn start_lane(&self, state: &mut State, which: Which) -> io::Result<()> {
        let name = match which {
            Which::Signals => "exeunt-hooks",
            Which::Ending => "exeunt-ending",
        };
        if !state.lane(which).has_thread() {
            let (shared, follow) = (Arc::clone(&self.shared), Arc::clone(&self.follow));
            let thread = std::thread::Builder::new().name(name.to_owned());
            let thread = thread.spawn(move || shared.run(which, &follow))?;
            state.lane(which).start(thread);
        }
        Ok(())
    }

    /// The state; not in a forked child.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        (self.process == std::process::id()).then(|| self.shared.lock())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a lane's thread.
    fn run(&self, which: Which, follow: &Arc<Follow>) {
        RUNS_HOOKS.set(true);
        let mut state = self.lock();
        loop {
            if let Some(job) = state.lane(which).next() {
                drop(state);
                let failure = job.run();
                let told = failure.clone();
                state = self.lock();
                state.lane(which).done();
                // Once given up on, it is among the failures already.
                if !state.over {
                    failure.into_iter().for_each(|failure| state.failures.push(failure));
                }
                if let Some(failure) = told {
                    drop(state);
                    follow.push(Item::HookFailed(failure));
                    follow.tell();
                    state = self.lock();
                }
            } else if state.lane(which).is_finished() {
                break;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let over = state.settle();
        drop(state);
        if over {
            self.publish_over();
        }
    }

    fn publish_over(&self) {
        self.changed.notify_all();
        #[cfg(feature = "tokio")]
        self.over.send_replace(true);
    }
}

impl State {
    fn lane(&mut self, which: Which) -> &mut Lane {
        match which {
            Which::Signals => &mut self.signals,
            Which::Ending => &mut self.ending,
        }
    }

    fn take_hangups(&mut self, which: impl Fn(&Hangup) -> bool) -> Vec<Hangup> {
        self.hangups.extract_if(.., |hangup| which(hangup)).collect()
    }

    /// True for whoever finds first that all is done.
    fn settle(&mut self) -> bool {
        let first = !self.over && self.signals.is_finished() && self.ending.is_finished();
        self.over |= first;
        first
    }

    /// Leaves alone what still runs, for whoever does so first.
    fn give_up(&mut self) -> Option<GivenUp> {
        if self.over {
            return None;
        }
        self.over = true;
        let [(mut names, mut jobs), (more_names, more_jobs)] =
            [self.signals.abandon(), self.ending.abandon()];
        names.extend(more_names);
        jobs.extend(more_jobs);
        let late = names.into_iter().filter_map(|name| self.fail_late(name)).collect();
        Some(GivenUp { late, jobs: jobs.into() })
    }

    fn fail_late(&mut self, name: String) -> Option<Failure> {
        let failure = Failure { name, error: "did not return in time".to_owned() };
        // A hang-up that took effect without its hook has said so already.
        if self.failures.kept().contains(&failure) {
            return None;
        }
        self.failures.push(failure.clone());
        Some(failure)
    }
}
