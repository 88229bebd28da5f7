//! The beginning and the end of a drain: the two times that the loop walks over everything that is open.

use super::Reactor;
use super::stream::{self, settle};
use crate::connection::Connection;
use crate::core::Stage;
use crate::entry::{Entry, Socket};
use crate::event::Event;
use std::time::{Duration, Instant};

impl Reactor {
    /// Listeners close without losing anyone, the program is told, and whoever is silent has his grace from now on.
    pub(crate) fn begin_drain(&mut self) {
        self.core.enter(Stage::Draining);
        // Listeners that the loop has not seen yet have their queue, too.
        self.read_inbox();
        self.now = Instant::now();
        for slot in self.slots(|socket| matches!(socket, Socket::Listener(_))) {
            if let Some(entry) = self.entries.get(slot) {
                entry.connection.lock().drain(&self.core);
            }
            self.turn(slot, None);
        }
        let hears = |socket: &Socket| {
            matches!(socket, Socket::Stream(_) | Socket::Datagram(_) | Socket::Connecting(_))
        };
        self.entering = self.slots(hears).into();
    }

    /// Each of those that are open has a turn of its own for the beginning of the drain. Whether somebody had it now.
    pub(super) fn enter_drain(&mut self) -> bool {
        let some = !self.entering.is_empty();
        while !self.is_over()
            && let Some(slot) = self.entering.pop_front()
        {
            // It may be gone, and be another by now, who was told when he came, and does not begin twice.
            let Some(connection) = self.entries.get(slot).map(|entry| entry.connection.clone()) else {
                continue;
            };
            self.tell_drain(&connection);
            self.now = Instant::now();
            self.enter(slot, Stage::Draining);
        }
        some
    }

    /// Whoever is accepted in the drain is told as well, and nobody twice.
    pub(super) fn tell_drain(&self, connection: &Connection) {
        if connection.lock().is_to_hear_of_drain() {
            connection.tell(&self.core, Event::Drain);
        }
    }

    /// The drain deadline has come: what is in flight is cut (rule D8).
    pub(crate) fn cut(&mut self) {
        self.core.enter(Stage::Cut);
        self.now = Instant::now();
        // Every turn in here is one of the last.
        self.until = None;
        self.entering.clear();
        // Whoever was to be connected in the last moment is cut like the others.
        self.read_inbox();
        // Who is in a queue still is not served any more.
        for slot in self.slots(|socket| matches!(socket, Socket::Listener(_) | Socket::Closing(..))) {
            self.give_up_queue(slot);
            self.remove(slot);
        }
        for slot in self.slots(|socket| matches!(socket, Socket::Connecting(_))) {
            if let Some(entry) = self.entries.get(slot) {
                self.cut_short(&entry.connection);
            }
            self.remove(slot);
        }
        for slot in self.slots(|socket| matches!(socket, Socket::Stream(_))) {
            if let Some(entry) = self.entries.get_mut(slot) {
                stream::look(&self.core, entry, &mut self.scratch, self.now);
            }
            self.enter(slot, Stage::Cut);
        }
    }

    /// Writes down what is asked on a connection that will not be.
    pub(super) fn cut_short(&self, connection: &Connection) {
        let over = {
            let mut session = connection.lock();
            session.enter(&self.core, self.now, Stage::Cut);
            session.take_over()
        };
        settle(over);
    }

    /// Writes down that clients may have been lost with the listener.
    fn give_up_queue(&self, slot: usize) {
        let Some(entry) = self.entries.get(slot) else { return };
        let address = entry.connection.local_address();
        let name =
            address.map_or_else(|| "a listener".to_owned(), |address| format!("a listener on {address}"));
        self.core.account().cut("queue", name, None, Duration::ZERO);
    }

    /// What lingers behind the cut has had its time.
    pub(crate) fn end_cut(&mut self) {
        for slot in self.slots(|socket| !matches!(socket, Socket::Datagram(_))) {
            if let Some(Entry { connection, socket: Socket::Stream(wire), .. }) = self.entries.get_mut(slot)
                && connection.unsent_len() > 0
            {
                wire.reset_on_close();
            }
            self.remove(slot);
        }
    }

    /// Whether nothing is left that a drain waits for. UDP sockets are left: there is no telling what they owe.
    pub(crate) fn is_drained(&self) -> bool {
        self.entering.is_empty()
            && (self.core.stage() == Stage::Cut || !self.core.has_added())
            && self.entries.iter().all(|(_, entry)| matches!(entry.socket, Socket::Datagram(_)))
    }

    fn enter(&mut self, slot: usize, stage: Stage) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        let (next, over) = {
            let mut session = entry.connection.lock();
            // What has come by now is told before Close is said, and may be answered.
            entry.readable |= session.is_websocket();
            (session.enter(&self.core, self.now, stage), session.take_over())
        };
        settle(over);
        self.turn(slot, Some(next));
    }

    fn slots(&self, which: impl Fn(&Socket) -> bool) -> Vec<usize> {
        self.entries.iter().filter(|(_, entry)| which(&entry.socket)).map(|(slot, _)| slot).collect()
    }
}
