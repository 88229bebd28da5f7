//! When which socket is to be looked at, though nothing has happened to it.

use super::{Reactor, stream};
use crate::entry::{Entry, Socket};
use slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The next deadlines of all sockets, the soonest first.
///
/// Deadlines move away with each request, and hardly ever come. So each socket has one entry that counts, for its
/// deadline of some time ago; when that is reached, the socket is looked at, and armed for what is its deadline by then.
/// Only one that comes sooner is entered at once. Those of sockets that are gone stay until they are reached, or until
/// they are most of all.
#[derive(Default)]
pub(crate) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Deadlines {
    /// So many that count for nobody are no matter.
    const FEW: usize = 64;

    pub(crate) fn arm(&mut self, entry: &mut Entry, slot: usize, at: Option<Instant>) {
        let Some(at) = at else { return };
        if entry.armed.is_none_or(|armed| at < armed) {
            entry.armed = Some(at);
            self.heap.push(Reverse((at, slot)));
        }
    }

    /// Forgets those that count for nobody, where they are many.
    pub(crate) fn tidy(&mut self, entries: &Slab<Entry>) {
        if self.heap.len() > 2 * entries.len() + Self::FEW {
            let counts = |slot, at| entries.get(slot).is_some_and(|entry: &Entry| entry.armed == Some(at));
            self.heap.retain(|Reverse((at, slot))| counts(*slot, *at));
            self.heap.shrink_to(2 * self.heap.len());
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

impl Reactor {
    /// Lets those whose time has come have their turn.
    pub(super) fn keep_deadlines(&mut self) {
        let now = self.now;
        while !self.is_over()
            && let Some((slot, at)) = self.deadlines.pop(now)
        {
            let Some(entry) = self.entries.get_mut(slot) else { continue };
            // Not for its present deadline: it was armed anew, or is another socket.
            if entry.armed != Some(at) {
                continue;
            }
            entry.armed = None;
            let is_stream = matches!(entry.socket, Socket::Stream(_));
            if is_stream && entry.connection.lock().is_due(&self.core.limits, self.now) {
                // We may be who was late: what the kernel has of the peer's, and takes of ours, comes first.
                entry.readable = true;
                entry.writable = true;
                self.turn(slot, None);
                self.judge(slot);
            } else {
                self.turn(slot, None);
            }
        }
    }

    /// Whoever is late all the same has to bear the consequences.
    fn judge(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        if entry.connection.lock().is_due(&self.core.limits, self.now) {
            let next = stream::tick(&self.core, entry, &mut self.scratch, self.now);
            self.turn(slot, next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Deadlines;
    use crate::connection::{Connection, Kind};
    use crate::core::Core;
    use crate::entry::{Entry, Socket};
    use crate::limits::Limits;
    use crate::session::{Protocol, Session};
    use slab::Slab;
    use std::io;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn entry() -> Entry {
        let core = Arc::new(Core::new(None, Limits::default(), Err(io::ErrorKind::Unsupported)));
        let session = Session::new(Protocol::Listener, None, None);
        Entry::new(Connection::new(&core, Kind::Stream, session), Socket::Between)
    }

    #[test]
    fn only_what_comes_sooner_is_entered() {
        let (mut deadlines, mut entry, start) = (Deadlines::default(), entry(), Instant::now());
        let at = |ms| Some(start + Duration::from_millis(ms));
        deadlines.arm(&mut entry, 7, None);
        assert_eq!(deadlines.next(), None);
        deadlines.arm(&mut entry, 7, at(50));
        deadlines.arm(&mut entry, 7, at(90));
        assert_eq!((deadlines.next(), deadlines.heap.len(), entry.armed), (at(50), 1, at(50)));
        deadlines.arm(&mut entry, 7, at(20));
        assert_eq!((deadlines.next(), entry.armed), (at(20), at(20)));
        assert_eq!(deadlines.pop(start), None);
        assert_eq!(deadlines.pop(start + Duration::from_millis(60)), Some((7, at(20).unwrap())));
    }

    #[test]
    fn those_of_the_gone_are_few() {
        let (mut deadlines, start) = (Deadlines::default(), Instant::now());
        let mut entries = Slab::new();
        let stays = entries.insert(entry());
        deadlines.arm(&mut entries[stays], stays, Some(start + Duration::from_secs(100)));
        for later in 0..10_000 {
            let slot = entries.insert(entry());
            deadlines.arm(&mut entries[slot], slot, Some(start + Duration::from_micros(later)));
            entries.remove(slot);
            deadlines.tidy(&entries);
        }
        assert!(deadlines.heap.len() <= 100 && deadlines.heap.capacity() <= 200, "{}", deadlines.heap.len());
        let reached = std::iter::from_fn(|| deadlines.pop(start + Duration::from_secs(200)));
        assert!(reached.last().is_some_and(|(slot, _)| slot == stays), "who stays keeps his");
    }
}
