//! The beginning and the end of a drain: the two times that the loop walks over everything that is open.

use super::Reactor;
use super::stream::settle;
use crate::connection::Connection;
use crate::core::Stage;
use crate::entry::Socket;
use crate::event::Event;
use std::time::Instant;

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
        for slot in self.slots(|socket| matches!(socket, Socket::Stream(_) | Socket::Datagram(_))) {
            let Some(connection) = self.entries.get(slot).map(|entry| entry.connection.clone()) else {
                continue;
            };
            self.tell_drain(&connection);
            self.enter(slot, Stage::Draining);
        }
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
        // Who is in a queue still is not served any more.
        for slot in self.slots(|socket| matches!(socket, Socket::Listener(_) | Socket::Closing(..))) {
            self.remove(slot);
        }
        for slot in self.slots(|socket| matches!(socket, Socket::Stream(_))) {
            self.enter(slot, Stage::Cut);
        }
    }

    /// Whether nothing is left that a drain waits for. UDP sockets are left: there is no telling what they owe.
    pub(crate) fn is_drained(&self) -> bool {
        self.entries.iter().all(|(_, entry)| matches!(entry.socket, Socket::Datagram(_)))
    }

    fn enter(&mut self, slot: usize, stage: Stage) {
        let Some(entry) = self.entries.get(slot) else { return };
        let (next, over) = {
            let mut session = entry.connection.lock();
            (session.enter(&self.core, self.now, stage), session.take_over())
        };
        settle(over);
        self.turn(slot, Some(next));
    }

    fn slots(&self, which: impl Fn(&Socket) -> bool) -> Vec<usize> {
        self.entries.iter().filter(|(_, entry)| which(&entry.socket)).map(|(slot, _)| slot).collect()
    }
}
