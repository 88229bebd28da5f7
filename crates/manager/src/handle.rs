//! The manager, for everybody but the thread that polls.

use crate::connect::{self, Connect};
use crate::connection::Connection;
use crate::core::Core;
use crate::error::{ConnectError, ListenError, ManagerClosed};
use crate::listen::{self, Listen};
use crate::timer::{Schedule, Timer};
use std::fmt;
use std::sync::{Arc, Weak};

/// What any thread, and any handler, may do with a manager while another thread polls.
///
/// Any number of clones; they keep nothing open, and go on to say that the manager is closed when it is.
#[derive(Clone)]
pub struct Handle {
    /// The manager alone keeps its core: a handler that keeps this would otherwise keep itself.
    core: Weak<Core>,
}

impl Handle {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        Self { core: Arc::downgrade(core) }
    }

    /// Listens on a URL such as `http://127.0.0.1:8000`, `tcp://[::]:9000`, `udp://0.0.0.0:5353` or `unix:/run/site.sock`.
    /// Port 0 lets the kernel choose one; the listener's [`local_address`](Connection::local_address) has it.
    ///
    /// `http` and `ws` are parsed as HTTP/1.1, `tcp`, `udp`, `mqtt` and `unix` are not; `http+unix:/path` is HTTP on a Unix
    /// socket. `https`, `wss`, `tls` and `mqtts` are the same on TLS, and need a certificate: [`Listen::tls`] gives it, or the
    /// handler in `Accept` ([`Connection::start_tls`]). The socket is bound and listens when this returns, and `Open` has been told; clients are accepted by
    /// whoever polls.
    ///
    /// # Errors
    ///
    /// The URL, the address, or the manager, is of no use; see [`ListenError`].
    pub fn listen(&self, url: &str) -> Result<Connection, ListenError> {
        self.listen_with(url, Listen::new())
    }

    /// As [`listen`](Self::listen), where the URL does not say it all.
    ///
    /// # Errors
    ///
    /// As for [`listen`](Self::listen).
    pub fn listen_with(&self, url: &str, how: Listen) -> Result<Connection, ListenError> {
        let core = self.core.upgrade().ok_or(ManagerClosed)?;
        listen::listen(&core, url, how)
    }

    /// Connects to a URL such as `tcp://192.0.2.1:9000`, `http://example.org/`, `udp://127.0.0.1:5353` or
    /// `unix:/run/site.sock`.
    ///
    /// This does not wait: `Open` has been told when it returns, and `Connect` will be, by whoever polls; or `Error`, in
    /// words, and `Close`. Names are resolved by a thread of their own. What is sent meanwhile goes once it is connected;
    /// with `https`, `wss`, `tls` and `mqtts` once the server is known to be who he should be: by the system's roots, unless
    /// [`Connect::tls`] or the handler in `Connect` ([`Connection::start_tls`]) says otherwise.
    ///
    /// # Errors
    ///
    /// The URL is none, or the manager is of no use; see [`ConnectError`].
    pub fn connect(&self, url: &str) -> Result<Connection, ConnectError> {
        self.connect_with(url, Connect::new())
    }

    /// As [`connect`](Self::connect), where the URL does not say it all.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub fn connect_with(&self, url: &str, how: Connect) -> Result<Connection, ConnectError> {
        let core = self.core.upgrade().ok_or(ManagerClosed)?;
        connect::connect(&core, url, how, None)
    }

    /// Connects to a URL such as `ws://example.org/chat` or `wss://example.org/chat`, and asks for a WebSocket with these headers
    /// (`Sec-WebSocket-Protocol`, `Authorization`).
    ///
    /// This does not wait: `Connect` comes, then `WsOpen` when the server has agreed; or its answer, if it has another, as
    /// [`Event::HttpResponse`](crate::Event::HttpResponse), then `Error`, in words, and `Close`. It has
    /// [`Limits::connect`](crate::Limits::connect) for its answer.
    ///
    /// # Errors
    ///
    /// The URL or a header is none, the URL's scheme does not speak HTTP, or the manager is of no use; see [`ConnectError`].
    pub fn ws_connect(&self, url: &str, headers: &[(&str, &str)]) -> Result<Connection, ConnectError> {
        self.ws_connect_with(url, headers, Connect::new())
    }

    /// As [`ws_connect`](Self::ws_connect), where the URL does not say it all.
    ///
    /// # Errors
    ///
    /// As for [`ws_connect`](Self::ws_connect).
    pub fn ws_connect_with(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        how: Connect,
    ) -> Result<Connection, ConnectError> {
        let core = self.core.upgrade().ok_or(ManagerClosed)?;
        connect::connect(&core, url, how, Some(headers))
    }

    /// Has `callback` called by the thread that polls, by this schedule. It wakes a poll that waits.
    ///
    /// # Errors
    ///
    /// The manager is closed.
    pub fn timer(
        &self,
        schedule: Schedule,
        callback: impl FnMut(&Handle) + Send + 'static,
    ) -> Result<Timer, ManagerClosed> {
        let core = self.core.upgrade().ok_or(ManagerClosed)?;
        core.add_timer(schedule, Box::new(callback))
    }

    /// Has the handler of the connection with that id called with [`Event::Wakeup`](crate::Event::Wakeup) and this
    /// payload, by the thread that polls. Wakeups arrive in the order in which they were sent, any number, of any size.
    /// False if there is no such connection (any more).
    pub fn wakeup(&self, id: u64, payload: impl Into<Vec<u8>>) -> bool {
        let Some(core) = self.core.upgrade() else { return false };
        let known = core.open().contains_key(&id);
        if known {
            core.wakeup(id, payload.into());
        }
        known
    }

    /// Ends the wait of the present poll, or of the next: it does what is to be done, and returns.
    pub fn wake(&self) {
        if let Some(core) = self.core.upgrade() {
            core.wake();
        }
    }

    /// Has the present poll return when the turn that it is at is over (a handler and what follows of it for the same
    /// connection, a timer's callback), and the next poll, if there is none, before the first turn. What was not done is
    /// done by the poll after that, in the same order. For handlers that want the thread back at once; a program that
    /// calls this without end is served one turn at a time.
    pub fn interrupt(&self) {
        if let Some(core) = self.core.upgrade() {
            core.interrupt();
        }
    }

    /// The open connections, listeners among them, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.core.upgrade().map(|core| core.open().values().cloned().collect()).unwrap_or_default()
    }

    /// The open connection with that id.
    #[must_use]
    pub fn connection(&self, id: u64) -> Option<Connection> {
        self.core.upgrade().and_then(|core| core.open().get(&id).cloned())
    }

    /// Whether the manager is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.upgrade().is_none_or(|core| core.is_closed())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.core.upgrade().map_or(0, |core| core.open().len());
        f.debug_struct("Handle").field("open", &open).finish_non_exhaustive()
    }
}
