//! The programs of `exeunt.run` that are running: a block is a shield of theirs as well, so that it moves their deadlines (L6).

use super::live::lock;
use crate::lifecycle::site;
use exeunt_lifecycle::{Shield, Stop};
use pyo3::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

static RUNNING: Mutex<Vec<(u64, Stop)>> = Mutex::new(Vec::new());

/// Looked at by every block: without a program it costs no more.
static IS_ANY: AtomicBool = AtomicBool::new(false);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// One begins; what is answered ends it.
pub(super) fn begins(stop: Stop) -> u64 {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    lock(&RUNNING).push((number, stop));
    IS_ANY.store(true, Ordering::Relaxed);
    number
}

pub(super) fn ends(number: u64) {
    let mut running = lock(&RUNNING);
    let ended = running.iter().position(|(known, _)| *known == number).map(|at| running.swap_remove(at));
    IS_ANY.store(!running.is_empty(), Ordering::Relaxed);
    drop(running);
    drop(ended);
}

/// What one block holds of them.
#[derive(Default)]
pub(super) struct Held(Vec<(Stop, Shield)>);

impl Held {
    /// After the stop request of a program a block is none of its shields (L8): it has until the drain deadline.
    #[inline]
    pub(super) fn take(py: Python<'_>, budget: Duration) -> Self {
        if IS_ANY.load(Ordering::Relaxed) { Self::of_all(py, budget) } else { Self::default() }
    }

    #[cold]
    fn of_all(py: Python<'_>, budget: Duration) -> Self {
        let stops: Vec<Stop> = lock(&RUNNING).iter().map(|(_, stop)| stop.clone()).collect();
        let site = site::of_caller(py);
        let shield = |stop: Stop| stop.shield_at(budget, site).ok().map(|shield| (stop, shield));
        Self(stops.into_iter().filter_map(shield).collect())
    }

    /// Its time begins anew, as the block's does. Not during a stop: this is no safe point of that one.
    #[inline]
    pub(super) fn touch(&self) {
        for (stop, shield) in &self.0 {
            if !stop.is_requested() {
                _ = shield.allow_break();
            }
        }
    }

    /// It may wait for a lifecycle's lock.
    #[inline]
    pub(super) fn end(self, py: Python<'_>) {
        if !self.0.is_empty() {
            py.detach(|| drop(self));
        }
    }

    pub(super) fn renew(&mut self, budget: Duration) {
        for (_, shield) in &mut self.0 {
            // Where it is over, that stop has gone on without it.
            _ = shield.renew(budget);
        }
    }
}
