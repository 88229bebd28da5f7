//! A listener's turn: accepting, and closing without losing anyone (rule D3).

use super::{Fate, Reactor};
use crate::connection::Connection;
use crate::core::Stage;
use crate::entry::{Door, Entry, Secured, Socket, Speaks, Terms};
use crate::event::Event;
use crate::session::{Http, Protocol, Raw, Session};
use crate::wire::Stream;
use exeunt_listener::{Accept, Address, CloseOptions, Connection as Accepted, Step};
use mio::net::{TcpStream, UnixStream};
use mio::unix::SourceFd;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

/// Clients in one turn.
const CLIENTS: u32 = 64;

impl Reactor {
    pub(super) fn accept(&mut self, slot: usize) -> Fate {
        let mut clients = 0;
        loop {
            let full = self.streams >= self.core.limits.connections;
            let over = self.is_over();
            let Some(Entry { connection, socket: Socket::Listener(door), readable, armed, .. }) =
                self.entries.get_mut(slot)
            else {
                return Fate::Stays;
            };
            let (closing, draining) = {
                let mut session = connection.lock();
                session.looked_at();
                (session.is_closing(), session.is_draining())
            };
            if closing {
                return Fate::Gone;
            }
            if draining {
                return self.begin_closing(slot);
            }
            if full {
                if !self.waiting.contains(&slot) {
                    self.waiting.push(slot);
                }
                return Fate::Stays;
            }
            if door.not_before.is_some_and(|at| self.now < at) {
                return Fate::Stays;
            }
            door.not_before = None;
            if !*readable {
                return Fate::Stays;
            }
            if clients == CLIENTS || over {
                return Fate::Again;
            }
            let terms = door.terms.clone();
            match door.listener.accept() {
                Accept::Connection(accepted) => {
                    clients += 1;
                    let listener = connection.clone();
                    self.welcome(&listener, accepted, &terms);
                }
                Accept::Nothing => *readable = false,
                Accept::BackOff(wait) => {
                    tracing::warn!(target: "exeunt::manager", ?wait, "no descriptor or memory for a client: it waits in the queue");
                    let at = self.now.checked_add(wait);
                    door.not_before = at;
                    *armed = None;
                    if let (Some(entry), Some(_)) = (self.entries.get_mut(slot), at) {
                        self.deadlines.arm(entry, slot, at);
                    }
                    return Fate::Stays;
                }
                Accept::Failed(error) => {
                    let listener = connection.clone();
                    listener.tell(
                        &self.core,
                        Event::Error(&format!("the listener is of no use any more: {error}")),
                    );
                    return Fate::Gone;
                }
            }
        }
    }

    /// Takes in a client.
    fn welcome(&mut self, listener: &Connection, accepted: Accepted, terms: &Terms) {
        let (stream, local, remote) = match accepted {
            Accepted::Tcp { stream, peer } => {
                // Whole answers are written at once, so that waiting for more would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(target: "exeunt::manager", %error, "TCP_NODELAY was refused");
                }
                let local = stream.local_addr().ok().map(plain);
                (Stream::Tcp(TcpStream::from_std(stream)), local, Some(plain(peer)))
            }
            Accepted::Unix { stream } => {
                (Stream::Unix(UnixStream::from_std(stream)), listener.local_address(), None)
            }
        };
        let protocol = match terms.speaks {
            Speaks::Http => Protocol::Http(Box::new(Http::new(&self.core.limits, self.now))),
            Speaks::Bytes => Protocol::Raw(Raw::new(self.now)),
        };
        let (handler, said) = {
            let listener = listener.lock();
            (listener.handler.clone(), listener.accepted_tls())
        };
        let said = said.map(Secured::By);
        let secured = said.as_ref().unwrap_or(&terms.secured);
        let mut session = Session::new(protocol, handler, local).from(remote);
        if !matches!(secured, Secured::No) {
            session.expect_tls();
        }
        let connection = Connection::accepted(&self.core, listener, session);
        connection.tell(&self.core, Event::Open);
        connection.tell(&self.core, Event::Accept);
        self.secure(&connection, secured);
        if self.core.stage() >= Stage::Draining {
            self.tell_drain(&connection);
            let next = connection.lock().enter(&self.core, self.now, Stage::Draining);
            drop(next);
        }
        self.now = Instant::now();
        self.add(Entry::new(connection, Socket::Stream(stream.into())));
    }

    /// From accepting to closing.
    fn begin_closing(&mut self, slot: usize) -> Fate {
        let Some(entry) = self.entries.get_mut(slot) else { return Fate::Stays };
        let door = match std::mem::replace(&mut entry.socket, Socket::Between) {
            Socket::Listener(door) => door,
            other => {
                entry.socket = other;
                return Fate::Stays;
            }
        };
        let Door { listener, terms, .. } = door;
        // The close looks for clients by itself.
        if let Err(error) = self.poll.registry().deregister(&mut SourceFd(&listener.as_fd().as_raw_fd())) {
            tracing::debug!(target: "exeunt::manager", %error, "the listener could not be forgotten");
        }
        entry.socket = Socket::Closing(Box::new(listener.close(CloseOptions::default())), terms);
        self.go_on_closing(slot)
    }

    pub(super) fn go_on_closing(&mut self, slot: usize) -> Fate {
        loop {
            let Some(Entry { connection, socket: Socket::Closing(..), .. }) = self.entries.get(slot) else {
                return Fate::Stays;
            };
            if connection.lock().is_closing() {
                return Fate::Gone;
            }
            let listener = connection.clone();
            if self.is_over() {
                return Fate::Again;
            }
            let Some(Entry { socket: Socket::Closing(closing, terms), armed, .. }) =
                self.entries.get_mut(slot)
            else {
                return Fate::Stays;
            };
            let terms = terms.clone();
            match closing.step(Instant::now()) {
                Step::Accepted(accepted) => {
                    self.welcome(&listener, accepted, &terms);
                }
                Step::Wait { until } => {
                    *armed = None;
                    if let Some(entry) = self.entries.get_mut(slot) {
                        self.deadlines.arm(entry, slot, Some(until));
                    }
                    return Fate::Stays;
                }
                Step::Closed(report) => {
                    self.core.account().listeners.push(report);
                    return Fate::Gone;
                }
            }
        }
    }
}

/// An IPv4 client of a socket for both families is an IPv4 client (RFC 4291 §2.5.5.2).
fn plain(address: SocketAddr) -> Address {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()).into(),
        IpAddr::V6(_) => address.into(),
    }
}
