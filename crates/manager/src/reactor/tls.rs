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

#[cfg(test)]
mod tests {
    use crate::connection::{Connection, Kind};
    use crate::core::Core;
    use crate::event::Event;
    use crate::limits::Limits;
    use crate::reactor::telling;
    use crate::session::{Protocol, Raw, Session};
    use crate::tls::Tls;
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    #[test]
    fn what_is_read_behind_start_tls_is_not_told() {
        let told: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let log = Arc::clone(&told);
        let handler = move |_: &Connection, event: Event<'_>| {
            if let Event::Read(bytes) = event {
                log.lock().unwrap().push(bytes.to_vec());
            }
        };
        let unsupported = Err(io::ErrorKind::Unsupported);
        let core = Arc::new(Core::new(Some(Arc::new(handler)), Limits::default(), unsupported));
        let session = Session::new(Protocol::Raw(Raw::new(Instant::now())), None, None);
        let connection = Connection::new(&core, Kind::Stream, session);
        _ = telling::arrived(&core, &connection, b"STARTTLS\r\n", Instant::now());
        connection.consume(10);
        // By another thread, while the one that polls is about to read.
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls = Tls::new().certificate(made.cert.pem(), made.signing_key.serialize_pem());
        connection.start_tls(&tls).unwrap();
        _ = telling::arrived(&core, &connection, b"QUIT\r\n", Instant::now());
        assert_eq!(*told.lock().unwrap(), [b"STARTTLS\r\n"]);
        assert_eq!(connection.received(usize::MAX), b"QUIT\r\n", "the handshake begins with it, and fails");
    }
}
