//! Connecting: from a URL to a connection that the loop brings about.

use crate::connection::{Connection, Kind};
use crate::core::{Core, Stage};
use crate::entry::{Entry, Secured, Socket};
use crate::error::{ConnectError, ManagerClosed};
use crate::event::Event;
use crate::handler::Handler;
use crate::session::{Client, Datagram, Protocol, Raw, Session};
use crate::tls::{Role, Tls, TlsError};
use crate::url::{Scheme, Url, shown};
use exeunt_listener::Address;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod attempts;
mod connecting;
mod resolver;

pub(crate) use connecting::{Connecting, Progress};
pub(crate) use resolver::Resolver;

/// How to connect, where the URL does not say it all.
///
/// ```
/// use exeunt_manager::{Connect, Event, Manager};
/// use std::time::Duration;
/// let manager = Manager::without_handler();
/// let hello = Connect::new().timeout(Duration::from_secs(3)).handler(|conn, event| match event {
///     Event::Connect => _ = conn.send("hello"),
///     Event::Error(text) => eprintln!("{text}"),
///     _ => {}
/// });
/// let conn = manager.connect_with("tcp://127.0.0.1:1", hello)?;
/// assert!(conn.is_client() && conn.is_connecting());
/// # Ok::<(), exeunt_manager::ConnectError>(())
/// ```
#[derive(Clone, Default)]
pub struct Connect {
    handler: Option<Handler>,
    http: Option<bool>,
    timeout: Option<Duration>,
    tls: Option<Tls>,
}

impl Connect {
    /// As the URL says, with the manager's handler and [`Limits::connect`](crate::Limits::connect).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The connection has this handler, and not the manager's.
    #[must_use]
    pub fn handler(self, handler: impl Fn(&Connection, Event<'_>) + Send + Sync + 'static) -> Self {
        Self { handler: Some(Arc::new(handler)), ..self }
    }

    /// Whether to speak HTTP, whatever the scheme says.
    #[must_use]
    pub fn http(self, yes: bool) -> Self {
        Self { http: Some(yes), ..self }
    }

    /// Speaks TLS so, whatever the scheme says. Where the scheme says so and this is not given, the server's certificate is
    /// held against the system's roots, unless the handler says otherwise in [`Event::Connect`]
    /// ([`Connection::start_tls`]).
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// How long it may take until it is connected, the name's resolution included. (A TLS handshake has
    /// [`Limits::handshake`](crate::Limits::handshake) behind it.)
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Connect");
        debug.field("handler", &self.handler.is_some()).field("http", &self.http);
        debug.field("timeout", &self.timeout).field("tls", &self.tls).finish()
    }
}

/// `websocket`: the headers to ask for one with.
pub(crate) fn connect(
    core: &Arc<Core>,
    text: &str,
    how: Connect,
    websocket: Option<&[(&str, &str)]>,
) -> Result<Connection, ConnectError> {
    if let Some(kind) = core.broken() {
        return Err(ConnectError::NoLoop(kind));
    }
    if core.is_closed() {
        return Err(ManagerClosed.into());
    }
    let cut = || ConnectError::Cut { url: shown(text) };
    if core.stage() == Stage::Cut {
        return Err(cut());
    }
    let url = Url::parse(text)?;
    let Connect { handler, http, timeout, tls } = how;
    if let Some(tls) = &tls {
        let usable = match url.scheme() {
            Scheme::Udp => Err(TlsError::Datagrams),
            _ => tls.opening(Role::Client(url.host()), false).map(drop),
        };
        usable.map_err(|source| ConnectError::Tls { url: shown(text), source })?;
    }
    let secured = Secured::new(tls, &url);
    let speaks_http = http.unwrap_or(url.speaks_http());
    let now = Instant::now();
    let limit = timeout.unwrap_or(core.limits.connect);
    let place = Place::of(&url);
    let remote = match &place {
        Place::Socket(address) => Some(Address::from(*address)),
        Place::Name | Place::Path(_) => None,
    };
    let named = place == Place::Name;
    let expects_tls = !matches!(secured, Secured::No);
    let mut connecting = Connecting::new(&shown(text), now, limit, secured);
    let (kind, protocol) = match (url.scheme(), place) {
        (Scheme::Udp, Place::Socket(address)) => {
            (Kind::Datagram, Protocol::Datagram(Datagram::connected(connecting.datagram(address))))
        }
        (Scheme::Udp, _) => {
            connecting.is_udp();
            (Kind::Datagram, Protocol::Datagram(Datagram::connected(None)))
        }
        (_, place) => {
            match place {
                Place::Socket(address) => connecting.resolved(Ok(vec![address])),
                Place::Path(path) => connecting.unix(path),
                Place::Name => {}
            }
            (Kind::Stream, stream(&url, speaks_http, now))
        }
    };
    let mut session = Session::new(protocol, handler, None).from(remote).connecting(url.host());
    if expects_tls {
        session.expect_tls();
    }
    if let Some(headers) = websocket {
        let asked = session.ws_ask(core, url.uri(), headers);
        asked.map_err(|source| ConnectError::WebSocket { url: shown(text), source })?;
    }
    let connection = Connection::new(core, kind, session);
    connection.tell(core, Event::Open);
    if named {
        core.resolver().ask(&connection, url.host(), url.port(), now.checked_add(limit));
    } else {
        connection.tell(core, Event::Resolve);
    }
    let socket = Socket::Connecting(Box::new(connecting));
    if let Err(closed) = core.add(Entry::new(connection.clone(), socket)) {
        connection.tell_end(core, Session::gone);
        return Err(if core.is_closed() { closed.into() } else { cut() });
    }
    Ok(connection)
}

fn stream(url: &Url, speaks_http: bool, now: Instant) -> Protocol {
    match speaks_http {
        true => Protocol::Client(Box::new(Client::new(authority(url), now))),
        false => Protocol::Raw(Raw::new(now)),
    }
}

/// What `Host` says: without a port that is the scheme's own, and without a zone, which means nothing elsewhere (RFC 6874 §1).
fn authority(url: &Url) -> String {
    if url.socket().is_some() {
        return "localhost".to_owned();
    }
    let host = url.host().split('%').next().unwrap_or_default();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match (url.scheme(), url.port()) {
        (Scheme::Http | Scheme::Ws, 80) | (Scheme::Https | Scheme::Wss, 443) => host,
        (_, port) => format!("{host}:{port}"),
    }
}

/// Where a URL points to.
#[derive(PartialEq, Eq)]
enum Place {
    Socket(SocketAddr),
    Path(std::path::PathBuf),
    Name,
}

impl Place {
    fn of(url: &Url) -> Self {
        match (url.socket(), url.host().parse::<IpAddr>()) {
            (Some(path), _) => Self::Path(path.to_owned()),
            (None, Ok(ip)) => Self::Socket((ip, url.port()).into()),
            (None, Err(_)) => Self::Name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Url, authority};

    #[test]
    fn a_host_is_as_others_know_it() {
        for (url, host) in [
            ("http://example.org/x", "example.org"),
            ("http://example.org:8080", "example.org:8080"),
            ("https://user:pw@example.org:443", "example.org"),
            ("ws://example.org:443", "example.org:443"),
            ("http://[::1]:81", "[::1]:81"),
            ("http://[fe80::1%25eth0]", "[fe80::1]"),
            ("tcp://127.0.0.1:80", "127.0.0.1:80"),
            ("http+unix:/run/site.sock", "localhost"),
        ] {
            assert_eq!(authority(&Url::parse(url).unwrap()), host);
        }
    }
}
