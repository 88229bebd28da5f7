//! Listening: from a URL to a socket that the loop knows of.

use crate::connection::{Connection, Kind};
use crate::core::Core;
use crate::entry::{Door, Entry, Secured, Socket, Speaks, Terms};
use crate::error::{ListenError, ManagerClosed};
use crate::event::Event;
use crate::handler::Handler;
use crate::session::{Datagram, Protocol, Session};
use crate::tls::{Tls, TlsError};
use crate::url::{Scheme, Url, shown};
use exeunt_listener::{Address, Listener};
use std::fmt;
use std::io;
use std::net::ToSocketAddrs as _;
use std::sync::Arc;

/// How to listen, where the URL does not say it all.
///
/// ```
/// use exeunt_manager::{Event, Listen, Manager};
/// let manager = Manager::without_handler();
/// let echo = Listen::new().handler(|conn, event| if let Event::Read(bytes) = event { _ = conn.send(bytes) });
/// let listener = manager.listen_with("tcp://127.0.0.1:0", echo)?;
/// assert!(listener.is_listening());
/// # Ok::<(), exeunt_manager::ListenError>(())
/// ```
#[derive(Clone, Default)]
pub struct Listen {
    handler: Option<Handler>,
    http: Option<bool>,
    tls: Option<Tls>,
    inherited: Option<String>,
}

impl Listen {
    /// As the URL says, with the manager's handler.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The listener, and the connections that it accepts, have this handler, and not the manager's.
    #[must_use]
    pub fn handler(self, handler: impl Fn(&Connection, Event<'_>) + Send + Sync + 'static) -> Self {
        Self { handler: Some(Arc::new(handler)), ..self }
    }

    /// Whether to speak HTTP, whatever the scheme says.
    #[must_use]
    pub fn http(self, yes: bool) -> Self {
        Self { http: Some(yes), ..self }
    }

    /// Speaks TLS so with whoever is accepted, whatever the scheme says, unless the handler says otherwise in
    /// [`Event::Accept`] ([`Connection::start_tls`]).
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// On the listening socket that a service manager has passed on under that name; an empty one is the next
    /// ([`inherited`](fn@exeunt_listener::inherited)). The URL says what is spoken there; where is settled.
    #[must_use]
    pub fn inherited(self, name: impl Into<String>) -> Self {
        Self { inherited: Some(name.into()), ..self }
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Listen");
        debug
            .field("handler", &self.handler.is_some())
            .field("http", &self.http)
            .field("tls", &self.tls)
            .field("inherited", &self.inherited)
            .finish()
    }
}

pub(crate) fn listen(core: &Arc<Core>, text: &str, how: Listen) -> Result<Connection, ListenError> {
    if let Some(kind) = core.broken() {
        return Err(ListenError::NoLoop(kind));
    }
    if core.is_closed() {
        return Err(ManagerClosed.into());
    }
    let url = Url::parse(text)?;
    let Listen { handler, http, tls, inherited } = how;
    let http = http.unwrap_or(url.speaks_http());
    let speaks = if http { Speaks::Http } else { Speaks::Bytes };
    if let Some(tls) = &tls {
        let usable = match url.scheme() {
            Scheme::Udp => Err(TlsError::Datagrams),
            _ => tls.server(http).map(drop),
        };
        usable.map_err(|source| ListenError::Tls { url: shown(text), source })?;
    }
    let secured = Secured::new(tls, &url);
    let (kind, session, socket) = if url.scheme() == Scheme::Udp {
        let socket = datagram(&url).map_err(|source| ListenError::Socket { url: shown(text), source })?;
        let local = socket.local_addr().ok().map(Address::from);
        let socket = Arc::new(socket);
        let session = Session::new(Protocol::Datagram(Datagram::bound(Arc::clone(&socket))), handler, local);
        (Kind::Datagram, session, Socket::Datagram(socket))
    } else {
        let address = inherited.map_or_else(|| address(&url), Address::Inherited);
        let listener =
            Listener::bind(&address).map_err(|source| ListenError::Bind { url: shown(text), source })?;
        let session = Session::new(Protocol::Listener, handler, Some(listener.local_address().clone()));
        (
            Kind::Listener,
            session,
            Socket::Listener(Door { listener, terms: Terms { speaks, secured }, not_before: None }),
        )
    };
    let connection = Connection::new(core, kind, session);
    // Before the loop has it, so that nobody is accepted before `Open` is told.
    connection.tell(core, Event::Open);
    if let Err(closed) = core.add(Entry::new(connection.clone(), socket)) {
        connection.lock().close();
        connection.tell(core, Event::Close);
        core.open().remove(&connection.id());
        let leftover = connection.end(Session::gone);
        drop(leftover);
        return Err(closed.into());
    }
    Ok(connection)
}

fn address(url: &Url) -> Address {
    if let Some(path) = url.socket() {
        return Address::Unix(path.to_owned());
    }
    match url.host() {
        "" | "*" => Address::Everywhere(url.port()),
        host => match host.parse::<std::net::IpAddr>() {
            Ok(ip) => Address::Socket((ip, url.port()).into()),
            Err(_) => Address::Host { name: host.to_owned(), port: url.port() },
        },
    }
}

fn datagram(url: &Url) -> io::Result<mio::net::UdpSocket> {
    let host = match url.host() {
        "" | "*" => "0.0.0.0",
        host => host,
    };
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, url.port()).to_socket_addrs()? {
        match mio::net::UdpSocket::bind(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
