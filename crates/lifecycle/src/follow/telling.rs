//! Who tells, and when. Invariants:
//!
//! 1. News is queued under the core's lock, so that it is in the order in which it happened.
//! 2. It is told by one thread at a time and without that lock: whoever finds somebody telling leaves the rest to
//!    them, so that nobody waits, and followers may call what they like.
//! 3. An installed lifecycle has a thread that tells, and nobody else does while it lasts: a subscriber may block for
//!    ever, and one that blocks must keep neither the signal thread nor a thread of the program. On a runtime it is
//!    whichever thread moves the stop on.
//! 4. A panic of whoever is told is kept for the report, and the next is told.

use super::spans::Spans;
use super::{HeldScope, HeldUp, Progress};
use crate::cause::Failure;
use crate::core::Attempt;
use crate::foreign::{Leftover, foreign};
use crate::kept::MOST_KEPT;
use crate::machine::Phase;
use crate::runner::{Job, Runner};
use crate::scope::ScopeShared;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long the report waits for followers that block.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// How many pieces of work a notice names in each scope.
const NAMED: usize = 10;

type Follower = Arc<dyn Fn(&Progress) + Send + Sync>;

thread_local! {
    /// Whether this thread is telling.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// The followers, and what they have not been told yet.
pub(crate) struct Follow {
    queue: Mutex<VecDeque<Item>>,
    followers: Mutex<Vec<Follower>>,
    telling: Mutex<Spans>,
    runner: Arc<Runner>,
    /// Of those that were told.
    failures: Mutex<Vec<Failure>>,
}

/// What is to be told, or let go of.
#[derive(Debug)]
pub(crate) enum Item {
    News(Progress),
    /// Looked at without the core's lock, since there may be much of it.
    HeldUp {
        phase: Phase,
        since: Duration,
        scopes: Vec<Arc<ScopeShared>>,
        others: Vec<String>,
    },
    Attempt(Attempt),
    Closing(String),
    HookFailed(Failure),
    /// What is between us and the service manager.
    Service(String),
    #[cfg(unix)]
    StdinFailed(String),
    #[cfg(feature = "report-file")]
    NotWritten(String),
    Leftovers(Vec<Leftover>),
}

impl Follow {
    pub(crate) fn new() -> Self {
        Self {
            queue: Mutex::default(),
            followers: Mutex::default(),
            telling: Mutex::new(Spans::new()),
            runner: Arc::default(),
            failures: Mutex::default(),
        }
    }

    /// From now on a thread tells.
    pub(crate) fn start(&self) -> io::Result<()> {
        self.runner.start("exeunt-telling")
    }

    pub(crate) fn add(&self, follower: Follower) {
        lock(&self.followers).push(follower);
    }

    /// Under the core's lock; tell it afterwards.
    pub(crate) fn push(&self, item: Item) {
        lock(&self.queue).push_back(item);
    }

    /// Without any lock.
    pub(crate) fn tell(self: &Arc<Self>) {
        if !lock(&self.queue).is_empty() {
            let follow = Arc::clone(self);
            self.aside(Box::new(move || follow.tell_if_nobody_does()));
        }
    }

    /// Has something foreign called by the thread that tells, or here if there is none.
    pub(crate) fn aside(&self, job: Job) {
        match self.runner.push(job) {
            Ok(()) => {}
            // The lifecycle is over, and nobody waits for what it says; to drop it is to call it, too.
            Err(job) if crate::hub::is_signal_thread() => std::mem::forget(job),
            Err(job) => _ = foreign(job),
        }
    }

    /// Waits until everybody was told everything, or until a follower that blocks has had its time.
    pub(crate) fn flush(self: &Arc<Self>) {
        // A follower that closes its lifecycle must not wait for itself.
        if is_telling() {
            return;
        }
        let follow = Arc::clone(self);
        // What is queued may not have been handed to the thread yet.
        if self.runner.push(Box::new(move || follow.tell_if_nobody_does())).is_ok() {
            return self.runner.wait(PATIENCE);
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.telling.try_lock() {
                Ok(mut spans) => return self.tell_all(&mut spans),
                Err(TryLockError::Poisoned(poisoned)) => return self.tell_all(&mut poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// The lifecycle is over: what is left is told, and the followers are let go of, which commonly hold a `Stop`, and
    /// so whoever holds them.
    pub(crate) fn close(self: &Arc<Self>) {
        let follow = Arc::clone(self);
        self.aside(Box::new(move || {
            follow.tell_if_nobody_does();
            let followers = take(&mut *lock(&follow.followers));
            drop(followers);
        }));
        self.runner.close();
        if !crate::hub::is_signal_thread() {
            self.runner.wait(PATIENCE);
        }
    }

    /// Something foreign went wrong that nobody else can be told of.
    pub(crate) fn failed(&self, name: &str, error: String) {
        let failure = Failure { name: name.to_owned(), error };
        let mut failures = lock(&self.failures);
        if failures.len() < MOST_KEPT && !failures.contains(&failure) {
            failures.push(failure);
        }
    }

    /// What went wrong with those who were told.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        lock(&self.failures).clone()
    }

    fn tell_if_nobody_does(self: &Arc<Self>) {
        while !lock(&self.queue).is_empty() {
            match self.telling.try_lock() {
                Ok(mut spans) => self.tell_all(&mut spans),
                Err(TryLockError::Poisoned(poisoned)) => self.tell_all(&mut poisoned.into_inner()),
                // They look at the queue again after they have let go.
                Err(TryLockError::WouldBlock) => return,
            }
        }
    }

    fn tell_all(self: &Arc<Self>, spans: &mut Spans) {
        _ = TELLING.try_with(|telling| telling.set(true));
        loop {
            // Not in the loop's head, where the lock would be held all through its body.
            let next = lock(&self.queue).pop_front();
            let Some(item) = next else { break };
            if let Err(panic) = foreign(|| self.tell_one(item, spans)) {
                self.failed("telling", panic);
            }
        }
        _ = TELLING.try_with(|telling| telling.set(false));
    }

    fn tell_one(self: &Arc<Self>, item: Item, spans: &mut Spans) {
        let progress = match item {
            Item::News(progress) => progress,
            Item::HeldUp { phase, since, scopes, others } => {
                Progress::HeldUp(look(phase, since, &scopes, others))
            }
            Item::Leftovers(leftovers) => {
                for leftover in leftovers {
                    let follow = Arc::clone(self);
                    leftover.let_go(move |of, panic| follow.failed(of, panic));
                }
                return;
            }
            event => return self.contained("tracing", || event.trace()),
        };
        self.contained("tracing", || spans.trace(&progress));
        #[cfg(feature = "metrics")]
        self.contained("metrics", || crate::metrics::progress(&progress));
        let followers = lock(&self.followers).clone();
        for follower in followers {
            let progress = &progress;
            self.contained("on_progress", move || follower(progress));
        }
    }

    /// Calls something foreign, and keeps its panic for the report.
    pub(crate) fn contained(&self, name: &str, act: impl FnOnce()) {
        if let Err(panic) = foreign(act) {
            self.failed(name, panic);
        }
    }
}

impl Item {
    /// Those that are for the log alone.
    fn trace(self) {
        match self {
            Self::Attempt(attempt) => attempt.trace(),
            Self::Closing(component) => {
                tracing::debug!(target: "exeunt::lifecycle", component, "closing");
            }
            Self::HookFailed(Failure { name, error }) => {
                tracing::error!(target: "exeunt::lifecycle", hook = name, error, "hook failed");
            }
            Self::Service(what) => {
                tracing::warn!(target: "exeunt::lifecycle", what, "service manager");
            }
            #[cfg(unix)]
            Self::StdinFailed(error) => {
                tracing::error!(target: "exeunt::lifecycle", error, "stdin cannot be waited for");
            }
            #[cfg(feature = "report-file")]
            Self::NotWritten(error) => tracing::error!(target: "exeunt::lifecycle", error, "report"),
            Self::News(_) | Self::HeldUp { .. } | Self::Leftovers(_) => {}
        }
    }
}

fn look(phase: Phase, since: Duration, scopes: &[Arc<ScopeShared>], others: Vec<String>) -> HeldUp {
    let held = scopes.iter().map(|scope| HeldScope {
        name: scope.name.clone(),
        oldest: scope.live(NAMED),
        in_flight: scope.totals().in_flight(),
    });
    HeldUp { phase, since, scopes: held.collect(), others }
}

fn is_telling() -> bool {
    TELLING.try_with(Cell::get).unwrap_or(true)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}
