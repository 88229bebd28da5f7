//! The open connections, so that the drain and the cut reach each of them.

#[cfg(feature = "metrics")]
use crate::telemetry::{Activity, Census, Protocol};
use slab::Slab;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Every open connection of one server.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: Slab<Arc<dyn Member>>,
    stage: Stage,
    /// How many there ever were.
    entered: u64,
}

/// An open connection, whatever it speaks. Told each [`Stage`] once at most, in their order, from outside its task; one that
/// is skipped is implied by the next.
pub(crate) trait Member: std::fmt::Debug + Send + Sync {
    /// The stop has come so far.
    fn tell(&self, stage: Stage);

    /// What it speaks, and what it does.
    #[cfg(feature = "metrics")]
    fn activity(&self) -> (Protocol, Activity);
}

/// How far the stop has come; a connection accepted late starts there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    #[default]
    Serving,
    /// A stop has been requested (D2).
    Stopping,
    /// Silent connections have their grace from now on (D5).
    Draining,
    /// The drain deadline has come, or the end is forced (D8).
    Cut,
}

/// A connection's entry, which goes when the connection does.
#[derive(Debug)]
pub(crate) struct Entry {
    registry: Arc<Registry>,
    key: usize,
}

impl Registry {
    /// Enters a connection.
    pub(crate) fn enter(self: &Arc<Self>, member: Arc<dyn Member>) -> Entry {
        let mut state = self.lock();
        state.tell_all(&*member);
        state.entered += 1;
        Entry { registry: Arc::clone(self), key: state.open.insert(member) }
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// What they all do.
    #[cfg(feature = "metrics")]
    pub(crate) fn census(&self) -> Census {
        let state = self.lock();
        let mut census = Census::of(state.entered);
        state.open.iter().for_each(|(_, member)| census.count(member.activity()));
        census
    }

    /// Waits until no connection is open. One that is entered later is not waited for.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.emptied.notified();
            if self.len() == 0 {
                return;
            }
            notified.await;
        }
    }

    /// The stop has come so far: every open connection is told, and every later one as it enters.
    pub(crate) fn begin(&self, stage: Stage) {
        let mut state = self.lock();
        if state.stage >= stage {
            return;
        }
        state.stage = stage;
        for (_, member) in &state.open {
            member.tell(stage);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Under the lock: either it is in the slab when a stage begins, or it begins in that stage.
    fn tell_all(&self, member: &dyn Member) {
        for stage in [Stage::Stopping, Stage::Draining, Stage::Cut] {
            if self.stage >= stage {
                member.tell(stage);
            }
        }
    }
}

impl Entry {
    /// The connection goes on as this: it speaks another protocol than was thought.
    pub(crate) fn replace(&self, member: Arc<dyn Member>) {
        let mut state = self.registry.lock();
        state.tell_all(&*member);
        if let Some(entered) = state.open.get_mut(self.key) {
            *entered = member;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        state.open.try_remove(self.key);
        if state.open.is_empty() {
            self.registry.emptied.notify_waiters();
        }
    }
}
