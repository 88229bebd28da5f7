//! What TLS has to say in a stream's turn.

use super::{Reactor, stream};
use crate::connection::Connection;
use crate::core::Core;
use crate::entry::{Entry, Secured, Socket};
use crate::event::Event;
use crate::session::Next;
use crate::tls::{Opening, Tls, TlsError};
use crate::wire::Wire;
use std::io;
use std::time::Instant;

impl Reactor {
    /// Begins TLS with whoever was accepted or connected to, unless the program has done so in a way of its own.
    pub(super) fn secure(&self, connection: &Connection, secured: &Secured) {
        let is_client = {
            let session = connection.lock();
            if !session.owes_tls() {
                return;
            }
            session.is_client()
        };
        let failure = match secured {
            Secured::By(tls) => connection.start_tls(tls).err(),
            _ if is_client => connection.start_tls(&Tls::of_system()).err(),
            _ => Some(TlsError::NoCertificate.into()),
        };
        if let Some(failure) = failure {
            connection.tell(&self.core, Event::Error(&format!("TLS cannot be spoken: {failure}")));
            connection.close();
        }
    }
}

/// Begins it.
pub(super) fn begin(core: &Core, entry: &mut Entry, opening: Opening) -> Option<Next> {
    let Entry { connection, socket: Socket::Stream(wire), readable, .. } = entry else {
        return Some(Next::Close);
    };
    // Some of the peer's handshake may be here already.
    *readable = true;
    let error = wire.secure(opening).err()?;
    Some(failed(core, connection, wire, &error))
}

/// Tells that the handshake is done, when it is.
pub(super) fn tell(core: &Core, connection: &Connection, wire: &mut Wire, now: Instant) {
    if let Some(info) = wire.becomes_secured() {
        connection.lock().secured(now, info);
        connection.tell(core, Event::TlsHandshake);
    }
}

/// Whether the peer is not silent, though nothing of what he says is the program's: in the handshake, if there was
/// `anything`; and in the middle of a record, which has the time that a head has.
pub(super) fn stirs(core: &Core, connection: &Connection, wire: &Wire, now: Instant, anything: bool) -> bool {
    let stirs = anything && wire.is_handshaking() || wire.is_within_record(now, core.limits.drain.head);
    if stirs {
        connection.lock().stirs(now);
    }
    stirs
}

/// The peer's end came, and was not announced.
pub(super) fn torn(core: &Core, connection: &Connection, wire: &Wire) -> Next {
    if wire.is_handshaking() {
        // Whoever connects and says nothing (a balancer that looks whether somebody is there) is no error.
        if wire.has_heard() || connection.is_client() {
            connection.tell(core, Event::Error("the peer ended the connection within the TLS handshake"));
        }
        return Next::Close;
    }
    let mut session = connection.lock();
    if session.is_asking() {
        let why = io::Error::new(io::ErrorKind::UnexpectedEof, "it ended without TLS's close_notify");
        return session.lost(&why, false);
    }
    let is_torn = session.is_torn();
    drop(session);
    if is_torn {
        let text = "the connection ended without TLS's close_notify: what was received may be truncated";
        connection.tell(core, Event::Error(text));
    }
    connection.lock().ended()
}

/// The connection broke.
pub(super) fn lost(core: &Core, connection: &Connection, wire: &Wire, error: &io::Error) -> Next {
    if !wire.is_handshaking() {
        return stream::lost(connection, error, false);
    }
    if wire.has_heard() || connection.is_client() {
        let text = format!("the connection broke within the TLS handshake: {error}");
        connection.tell(core, Event::Error(&text));
    }
    Next::Close
}

/// What the peer says is no TLS, or he refuses ours.
pub(super) fn failed(core: &Core, connection: &Connection, wire: &Wire, error: &rustls::Error) -> Next {
    let shaking = wire.is_handshaking();
    let what = if shaking { "the TLS handshake" } else { "TLS" };
    connection.tell(core, Event::Error(&format!("{what} failed: {error}")));
    if shaking { connection.lock().gives_tls_up() } else { Next::Close }
}
