//! The blocks that are live, and in which threads. Touched with the GIL, or for an instant without. A block's own lock may
//! be held around this one's, not the other way round.

use super::block::ShutdownProtection;
use super::conductor::ROLLBACK;
use pyo3::prelude::*;
use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

static LIVE: Mutex<Live> = Mutex::new(Live { slots: Vec::new(), free: NONE });

/// A slot for each live block; empty ones are used again.
struct Live {
    slots: Vec<Slot>,
    /// The first of the empty ones.
    free: usize,
}

struct Slot {
    block: Option<Py<ShutdownProtection>>,
    next_free: usize,
}

/// No slot.
const NONE: usize = usize::MAX;

thread_local! {
    /// As `threading.get_ident` has it; 0 as long as nobody has asked.
    static THREAD: Cell<u64> = const { Cell::new(0) };
    /// The exception of the stop has been raised in this thread.
    static TOLD: Cell<bool> = const { Cell::new(false) };
}

/// Puts a block among those that are live, and answers where.
pub(super) fn add(block: Py<ShutdownProtection>) -> usize {
    let mut live = lock(&LIVE);
    let at = live.free;
    if let Some(slot) = live.slots.get_mut(at) {
        let next = slot.next_free;
        slot.block = Some(block);
        live.free = next;
        return at;
    }
    live.slots.push(Slot { block: Some(block), next_free: NONE });
    live.slots.len() - 1
}

/// Takes it out again. What is answered is dropped without the lock.
pub(super) fn remove(at: usize) -> Option<Py<ShutdownProtection>> {
    let mut live = lock(&LIVE);
    let free = live.free;
    let slot = live.slots.get_mut(at)?;
    let block = slot.block.take()?;
    slot.next_free = free;
    live.free = at;
    Some(block)
}

/// All that are live now.
pub(super) fn all(py: Python<'_>) -> Vec<Py<ShutdownProtection>> {
    let live = lock(&LIVE);
    live.slots.iter().filter_map(|slot| slot.block.as_ref()).map(|block| block.clone_ref(py)).collect()
}

/// Whether there is none. Needs no GIL.
pub(super) fn is_empty() -> bool {
    lock(&LIVE).slots.iter().all(|slot| slot.block.is_none())
}

/// This thread, by the number that Python knows it by.
#[inline]
pub(super) fn this_thread(py: Python<'_>) -> PyResult<u64> {
    let known = THREAD.get();
    if known != 0 {
        return Ok(known);
    }
    let thread: u64 = py.import("_thread")?.getattr("get_ident")?.call0()?.extract()?;
    THREAD.set(thread);
    Ok(thread)
}

pub(super) fn is_this_thread(number: u64) -> bool {
    THREAD.get() == number
}

pub(super) fn is_told() -> bool {
    TOLD.get()
}

pub(super) fn set_told() {
    TOLD.set(true);
}

/// A thread other than the main one that the exception has been raised in, until it ends.
struct Leaving;

/// How many there are, and when the last of them was told.
static LEAVING: Mutex<(usize, Option<Instant>)> = Mutex::new((0, None));

thread_local! {
    /// Dropped when the thread ends.
    static LEAVES: Cell<Option<Leaving>> = const { Cell::new(None) };
}

/// This thread is about to end, because of the exception.
pub(super) fn leaves() {
    _ = LEAVES.try_with(|leaves| leaves.set(Some(leaves.take().unwrap_or_else(Leaving::begin))));
}

/// Whether a thread leaves, and has not taken longer over that than it may.
pub(super) fn is_any_leaving() -> bool {
    let (count, last) = *lock(&LEAVING);
    count > 0 && last.is_some_and(|last| last.elapsed() < ROLLBACK)
}

impl Leaving {
    fn begin() -> Self {
        let mut leaving = lock(&LEAVING);
        *leaving = (leaving.0 + 1, Some(Instant::now()));
        Self
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut leaving = lock(&LEAVING);
        leaving.0 = leaving.0.saturating_sub(1);
    }
}

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
