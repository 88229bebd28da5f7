//! The turn of a connection that is not there yet.

use super::{Fate, Reactor};
use crate::connect::Progress;
use crate::core::Stage;
use crate::entry::{Entry, Secured, Socket};
use crate::event::Event;
use mio::Token;
use std::net::SocketAddr;
use std::time::Instant;

impl Reactor {
    pub(super) fn go_on_connecting(&mut self, slot: usize) -> Fate {
        let Some(Entry { connection, .. }) = self.entries.get(slot) else { return Fate::Stays };
        let connection = connection.clone();
        let answer = {
            let mut session = connection.lock();
            session.looked_at();
            if session.has_nothing_to_connect_for() {
                return Fate::Gone;
            }
            session.take_resolved()
        };
        if let Some(answer) = answer {
            let resolved = answer.is_ok();
            let Some(Entry { socket: Socket::Connecting(connecting), .. }) = self.entries.get_mut(slot)
            else {
                return Fate::Stays;
            };
            connecting.resolved(answer);
            if resolved {
                connection.tell(&self.core, Event::Resolve);
                self.now = Instant::now();
            }
        }
        let Some(Entry { socket: Socket::Connecting(connecting), .. }) = self.entries.get_mut(slot) else {
            return Fate::Stays;
        };
        match connecting.step(self.now, self.poll.registry(), Token(slot)) {
            Progress::Waits(at) => Fate::Rests(at),
            Progress::Failed(text) => {
                connection.tell(&self.core, Event::Error(&text));
                Fate::Gone
            }
            Progress::Connected { socket, remote } => self.connected(slot, socket, remote),
        }
    }

    fn connected(&mut self, slot: usize, socket: Socket, remote: Option<SocketAddr>) -> Fate {
        let Some(entry) = self.entries.get_mut(slot) else { return Fate::Stays };
        let connecting = std::mem::replace(&mut entry.socket, socket);
        let connection = entry.connection.clone();
        // What was heard so far may be of an attempt that failed. Watched anew, it is told of as it is now.
        (entry.readable, entry.writable, entry.hung_up, entry.broken) = (true, true, false, false);
        if let Err(error) = entry.register(self.poll.registry(), Token(slot)) {
            let why = format!("the kernel does not watch the socket: {error}");
            if let Socket::Connecting(connecting) = connecting {
                connection.tell(&self.core, Event::Error(&connecting.failure(&why)));
            }
            entry.socket = Socket::Between;
            return Fate::Gone;
        }
        let secured = match connecting {
            Socket::Connecting(connecting) => connecting.secured(),
            _ => Secured::No,
        };
        let local = entry.socket.prepare();
        if let Socket::Stream(_) = entry.socket {
            self.streams += 1;
        }
        let datagram = match &entry.socket {
            Socket::Datagram(socket) => Some(std::sync::Arc::clone(socket)),
            _ => None,
        };
        connection.lock().connected(self.now, local, remote.map(Into::into), datagram);
        connection.tell(&self.core, Event::Connect);
        self.secure(&connection, &secured);
        if self.core.stage() >= Stage::Draining {
            self.tell_drain(&connection);
            let next = connection.lock().enter(&self.core, Instant::now(), Stage::Draining);
            drop(next);
        }
        self.now = Instant::now();
        // What was written meanwhile goes, and what the handler wants is done.
        self.turn(slot, None);
        Fate::Stays
    }
}
