//! Who is at the other end of a connection, and where it has reached us.

use http::Extensions;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::unix::UCred;
use tokio::net::{TcpStream, UnixStream};

/// Both ends of the connection that a request came by, among its [extensions](http::Request::extensions): in axum, the
/// argument `Extension(peer): Extension<Peer>`. axum's own `ConnectInfo` is there where
/// [`Server::connect_info`](crate::Server::connect_info) was told so.
///
/// It is what the kernel says, and so the proxy's address behind a proxy: what `Forwarded` says is for the program to
/// believe or not.
///
/// ```
/// # use exeunt_server::Peer;
/// # use http::{Request, Response};
/// async fn hello<B>(request: Request<B>) -> Response<String> {
///     // `Server` puts it there.
///     let peer = request.extensions().get::<Peer>();
///     Response::new(peer.map_or_else(String::new, |peer| format!("hello {peer}"))) // "hello 192.0.2.7:51234"
/// }
/// ```
#[derive(Clone)]
pub struct Peer(End);

#[derive(Clone)]
enum End {
    /// Nobody knows the own end of a connection that broke before it could be asked for.
    Tcp { remote: SocketAddr, local: Option<SocketAddr> },
    /// Shared: a request each costs no copy of the path.
    Unix(Arc<UnixEnd>),
}

struct UnixEnd {
    path: Option<PathBuf>,
    credentials: Option<UCred>,
}

impl Peer {
    /// The client's address; `None` on a Unix socket.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        match self.0 {
            End::Tcp { remote, .. } => Some(remote),
            End::Unix(_) => None,
        }
    }

    /// The address of ours that the client has connected to: one of the machine's, where the server listens on all of
    /// them. `None` on a Unix socket.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match self.0 {
            End::Tcp { local, .. } => local,
            End::Unix(_) => None,
        }
    }

    /// The path of the Unix socket that the client has connected to.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            End::Tcp { .. } => None,
            End::Unix(end) => end.path.as_deref(),
        }
    }

    /// Process, user and group of a client on a Unix socket, as of its connect (`SO_PEERCRED`, unix(7)).
    #[must_use]
    pub fn credentials(&self) -> Option<UCred> {
        match &self.0 {
            End::Tcp { .. } => None,
            End::Unix(end) => end.credentials,
        }
    }
}

impl Peer {
    pub(crate) fn of_tcp(stream: &TcpStream, remote: SocketAddr) -> Self {
        Self(End::Tcp { remote, local: stream.local_addr().ok() })
    }

    pub(crate) fn of_unix(stream: &UnixStream) -> Self {
        let address = stream.local_addr().ok();
        let path = address.as_ref().and_then(|address| address.as_pathname()).map(Path::to_owned);
        Self(End::Unix(Arc::new(UnixEnd { path, credentials: stream.peer_cred().ok() })))
    }
}

#[cfg(test)]
impl Peer {
    /// Of a stream in memory.
    pub(crate) fn nobody() -> Self {
        Self(End::Unix(Arc::new(UnixEnd { path: None, credentials: None })))
    }
}

/// As the report names it: the client's address, or the process behind a Unix socket.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            End::Tcp { remote, .. } => remote.fmt(f),
            End::Unix(end) => match end.credentials.and_then(|credentials| credentials.pid()) {
                Some(process) => write!(f, "process {process}"),
                None => f.write_str("a Unix socket's client"),
            },
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({self})")
    }
}

/// Puts into a request's extensions what the program has asked for beside [`Peer`].
#[derive(Clone)]
pub(crate) struct ConnectInfo(Arc<Insert>);

type Insert = dyn Fn(SocketAddr, &mut Extensions) + Send + Sync;

impl ConnectInfo {
    pub(crate) fn new<T: Clone + Send + Sync + 'static>(
        make: impl Fn(SocketAddr) -> T + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |remote, extensions| _ = extensions.insert(make(remote))))
    }

    pub(crate) fn insert(&self, peer: &Peer, extensions: &mut Extensions) {
        if let Some(remote) = peer.remote() {
            (self.0)(remote, extensions);
        }
    }
}

impl fmt::Debug for ConnectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectInfo")
    }
}
