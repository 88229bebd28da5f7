//! Telling event loops of other kinds that the stop has moved on.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

type Act = dyn Fn() + Send + Sync;

/// Keeps what was given to [`Stop::on_change`](crate::Stop::on_change) in force; dropping it ends that.
#[must_use = "dropping it at once says that nobody wants to know"]
pub struct Watch {
    #[expect(dead_code, reason = "held for its drop")]
    act: Arc<Act>,
}

/// Who wants to know.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<Vec<Weak<Act>>>);

impl Watchers {
    pub(crate) fn add(&self, act: Arc<Act>) -> Watch {
        let mut watchers = self.lock();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&act));
        Watch { act }
    }

    /// Outside of the lock: what is called may drop its own watch, or add another.
    pub(crate) fn tell(&self) {
        let watchers: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        for act in watchers {
            act();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Act>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watchers").field(&self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Watchers;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_watch_is_told_until_it_is_dropped() {
        let watchers = Watchers::default();
        let told = Arc::new(AtomicU32::new(0));
        let count = |told: &Arc<AtomicU32>| {
            let told = Arc::clone(told);
            watchers.add(Arc::new(move || _ = told.fetch_add(1, Ordering::SeqCst)))
        };
        let (first, second) = (count(&told), count(&told));
        watchers.tell();
        assert_eq!(told.load(Ordering::SeqCst), 2);
        drop(first);
        watchers.tell();
        assert_eq!(told.load(Ordering::SeqCst), 3);
        drop(second);
        watchers.tell();
        assert_eq!(told.load(Ordering::SeqCst), 3);
    }
}
