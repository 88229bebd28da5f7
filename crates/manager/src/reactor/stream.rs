//! A stream's turn: bytes from the socket to the session and back, and the session's events to the program.

use super::Fate;
use crate::connection::Connection;
use crate::core::Core;
use crate::entry::{Entry, Socket};
use crate::event::Event;
use crate::session::{Next, Over, Step, Tick};
use std::io;
use std::time::Instant;

/// Reads in one turn, so that one peer cannot hold up the others: 1 MiB at most.
const READS: u32 = 16;

/// Does all that can be done now, `first` before anything else.
pub(super) fn turn(
    core: &Core,
    entry: &mut Entry,
    scratch: &mut [u8],
    now: Instant,
    first: Option<Next>,
) -> Fate {
    let connection = entry.connection.clone();
    connection.lock().begin_turn();
    let mut reads = 0;
    let mut pending = first;
    let fate = loop {
        let next = match pending.take() {
            // Which says no more than that it goes on: perhaps with something to be sent first.
            Some(next) if !matches!(next, Next::Read | Next::Wait) => next,
            _ => match advance(core, entry, &connection, now) {
                Ok(next) => next,
                Err(error) => lost(&connection, &error),
            },
        };
        match next {
            Next::Tell(step) => tell(core, &connection, step),
            Next::Wait => break Fate::Stays,
            Next::Close => break Fate::Gone,
            Next::Abort => {
                if let Socket::Stream(stream) = &entry.socket {
                    stream.reset_on_close();
                }
                break Fate::Gone;
            }
            Next::Linger => {
                if let Socket::Stream(stream) = &entry.socket {
                    stream.shut_down();
                }
                linger(core, &connection);
                entry.readable = true;
            }
            Next::Read if !entry.readable => break Fate::Stays,
            Next::Read if reads == READS => break Fate::Again,
            Next::Read => {
                reads += 1;
                pending = read(core, entry, &connection, scratch, now);
            }
        }
    };
    connection.lock().end_turn();
    fate
}

/// Its deadline may have come: what follows from that.
pub(super) fn tick(core: &Core, entry: &mut Entry, scratch: &mut [u8], now: Instant) -> Option<Next> {
    let connection = entry.connection.clone();
    let tick = connection.lock().tick(core, now);
    match tick {
        Tick::Then(next) => Some(next),
        // The kernel is asked, whatever it has told before.
        Tick::LastLook => {
            entry.readable = true;
            connection.lock().begin_turn();
            let found = read(core, entry, &connection, scratch, now);
            connection.lock().end_turn();
            match found {
                None if !entry.looked_in_vain => None,
                None => Some(connection.lock().nothing_there(now)),
                found => found,
            }
        }
    }
}

/// Sends what can be sent, and asks what comes next.
fn advance(core: &Core, entry: &mut Entry, connection: &Connection, now: Instant) -> io::Result<Next> {
    let Socket::Stream(stream) = &entry.socket else { return Ok(Next::Close) };
    loop {
        let mut session = connection.lock();
        let mut sent = 0;
        while entry.writable && !session.to_send().is_empty() {
            match stream.write(session.to_send()) {
                Ok(bytes) => {
                    // What the kernel does not take whole, it takes no more of (epoll(7), question 9).
                    entry.writable = bytes == session.to_send().len();
                    session.sent(now, bytes);
                    sent += bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    entry.writable = false;
                    session.stalls(now);
                }
                Err(error) => return Err(error),
            }
        }
        if sent > 0 {
            drop(session);
            connection.tell(core, Event::Write(sent));
            session = connection.lock();
        }
        let next = session.next(core, now);
        let over = session.take_over();
        // Going on may have written something: a 100, or an answer in the program's place.
        let more = entry.writable && !session.to_send().is_empty();
        drop(session);
        settle(over);
        if !(more && matches!(next, Next::Read | Next::Wait)) {
            return Ok(next);
        }
    }
}

/// Ends work, outside of all locks, since whoever follows the stop is told in here.
pub(super) fn settle(over: Option<Over>) {
    match over {
        Some(Over { work, cut: Some(cut) }) => work.cut(cut),
        Some(Over { work, cut: None }) => drop(work),
        None => {}
    }
}

/// Reads once. What follows at once, if anything does.
fn read(
    core: &Core,
    entry: &mut Entry,
    connection: &Connection,
    scratch: &mut [u8],
    now: Instant,
) -> Option<Next> {
    let Socket::Stream(stream) = &entry.socket else { return Some(Next::Close) };
    entry.looked_in_vain = false;
    match stream.read(scratch) {
        Ok(0) => {
            entry.readable = false;
            Some(connection.lock().ended())
        }
        Ok(length) => {
            // A short read says that there is no more (epoll(7), question 9), unless the end itself is still to be read.
            entry.readable = length == scratch.len() || entry.hung_up;
            let bytes = scratch.get(..length).unwrap_or_default();
            arrived(core, connection, bytes, now)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            entry.readable = false;
            entry.looked_in_vain = true;
            None
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
        Err(error) => Some(lost(connection, &error)),
    }
}

fn arrived(core: &Core, connection: &Connection, bytes: &[u8], now: Instant) -> Option<Next> {
    let step = {
        let mut session = connection.lock();
        if session.is_lingering() {
            return Some(session.discard(now, bytes));
        }
        session.arrived(core, now, bytes)
    };
    if let Some(step) = step {
        tell(core, connection, step);
    }
    // Who has ended the connection meanwhile reads no more of it.
    if connection.lock().is_serving() {
        connection.tell(core, Event::Read(bytes));
    }
    None
}

fn tell(core: &Core, connection: &Connection, step: Step) {
    match step {
        Step::Headers(request) => {
            connection.tell(core, Event::HttpHeaders(&request));
            connection.lock().told(request);
        }
        Step::Message { request, announced } => {
            if !announced {
                connection.tell(core, Event::HttpHeaders(&request));
            }
            if announced || connection.lock().is_owed() {
                connection.tell(core, Event::HttpMessage(&request));
            }
            connection.lock().told(request);
        }
        Step::Refused(why) => connection.tell(core, Event::Error(why)),
    }
}

/// Our side is shut down. For the program that is the end.
fn linger(core: &Core, connection: &Connection) {
    connection.lock().close();
    connection.tell(core, Event::Close);
    let leftover = connection.lock().lingers();
    drop(leftover);
    core.open().remove(&connection.id());
}

/// The connection broke.
fn lost(connection: &Connection, error: &io::Error) -> Next {
    tracing::debug!(target: "exeunt::manager", connection = connection.id(), %error, "the peer is gone");
    Next::Close
}
