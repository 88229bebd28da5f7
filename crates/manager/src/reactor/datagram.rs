//! A UDP socket's turn.

use super::Fate;
use crate::core::Core;
use crate::entry::{Entry, Socket};
use crate::event::Event;
use crate::session::Next;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Datagrams in one turn.
const DATAGRAMS: u32 = 64;

pub(super) fn turn(core: &Core, entry: &mut Entry, scratch: &mut [u8]) -> Fate {
    let Socket::Datagram(socket) = &entry.socket else { return Fate::Gone };
    let socket = Arc::clone(socket);
    let connection = entry.connection.clone();
    connection.lock().begin_turn();
    let mut datagrams = 0;
    loop {
        {
            let mut session = connection.lock();
            if let Next::Close = session.next(core, Instant::now()) {
                return Fate::Gone;
            }
            let over = if entry.readable { Fate::Again } else { Fate::Stays };
            if over == Fate::Stays || datagrams == DATAGRAMS {
                // In one with the look at what is wanted of it.
                session.end_turn();
                return over;
            }
        }
        match socket.recv_from(scratch) {
            Ok((length, from)) => {
                datagrams += 1;
                let bytes = scratch.get(..length).unwrap_or_default();
                connection.lock().datagram(from.into(), bytes);
                connection.tell(core, Event::Read(bytes));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => entry.readable = false,
            // An ICMP error about a datagram that was sent (udp(7)); the socket is as good as before.
            Err(error) => {
                datagrams += 1;
                connection.tell(core, Event::Error(&error.to_string()));
            }
        }
    }
}
