//! A stream's turn: bytes from the socket to the session and back, and the session's events to the program.

use super::pull::{Pulled, pull};
use super::telling::{arrived, tell};
use super::{Fate, tls};
use crate::connection::Connection;
use crate::core::Core;
use crate::entry::{Entry, Socket};
use crate::event::Event;
use crate::session::{Next, Over, Session, Tick};
use crate::tls::{Got, Sent};
use std::io;
use std::time::Instant;

/// Reads in one turn, so that one peer cannot hold up the others: 1 MiB at most.
const READS: u32 = 16;

/// Times in one turn that the program is told of bytes that went, and may write more.
const WRITES: u32 = 16;

/// What of a file counts as one of them, in bytes: so that no more than 1 MiB of it goes in a turn.
const WRITE: u64 = 64 * 1024;

/// So much of a file is read before it is sent, in bytes, where it has to be read.
const FILL: usize = 64 * 1024;

/// Does all that can be done now, `first` before anything else.
pub(super) fn turn(
    core: &Core,
    entry: &mut Entry,
    scratch: &mut [u8],
    now: &mut Instant,
    first: Option<Next>,
) -> Fate {
    // Those say no more than that it goes on: perhaps with something to be sent first.
    let goes_on = |next: &Next| matches!(next, Next::Read | Next::Wait);
    let (mut reads, mut writes) = (0, 0);
    let mut pending = first.filter(|next| !goes_on(next));
    if pending.is_some() {
        entry.connection.lock().begin_turn();
    } else if entry.readable && !core.is_interrupted() && begins_with_reading(entry) {
        reads = 1;
        pending = read(core, entry, scratch, *now).filter(|next| !goes_on(next));
    }
    loop {
        let ahead = match pending.take() {
            Some(next) => Ahead::Then(next),
            None => advance(core, entry, scratch, now, &mut writes)
                .unwrap_or_else(|error| Ahead::Then(lost(&entry.connection, &error, true))),
        };
        match ahead {
            // What it still asks could not be answered. (Bytes that a raw one waits to be rid of are another matter.)
            Ahead::Rest(_) if entry.broken && entry.connection.lock().http() => return Fate::Gone,
            Ahead::Rest(wake_at) => return Fate::Rests(wake_at),
            Ahead::Break => return Fate::Again,
            Ahead::Then(Next::Tell(step)) => _ = tell(core, &entry.connection, step),
            Ahead::Then(Next::Wait) => {}
            Ahead::Then(Next::Secure(opening)) => pending = tls::begin(core, entry, *opening),
            Ahead::Then(Next::Close) => return Fate::Gone,
            Ahead::Then(Next::Abort) => {
                if let Socket::Stream(wire) = &mut entry.socket {
                    wire.reset_on_close();
                }
                return Fate::Gone;
            }
            Ahead::Then(Next::Linger) => {
                if let Socket::Stream(wire) = &mut entry.socket {
                    wire.shut_down();
                }
                // For the program that is the end.
                entry.connection.tell_end(core, Session::lingers);
                entry.readable = true;
            }
            Ahead::Then(Next::Read) if reads == READS => {
                entry.connection.lock().end_turn();
                return Fate::Again;
            }
            Ahead::Then(Next::Read) => {
                reads += 1;
                pending = read(core, entry, scratch, *now).filter(|next| !goes_on(next));
            }
        }
    }
}

/// Begins a turn, if it begins with reading: the commonest, whose first look is spared.
fn begins_with_reading(entry: &Entry) -> bool {
    let mut session = entry.connection.lock();
    let reads = session.only_reads();
    if reads {
        session.begin_turn();
    }
    reads
}

/// How a turn goes on.
enum Ahead {
    Then(Next),
    /// It does not, until something happens, or that time has come.
    Rest(Option<Instant>),
    /// It does, behind everybody else's turn.
    Break,
}

/// Its deadline may have come: what follows from that.
pub(super) fn tick(core: &Core, entry: &mut Entry, scratch: &mut [u8], now: Instant) -> Option<Next> {
    let tick = entry.connection.lock().tick(core, now);
    match tick {
        Tick::Then(next) => Some(next),
        // The kernel is asked, whatever it has told before.
        Tick::LastLook => {
            entry.readable = true;
            entry.connection.lock().begin_turn();
            let found = read(core, entry, scratch, now);
            entry.connection.lock().end_turn();
            match found {
                None if !entry.looked_in_vain => None,
                None => Some(entry.connection.lock().nothing_there(now)),
                found => found,
            }
        }
    }
}

/// The last look, before a cut: a request that waits in the kernel's queue is found, though not told any more.
pub(super) fn look(core: &Core, entry: &mut Entry, scratch: &mut [u8], now: Instant) {
    let Entry { connection, socket: Socket::Stream(wire), .. } = entry else { return };
    if !connection.lock().awaits_request() {
        return;
    }
    let got = wire.read(scratch, now);
    tls::tell(core, connection, wire, now);
    if let Ok(Got::Bytes { length, .. }) = got {
        connection.lock().found(core, now, scratch.get(..length).unwrap_or_default());
    }
}

/// Sends what can be sent, and asks what comes next.
fn advance(
    core: &Core,
    entry: &mut Entry,
    scratch: &mut [u8],
    now: &mut Instant,
    writes: &mut u32,
) -> io::Result<Ahead> {
    let Entry { connection, socket: Socket::Stream(wire), readable, writable, .. } = entry else {
        return Ok(Ahead::Then(Next::Close));
    };
    loop {
        let mut session = connection.lock();
        session.begin_turn();
        if *writable && wire.wants_flush() && session.to_send().is_empty() {
            // If that fails, reading tells why; or the next write, where there is one.
            *writable = !wire.flush().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        }
        session.says_last(core, *now, *readable);
        let more = *writable && session.has_to_send();
        if core.is_interrupted() || more && *writes >= WRITES {
            session.end_turn();
            return Ok(Ahead::Break);
        }
        let mut sent = 0;
        // What the kernel does not carry from a file to the socket by itself goes with what is ahead of it.
        let source = session.source().cloned();
        let fills = source.is_some() && wire.plain().is_none() && session.to_send().len() < FILL;
        while *writable && !fills && sent == 0 && !session.to_send().is_empty() {
            match wire.write(session.to_send(), source.is_some()) {
                Ok(Sent { bytes, blocked }) => {
                    *writable = !blocked;
                    session.sent(*now, bytes);
                    sent = bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *writable = false;
                    session.stalls(*now);
                    if wire.owes() {
                        session.on_their_way();
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if *writable && let Some(source) = source {
            // Nobody waits for the lock because the disk is slow.
            drop(session);
            let pulled = core.wait(|_| Some(pull(wire.plain(), &source, scratch)));
            let pulled = pulled.unwrap_or_else(|| Pulled::Torn("the file was not read".to_owned()));
            session = connection.lock();
            match pulled {
                Pulled::Sent(bytes) => {
                    session.went(*now, bytes);
                    sent += bytes as usize;
                    *writes += (bytes / WRITE) as u32;
                }
                Pulled::Read(bytes) => session.filled(scratch.get(..bytes).unwrap_or_default()),
                Pulled::Full => {
                    *writable = false;
                    session.stalls(*now);
                }
                Pulled::Torn(why) => {
                    drop(session);
                    connection.tell(core, Event::Error(&why));
                    return Ok(Ahead::Then(Next::Abort));
                }
            }
        }
        if sent > 0 {
            drop(session);
            *writes += 1;
            connection.tell(core, Event::Write(sent));
            session = connection.lock();
        }
        // Whatever the program was told of in this turn may have taken its time, which is not the peer's.
        *now = Instant::now();
        let next = session.next(core, *now);
        let over = session.take_over();
        // Going on may have written something: a 100, or an answer in the program's place.
        let more = *writable && session.has_to_send();
        let ahead = match next {
            Next::Read | Next::Wait if more => None,
            // In one with the look at what is to be done: what others write down from here on, they tell of.
            Next::Wait => Some(Ahead::Rest(session.rest(&core.limits))),
            Next::Read if !*readable => Some(Ahead::Rest(session.rest(&core.limits))),
            next => Some(Ahead::Then(next)),
        };
        drop(session);
        settle(over);
        if let Some(ahead) = ahead {
            return Ok(ahead);
        }
    }
}

/// Ends work, outside of all locks, since whoever follows the stop is told in here.
pub(super) fn settle(over: Option<Over>) {
    match over {
        Some(Over { work, cut: Some(cut) }) => work.cut(*cut),
        Some(Over { work, cut: None }) => drop(work),
        None => {}
    }
}

/// Reads once. What follows at once, if anything does.
fn read(core: &Core, entry: &mut Entry, scratch: &mut [u8], now: Instant) -> Option<Next> {
    let Entry { connection, socket: Socket::Stream(wire), hung_up, readable, looked_in_vain, .. } = entry
    else {
        return Some(Next::Close);
    };
    *looked_in_vain = false;
    let got = wire.read(scratch, now);
    tls::tell(core, connection, wire, now);
    match got {
        Ok(Got::Bytes { length, more }) => {
            // The end itself may still be to be read.
            *readable = more || *hung_up;
            arrived(core, connection, scratch.get(..length).unwrap_or_default(), now)
        }
        Ok(Got::Nothing { more }) => {
            *readable = more || *hung_up;
            *looked_in_vain = !tls::stirs(core, connection, wire, now, true);
            None
        }
        Ok(Got::End) => {
            *readable = false;
            Some(connection.lock().ended())
        }
        Ok(Got::Torn) => {
            *readable = false;
            Some(tls::torn(core, connection, wire))
        }
        Ok(Got::Failed(error)) => {
            *readable = false;
            Some(tls::failed(core, connection, wire, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            *readable = false;
            *looked_in_vain = !tls::stirs(core, connection, wire, now, false);
            None
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
        Err(error) => Some(tls::lost(core, connection, wire, &error)),
    }
}

/// The connection broke.
pub(super) fn lost(connection: &Connection, error: &io::Error, writing: bool) -> Next {
    tracing::debug!(target: "exeunt::manager", connection = connection.id(), %error, "the peer is gone");
    connection.lock().lost(error, writing)
}
