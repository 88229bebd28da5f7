//! The open connections, so that the drain and the cut reach each of them.

use crate::exchange::Exchange;
use exeunt_drain::Input;
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
    open: Slab<Arc<Exchange>>,
    stage: Stage,
}

/// How far the stop has come; a connection accepted late starts there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Serving,
    Draining,
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
    pub(crate) fn enter(self: &Arc<Self>, exchange: Arc<Exchange>) -> Entry {
        let mut state = self.lock();
        // Under the lock: either it is in the slab when a stage begins, or it begins in that stage.
        for stage in [Stage::Draining, Stage::Cut] {
            if state.stage >= stage {
                tell(&exchange, stage);
            }
        }
        Entry { registry: Arc::clone(self), key: state.open.insert(exchange) }
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// The drain begins: silent connections have their grace from now on (D5).
    pub(crate) fn drain(&self) {
        self.begin(Stage::Draining);
    }

    /// The drain deadline has come, or the end is forced (D8).
    pub(crate) fn cut(&self) {
        self.begin(Stage::Cut);
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

    fn begin(&self, stage: Stage) {
        let mut state = self.lock();
        state.stage = state.stage.max(stage);
        for (_, exchange) in &state.open {
            tell(exchange, stage);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(exchange: &Exchange, stage: Stage) {
    match stage {
        Stage::Serving => {}
        Stage::Draining => exchange.intervene(Input::Draining),
        Stage::Cut => exchange.intervene(Input::Cut),
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
