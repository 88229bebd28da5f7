//! Timers: what is to be done at a time, or every so often.

use crate::core::Core;
use crate::handle::Handle;
use crate::handler::discard;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What a timer does.
pub(crate) type Callback = Box<dyn FnMut(&Handle) + Send>;

/// How often a timer fires, and when first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    period: Duration,
    repeat: bool,
    at_once: bool,
}

/// A timer. Dropping this changes nothing: it goes on until it has fired, is cancelled, or the manager closes.
#[derive(Clone)]
pub struct Timer {
    shared: Arc<Shared>,
}

impl Schedule {
    /// Once, after that long.
    #[must_use]
    pub fn once(after: Duration) -> Self {
        Self { period: after, repeat: false, at_once: false }
    }

    /// Every so often, first after one period; with a period of zero, in each pass. If the loop is late, a period is
    /// counted from the late firing: nothing is made up for.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        Self { period, repeat: true, at_once: false }
    }

    /// And first in the next pass.
    #[must_use]
    pub fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }
}

impl Timer {
    /// Ends it, from any thread; a second time does nothing. If it is firing in another thread at this moment, that
    /// firing is the last.
    pub fn cancel(&self) {
        self.shared.active.store(false, Ordering::SeqCst);
        if let Some(core) = self.shared.core.upgrade() {
            core.timers().forget(&self.shared);
        }
        // Whatever it owns goes outside of the lock.
        let callback = self.shared.lock().take();
        discard(callback);
    }

    /// What will not be called any more is not kept.
    pub(crate) fn tidy(&self) {
        self.shared.tidy();
    }

    /// Whether it will fire again. One that is due past the end of time will not.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.shared.active.load(Ordering::SeqCst) && self.shared.core.upgrade().is_some()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("active", &self.is_active()).finish_non_exhaustive()
    }
}

pub(crate) struct Shared {
    id: u64,
    schedule: Schedule,
    active: AtomicBool,
    /// When it is due, while it waits. Changed under the lock of [`Timers`] alone.
    due: Mutex<Option<Instant>>,
    /// None while it runs.
    callback: Mutex<Option<Callback>>,
    core: Weak<Core>,
}

/// The waiting timers, the next one first.
#[derive(Default)]
pub(crate) struct Timers {
    waiting: BTreeMap<(Instant, u64), Arc<Shared>>,
    next_id: u64,
}

impl Timers {
    pub(crate) fn add(
        &mut self,
        core: Weak<Core>,
        schedule: Schedule,
        callback: Callback,
        now: Instant,
    ) -> Timer {
        self.next_id += 1;
        let first = if schedule.at_once { Duration::ZERO } else { schedule.period };
        let shared = Arc::new(Shared {
            id: self.next_id,
            schedule,
            active: AtomicBool::new(true),
            due: Mutex::new(None),
            callback: Mutex::new(Some(callback)),
            core,
        });
        self.wait(&shared, now, first);
        Timer { shared }
    }

    /// When the next is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }

    /// Takes out those that are due, the soonest first.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<(Instant, Arc<Shared>)> {
        let mut due = Vec::new();
        while let Some(entry) = self.waiting.first_entry()
            && entry.key().0 <= now
        {
            let ((at, _), shared) = entry.remove_entry();
            *shared.due() = None;
            due.push((at, shared));
        }
        due
    }

    /// Puts back one that was due and has not fired.
    pub(crate) fn put_back(&mut self, at: Instant, shared: &Arc<Shared>) {
        // Whoever cancels it from here on looks for it behind this.
        if shared.active.load(Ordering::SeqCst) {
            *shared.due() = Some(at);
            self.waiting.insert((at, shared.id), Arc::clone(shared));
        }
    }

    /// Puts a repeating timer back after it has fired.
    pub(crate) fn again(&mut self, shared: &Arc<Shared>, now: Instant) {
        if shared.schedule.repeat && shared.active.load(Ordering::SeqCst) {
            self.wait(shared, now, shared.schedule.period);
        }
    }

    /// Ends all of them. What is given back is foreign: for whoever has the lock to discard behind it.
    pub(crate) fn clear(&mut self) -> Vec<Callback> {
        let all = std::mem::take(&mut self.waiting).into_values();
        all.filter_map(|timer| {
            timer.active.store(false, Ordering::SeqCst);
            // A callback that keeps its own timer keeps itself.
            timer.lock().take()
        })
        .collect()
    }

    fn wait(&mut self, shared: &Arc<Shared>, now: Instant, after: Duration) {
        // Past the end of time it never fires.
        let Some(due) = now.checked_add(after) else {
            shared.active.store(false, Ordering::SeqCst);
            return;
        };
        *shared.due() = Some(due);
        self.waiting.insert((due, shared.id), Arc::clone(shared));
    }

    fn forget(&mut self, shared: &Shared) {
        if let Some(due) = shared.due().take() {
            self.waiting.remove(&(due, shared.id));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        discard(self.callback.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Shared {
    /// Runs the callback, unless it was cancelled, and tells whether it did. Not under any lock, so that it may add and
    /// cancel timers, this one among them.
    pub(crate) fn fire(&self, handle: &Handle, guard: impl FnOnce(&mut dyn FnMut())) -> bool {
        if !self.active.load(Ordering::SeqCst) {
            return false;
        }
        if !self.schedule.repeat {
            self.active.store(false, Ordering::SeqCst);
        }
        let Some(mut callback) = self.lock().take() else { return false };
        guard(&mut || callback(handle));
        let mut place = self.lock();
        // Looked at under the lock: whoever cancels takes the callback from there, or has said so before.
        if self.active.load(Ordering::SeqCst) {
            *place = Some(callback);
        } else {
            drop(place);
            discard(callback);
        }
        true
    }

    /// Forgets the callback if it will not be called any more. Under no lock, since it is foreign.
    pub(crate) fn tidy(&self) {
        if !self.active.load(Ordering::SeqCst) {
            let callback = self.lock().take();
            discard(callback);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Callback>> {
        self.callback.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
