//! Sockets that come into the loop, and those that go.

use super::{Reactor, list};
use crate::core::Stage;
use crate::entry::{Entry, Socket};
use crate::event::Event;
use crate::session::Session;
use exeunt_listener::{Address, CloseOptions};
use mio::Token;
use std::time::Instant;

impl Reactor {
    /// Takes a socket in.
    pub(super) fn add(&mut self, mut entry: Entry) {
        let vacant = self.entries.vacant_entry();
        let slot = vacant.key();
        if let Err(error) = entry.register(self.poll.registry(), Token(slot)) {
            let text = format!("the kernel does not watch the socket: {error}");
            entry.connection.tell(&self.core, Event::Error(&text));
            return self.bury(entry);
        }
        let connection = entry.connection.clone();
        connection.lock().placed(slot);
        match (&entry.socket, self.core.stage()) {
            (Socket::Stream(_), _) => self.streams += 1,
            // What comes this late goes with the others.
            (Socket::Listener(_), Stage::Draining) => connection.lock().drain(&self.core),
            (Socket::Listener(_), Stage::Cut) => connection.lock().close(),
            (Socket::Connecting(connecting), Stage::Cut) => {
                let text = connecting.failure("the stop is over");
                self.cut_short(&connection);
                connection.tell(&self.core, Event::Error(&text));
                return self.bury(entry);
            }
            _ => {}
        }
        vacant.insert(entry);
        self.list_for_polls(&connection);
        // What was done to it before it had a place.
        self.turn_or_list(slot);
    }

    pub(super) fn remove(&mut self, slot: usize) {
        let Some(entry) = self.entries.try_remove(slot) else { return };
        self.deadlines.tidy(&self.entries);
        if let Socket::Stream(_) = entry.socket {
            self.streams -= 1;
            if self.streams < self.core.limits.connections {
                for slot in self.waiting.drain(..) {
                    if let Some(entry) = self.entries.get_mut(slot) {
                        list(&mut self.listed, entry, slot);
                    }
                }
            }
        }
        self.bury(entry);
        self.now = Instant::now();
    }

    /// Tells the last event, and closes the socket.
    fn bury(&self, entry: Entry) {
        let Entry { connection, mut socket, .. } = entry;
        connection.tell_end(&self.core, Session::gone);
        if let Socket::Stream(wire) = &mut socket {
            wire.say_goodbye();
        }
        if let Socket::Listener(door) = socket
            && let Address::Unix(_) = door.listener.local_address()
        {
            // Its name goes with it; that is the first step of a close, and the others are for clients in its queue.
            _ = door.listener.close(CloseOptions::default()).step(Instant::now());
        }
    }

    /// Closes everything at once, the newest first.
    pub(crate) fn close(&mut self) {
        let mut entries = self.core.take_inbox(usize::MAX).unwrap_or_default().added;
        self.wakeups.clear();
        self.entering.clear();
        entries.extend(std::mem::take(&mut self.entries).into_iter().map(|(_, entry)| entry));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.connection.id()));
        for mut entry in entries {
            if let Socket::Stream(wire) = &mut entry.socket
                && entry.connection.lock().is_cut_short()
            {
                wire.reset_on_close();
            }
            self.bury(entry);
        }
        self.streams = 0;
        self.listed.clear();
        self.polled.clear();
        self.waiting.clear();
    }
}
