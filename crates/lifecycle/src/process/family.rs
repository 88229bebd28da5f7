//! Those who hear of the stop together.

use super::child::Shared;
use std::sync::{Arc, Mutex, PoisonError, Weak};

#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) id: u64,
    pub(super) members: Arc<Members>,
}

/// Those that were started, and have not ended for long.
#[derive(Debug, Default)]
pub(super) struct Members(Mutex<Vec<Weak<Shared>>>);

impl Members {
    pub(super) fn join(&self, child: &Arc<Shared>) {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(child));
    }

    /// Each, with its group. From any thread: it waits for nothing. Not in a forked child.
    pub(super) fn kill(&self) {
        let members = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        members.iter().filter_map(Weak::upgrade).for_each(|member| member.kill());
    }
}
