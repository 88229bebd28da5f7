//! TLS on a connection.

use super::Connection;
use crate::tls::{StartTlsError, Tls, TlsInfo};
use std::sync::Arc;

/// TLS.
impl Connection {
    /// Whether TLS is spoken on it, or will be: from the beginning, where the listener or the URL says so, and else from
    /// [`start_tls`](Self::start_tls) on.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.lock().is_tls()
    }

    /// What was agreed on in the handshake, once that is done.
    #[must_use]
    pub fn tls_info(&self) -> Option<Arc<TlsInfo>> {
        self.lock().tls_info()
    }

    /// Speaks TLS from here on: as a server with whom a listener has accepted, as a client otherwise.
    /// [`Event::TlsHandshake`](crate::Event::TlsHandshake) tells that it is done; what is sent before then waits for it.
    ///
    /// Before a byte has gone or come, in `Accept` and `Connect` say, it is TLS from the first byte on: of what was written
    /// before, too, nothing goes in plain. Later, on a raw stream whose protocol has agreed on it (STARTTLS), what was
    /// written before this call goes in plain, and what is written after it does not. What was received and not [consumed](Self::consume) when the handler returns is taken for the beginning of the peer's handshake, and
    /// never for something that TLS has protected: consume the command that asked for TLS, and nothing behind it. Commands
    /// that somebody has slipped in there fail the handshake.
    ///
    /// A handshake that fails is told with `Error`, and closes the connection.
    ///
    /// # Errors
    ///
    /// Nothing has changed then; see [`StartTlsError`].
    pub fn start_tls(&self, tls: &Tls) -> Result<(), StartTlsError> {
        let opening = {
            let session = self.lock();
            let http = session.may_start_tls()?;
            tls.opening(session.role(), http)?
        };
        self.try_change(|session, _| session.start_tls(opening))?
    }

    /// On a listener: those whom it accepts from now on speak TLS so, whatever was said when it was made. Whether it is one.
    /// What is wrong with `tls` is told to each of them, as `Error`; [`Tls::check`] asks before.
    #[must_use]
    pub fn accept_tls(&self, tls: &Tls) -> bool {
        self.change(|session, _| session.accept_tls(tls))
    }

    /// Takes back what [`start_tls`](Self::start_tls) or [`accept_tls`](Self::accept_tls) said, as if it had not been called.
    /// Whether that could be done: a handshake that has begun cannot be taken back.
    #[expect(clippy::must_use_candidate, reason = "what is closed has nothing to take back")]
    pub fn forget_tls(&self) -> bool {
        self.try_change(|session, _| session.forget_tls()).unwrap_or(true)
    }
}
