//! Telling event loops of other kinds that the stop has moved on.

use crate::follow::Follow;
use crate::runner::Runner;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

pub(crate) type Act = dyn Fn() + Send + Sync;

/// Keeps what was given to [`Stop::on_change`](crate::Stop::on_change), or to `Stop::on_record_metrics`, in force; dropping
/// it ends that.
#[must_use = "dropping it at once says that nobody wants to know"]
pub struct Watch {
    #[expect(dead_code, reason = "held for its drop")]
    act: Arc<Act>,
}

/// Who wants to know.
#[derive(Default)]
pub(crate) struct Watchers {
    acts: Mutex<Vec<Weak<Act>>>,
    /// Calls them, so that none waits for a subscriber or a follower that blocks.
    runner: Arc<Runner>,
}

impl Watchers {
    pub(crate) fn add(&self, act: Arc<Act>) -> Watch {
        let mut acts = self.lock();
        acts.retain(|watcher| watcher.strong_count() > 0);
        acts.push(Arc::downgrade(&act));
        Watch { act }
    }

    /// From now on a thread tells; where none can be had, the one that tells everybody else.
    pub(crate) fn start(&self) {
        _ = self.runner.start("exeunt-watching");
    }

    /// Those that there are now.
    #[cfg(feature = "metrics")]
    pub(crate) fn acts(&self) -> Vec<Weak<Act>> {
        self.lock().clone()
    }

    pub(crate) fn tell(&self, follow: &Arc<Follow>) {
        let acts = self.lock().clone();
        if acts.is_empty() {
            return;
        }
        let told = Arc::clone(follow);
        let job = move || {
            for act in acts {
                // Here, so that nobody is told who has dropped the watch meanwhile.
                if let Some(act) = act.upgrade() {
                    told.contained("on_change", move || act());
                }
            }
        };
        if let Err(job) = self.runner.push(Box::new(job)) {
            follow.aside(job);
        }
    }

    /// Waits until all have been told, `patience` at most.
    pub(crate) fn flush(&self, patience: Duration) {
        self.runner.wait(patience);
    }

    /// The lifecycle is over.
    pub(crate) fn close(&self) {
        self.runner.close();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Act>>> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").field("acts", &self.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Watchers;
    use crate::follow::Follow;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_watch_is_told_until_it_is_dropped() {
        let (watchers, follow) = (Watchers::default(), Arc::new(Follow::new()));
        let told = Arc::new(AtomicU32::new(0));
        let count = |told: &Arc<AtomicU32>| {
            let told = Arc::clone(told);
            watchers.add(Arc::new(move || _ = told.fetch_add(1, Ordering::SeqCst)))
        };
        let (first, second) = (count(&told), count(&told));
        watchers.tell(&follow);
        assert_eq!(told.load(Ordering::SeqCst), 2);
        drop(first);
        watchers.tell(&follow);
        assert_eq!(told.load(Ordering::SeqCst), 3);
        drop(second);
        watchers.tell(&follow);
        assert_eq!(told.load(Ordering::SeqCst), 3);
    }
}
