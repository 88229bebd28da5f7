//! When which socket is to be looked at, though nothing has happened to it.

use crate::entry::Entry;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The next deadlines of all sockets, the soonest first.
///
/// Deadlines move away with each request, and hardly ever come. So each socket has one entry that counts, for its
/// deadline of some time ago; when that is reached, the socket is looked at, and armed for what is its deadline by then.
/// Only one that comes sooner is entered at once.
#[derive(Default)]
pub(crate) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Deadlines {
    pub(crate) fn arm(&mut self, entry: &mut Entry, slot: usize, at: Option<Instant>) {
        let Some(at) = at else { return };
        if entry.armed.is_none_or(|armed| at < armed) {
            entry.armed = Some(at);
            self.heap.push(Reverse((at, slot)));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out the next that has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let Reverse((at, slot)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        Some((slot, at))
    }
}
