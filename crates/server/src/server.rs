//! The server: bind, serve, drain.

use crate::accept::Acceptor;
use crate::error::{ServeError, ServerError};
use crate::exchange::Exchange;
use crate::registry::Registry;
use crate::transport::Transport;
use crate::{BoxError, task};
use exeunt_drain::Limits;
use exeunt_lifecycle::{Lifecycle, Phase, Scope};
use exeunt_listener::{Address, CloseOptions, Connection, Listener};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

/// A service that a [`Server`] can serve: any tower service over `http` types. Implemented for all that fit.
pub trait HttpService<B>:
    tower_service::Service<
        Request<Incoming>,
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
            Request<Incoming>,
            Response = Response<B>,
            Error: Into<BoxError> + Send,
            Future: Send,
        > + Clone
        + Send
        + 'static
{
}

/// A server for one service on one listener.
///
/// [`run`](Self::run) ends when the lifecycle's drain has: with no connection open, or with what was left cut.
/// Dropping a server that does not run closes its listener at once and loses whoever waits in its queue; dropping the
/// future of `run` does the same, and lets each open connection finish what it has and then close. Nothing cuts them
/// then: what they still have at the hard deadline is left behind.
#[derive(Debug)]
pub struct Server<S = ()> {
    name: String,
    listener: Listener,
    limits: Limits,
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
        Self { name: "http".to_owned(), listener, limits: Limits::default(), service: () }
    }
}

impl<S> Server<S> {
    /// With this service.
    #[must_use]
    pub fn service<T>(self, service: T) -> Server<T> {
        Server { name: self.name, listener: self.listener, limits: self.limits, service }
    }

    /// With what `wrap` makes of the service: a layer.
    #[must_use]
    pub fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Server<T> {
        Server { name: self.name, listener: self.listener, limits: self.limits, service: wrap(self.service) }
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
        self.limits = limits;
        self
    }

    /// With this `idle_grace` (rule D5): how long a connection must have been silent before the drain closes it.
    #[must_use]
    pub fn idle_grace(mut self, grace: Duration) -> Self {
        self.limits.idle_grace = grace;
        self
    }

    /// Where it listens, with the port that the kernel chose.
    #[must_use]
    pub fn local_address(&self) -> &Address {
        self.listener.local_address()
    }

    /// Serves until the lifecycle drains, then drains (rules D2 to D5, D7, D8), and returns when no connection is open.
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
        let scope = Arc::new(lifecycle.scope(self.name));
        let house = House { limits: self.limits, service: self.service, scope, registry: Arc::default() };
        let listener = self.listener;
        async move {
            let outcome = house.serve_and_drain(listener).await;
            if let Err(error) = &outcome {
                tracing::error!(%error, "the server failed");
            }
            outcome
        }
    }
}

/// What every connection of a server shares.
struct House<S> {
    limits: Limits,
    service: S,
    scope: Arc<Scope>,
    registry: Arc<Registry>,
}

impl<S> House<S> {
    async fn serve_and_drain<B>(&self, listener: Listener) -> Result<(), ServeError>
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let stop = self.scope.stop();
        let failed = |error: io::Error| {
            stop.fail(self.scope.name(), error.to_string());
            ServeError::from(error)
        };
        let acceptor = Acceptor::new(listener).map_err(failed)?;
        let outcome = loop {
            tokio::select! {
                // The stop first: under load there is always somebody to accept.
                biased;
                () = stop.reached(Phase::Draining) => break Ok(()),
                accepted = acceptor.accept() => match accepted {
                    Ok(connection) => self.admit(connection),
                    Err(error) => break Err(failed(error)),
                }
            }
        };
        self.drain(acceptor).await;
        outcome
    }

    /// Takes in a connection.
    fn admit<B>(&self, connection: Connection)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let entered = match connection {
            Connection::Tcp { stream, peer } => tcp(stream).map(|stream| self.serve(stream, Some(peer))),
            Connection::Unix { stream } => {
                UnixStream::from_std(stream).map(|stream| self.serve(stream, None))
            }
        };
        if let Err(error) = entered {
            tracing::warn!(%error, "a connection broke as it was accepted");
        }
    }

    fn serve<T, B>(&self, transport: T, peer: Option<SocketAddr>)
    where
        T: Transport,
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let exchange = Arc::new(Exchange::new(self.limits, Arc::clone(&self.scope), peer));
        let entry = self.registry.enter(Arc::clone(&exchange));
        let service = self.service.clone();
        tokio::spawn(async move {
            task::serve(transport, service, exchange).await;
            drop(entry);
        });
    }

    /// From the beginning of the drain to its end.
    async fn drain<B>(&self, acceptor: Acceptor)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.registry.drain();
        let emptied = async {
            let report = acceptor.close(CloseOptions::default(), |connection| self.admit(connection)).await;
            tracing::debug!(%report, "the listener is closed");
            self.registry.emptied().await;
        };
        tokio::select! {
            () = emptied => return,
            () = self.scope.cut_requested() => {}
        }
        tracing::debug!(connections = self.registry.len(), "the drain deadline has come");
        self.registry.cut();
        // The answers of 503 still go out; the lifecycle's hard deadline bounds this wait.
        self.registry.emptied().await;
    }
}

impl<S> Drop for House<S> {
    /// Nobody will tell the connections of the drain any more, if the future of `run` is dropped before.
    fn drop(&mut self) {
        self.registry.drain();
    }
}

fn tcp(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    // Answers are written whole: Nagle's delay would only hold back their last packet.
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream)
}
