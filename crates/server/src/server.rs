//! The server: bind, serve, drain.

use crate::body::BodyLimit;
use crate::common::{Common, Settings};
use crate::error::{ServeError, ServerError};
use crate::house::House;
use crate::peer::ConnectInfo;
use crate::{BoxError, Late, Limits, RequestBody};
use exeunt_drain::Tell;
use exeunt_lifecycle::Lifecycle;
use exeunt_listener::{Address, Listener};
use http::{Method, Request, Response, Uri};
use http_body::Body;
use std::net::SocketAddr;
use std::time::Duration;

/// A service that a [`Server`] can serve: any tower service over `http` types. Implemented for all that fit.
pub trait HttpService<B>:
    tower_service::Service<
        Request<RequestBody>,
        Response = Response<B>,
        Error: Into<BoxError> + Send,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
}

impl<S, B> HttpService<B> for S where
    S: tower_service::Service<
            Request<RequestBody>,
            Response = Response<B>,
            Error: Into<BoxError> + Send,
            Future: Send,
        > + Clone
        + Send
        + 'static
{
}

/// A server for one service, on one listener or several.
///
/// [`run`](Self::run) ends when the lifecycle's drain has: with no connection open, or with what was left cut.
/// Dropping a server that does not run closes its listeners at once and loses whoever waits in their queues; dropping the
/// future of `run` does the same, and lets each open connection finish what it has and then close. Nothing cuts them
/// then: what they still have at the hard deadline is left behind.
#[derive(Debug)]
pub struct Server<S = ()> {
    name: String,
    first: Listener,
    others: Vec<Listener>,
    settings: Settings,
    service: S,
}

impl Server {
    /// Listens on `address`: `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000`, `:8000`, `unix:/run/site.sock`, or `systemd:NAME`,
    /// a socket that a service manager has opened. Clients
    /// can connect from here on; they are served once [`run`](Self::run) is awaited.
    ///
    /// # Errors
    ///
    /// The text is no address, or the address cannot be had; [`ServerError::hint`] says what to do.
    pub fn bind(address: &str) -> Result<Self, ServerError> {
        let address: Address = address.parse()?;
        Ok(Self::over(Listener::bind(&address)?))
    }

    /// Serves on a listener that exists.
    #[must_use]
    pub fn over(listener: Listener) -> Self {
        Self {
            name: "http".to_owned(),
            first: listener,
            others: Vec::new(),
            settings: Settings::default(),
            service: (),
        }
    }
}

impl<S> Server<S> {
    /// Listens on this address, too, written as for [`bind`](Server::bind): another family, a Unix socket beside TCP. Each
    /// listener closes by itself without losing anyone (rule D3); if one becomes useless, the whole server fails.
    ///
    /// ```
    /// # use exeunt_server::Server;
    /// # let directory = tempfile::tempdir()?;
    /// # let socket = format!("unix:{}", directory.path().join("site.sock").display());
    /// let server = Server::bind("127.0.0.1:0")?.also_bind(&socket)?;
    /// assert_eq!(server.local_addresses().count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`bind`](Server::bind); then the listeners that there were are closed.
    pub fn also_bind(self, address: &str) -> Result<Self, ServerError> {
        let address: Address = address.parse()?;
        Ok(self.also_over(Listener::bind(&address)?))
    }

    /// Serves on this listener, too.
    #[must_use]
    pub fn also_over(mut self, listener: Listener) -> Self {
        self.others.push(listener);
        self
    }

    /// With this service.
    #[must_use]
    pub fn service<T>(self, service: T) -> Server<T> {
        self.map(|_| service)
    }

    /// With what `wrap` makes of the service: a layer.
    #[must_use]
    pub fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Server<T> {
        Server {
            name: self.name,
            first: self.first,
            others: self.others,
            settings: self.settings,
            service: wrap(self.service),
        }
    }

    /// With this name in the report; `http` unless told otherwise.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// With these limits; [`Limits`] tells the defaults and their reasons.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// With this `idle_grace` (rule D5): how long a connection must have been silent before the drain closes it.
    #[must_use]
    pub fn idle_grace(mut self, grace: Duration) -> Self {
        self.settings.limits.drain.idle_grace = grace;
        self
    }

    /// With this choice for clients that connected before the drain and are accepted in it. They are served unless told
    /// otherwise.
    #[must_use]
    pub fn late_connections(mut self, late: Late) -> Self {
        self.settings.late = late;
        self
    }

    /// With a limit of its own for the bodies of some requests, in bytes, in place of
    /// [`Limits::body_bytes`](crate::Limits::body_bytes): `None` leaves it at that. It is asked for every request, before its
    /// handler is called, and must not block.
    ///
    /// ```
    /// # use exeunt_server::Server;
    /// let server = Server::bind("127.0.0.1:0")?.body_limit(|_method, uri| match uri.path() {
    ///     "/videos" => Some(10 << 30),
    ///     path if path.starts_with("/telemetry.Collector/") => Some(u64::MAX), // a stream without an end
    ///     _ => None,
    /// });
    /// # drop(server);
    /// # Ok::<(), exeunt_server::ServerError>(())
    /// ```
    #[must_use]
    pub fn body_limit(
        mut self,
        limit: impl Fn(&Method, &Uri) -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        self.settings.body_limit = Some(BodyLimit::new(limit));
        self
    }

    /// Has `make` put something into the extensions of each request that came by TCP, made of the client's address. For
    /// axum that is its own `ConnectInfo`:
    ///
    /// ```
    /// # use exeunt_server::Server;
    /// # #[derive(Clone)]
    /// # struct ConnectInfo<T>(T);
    /// # let router = ();
    /// use std::net::SocketAddr; // and axum::extract::ConnectInfo
    ///
    /// let server = Server::bind("127.0.0.1:0")?.connect_info(ConnectInfo::<SocketAddr>).service(router);
    /// # drop(server);
    /// # Ok::<(), exeunt_server::ServerError>(())
    /// ```
    ///
    /// [`Peer`](crate::Peer) is there without this.
    #[must_use]
    pub fn connect_info<T: Clone + Send + Sync + 'static>(
        mut self,
        make: impl Fn(SocketAddr) -> T + Send + Sync + 'static,
    ) -> Self {
        self.settings.connect_info = Some(ConnectInfo::new(make));
        self
    }

    /// With this moment at which streams are told of the drain (rule D6, [`Draining`](crate::Draining)); as it begins
    /// unless told otherwise.
    #[must_use]
    pub fn tell_streams(mut self, tell: Tell) -> Self {
        self.settings.telling.tell = tell;
        self
    }

    /// With this window over which streams are told, from the moment of [`tell_streams`](Self::tell_streams) on: not
    /// all of their clients connect elsewhere at the same moment then. Zero unless told otherwise. Connections are
    /// spread evenly over it, those accepted one after the other far apart; a window that would reach into the last 2 s
    /// before the drain deadline (the last quarter of a short drain) is shorter.
    #[must_use]
    pub fn close_spread(mut self, window: Duration) -> Self {
        self.settings.telling.spread = window;
        self
    }

    /// Where it listens, with the port that the kernel chose; of several, the first.
    #[must_use]
    pub fn local_address(&self) -> &Address {
        self.first.local_address()
    }

    /// All the addresses that it listens on, in the order in which they were bound.
    pub fn local_addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.first).chain(&self.others).map(Listener::local_address)
    }

    /// Serves until the lifecycle drains, then drains (rules D2 to D8), and returns when no connection is open.
    /// The lifecycle does not begin `Closing` before that, unless the drain deadline comes first.
    ///
    /// # Errors
    ///
    /// The socket became useless. The lifecycle has then been told that the server failed, and what had been accepted
    /// has been drained.
    pub fn run<B>(
        self,
        lifecycle: &Lifecycle,
    ) -> impl Future<Output = Result<(), ServeError>> + Send + use<S, B>
    where
        S: HttpService<B> + Sync,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        // Before the first poll: whoever has called `run` is waited for.
        let common = Common::new(self.settings, lifecycle.scope(self.name));
        let house = House::new(common, self.service);
        let listeners = std::iter::once(self.first).chain(self.others).collect();
        async move {
            let outcome = house.serve_and_drain(listeners).await;
            if let Err(error) = &outcome {
                tracing::error!(%error, "the server failed");
            }
            outcome
        }
    }
}
