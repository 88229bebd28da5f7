//! Where the connections of a server live: who accepts them, and how they all leave.

use crate::accept::Acceptor;
use crate::common::Common;
use crate::connection;
use crate::error::ServeError;
use crate::peer::Peer;
use crate::registry::{Registry, Stage};
#[cfg(feature = "metrics")]
use crate::telemetry::Counting;
use crate::transport::Transport;
use crate::{BoxError, HttpService};
use exeunt_lifecycle::Phase;
use exeunt_listener::{CloseOptions, Connection, Listener};
use futures_util::future::{join_all, try_join_all};
use http_body::Body;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpStream, UnixStream};
use tracing::Instrument as _;

/// A server that runs.
pub(crate) struct House<S> {
    common: Arc<Common>,
    service: S,
    registry: Arc<Registry>,
    #[cfg(feature = "metrics")]
    #[expect(dead_code, reason = "held for its drop")]
    counting: Counting,
}

impl<S> House<S> {
    pub(crate) fn new(common: Common, service: S) -> Self {
        let registry = Arc::default();
        #[cfg(feature = "metrics")]
        let counting = Counting::of(&registry, &common.scope, &common.stop);
        Self {
            common: Arc::new(common),
            service,
            registry,
            #[cfg(feature = "metrics")]
            counting,
        }
    }

    pub(crate) async fn serve_and_drain<B>(&self, listeners: Vec<Listener>) -> Result<(), ServeError>
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let Common { scope, stop, .. } = &*self.common;
        let failed = |error: io::Error| {
            stop.fail(scope.name(), error.to_string());
            ServeError::from(error)
        };
        let acceptors: Result<Vec<_>, _> = listeners.into_iter().map(Acceptor::new).collect();
        let acceptors = acceptors.map_err(failed)?;
        let draining = async {
            stop.requested().await;
            self.registry.begin(Stage::Stopping);
            stop.reached(Phase::Draining).await;
        };
        let outcome = tokio::select! {
            // The stop first: under load there is always somebody to accept.
            biased;
            () = draining => Ok(()),
            // One that is of no use any more ends all: half a server would look like a whole one.
            outcome = try_join_all(acceptors.iter().map(|acceptor| self.accept(acceptor))) => {
                outcome.map(drop).map_err(failed)
            }
        };
        self.drain(acceptors).await;
        outcome
    }

    /// Takes in whoever comes, and ends with an error alone.
    async fn accept<B>(&self, acceptor: &Acceptor) -> io::Result<()>
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let stop = &self.common.stop;
        while stop.phase() < Phase::Draining {
            self.admit(acceptor.accept().await?);
        }
        std::future::pending().await
    }

    /// Takes in a connection.
    fn admit<B>(&self, connection: Connection)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let entered = match connection {
            Connection::Tcp { stream, peer } => tcp(stream).map(|stream| {
                let peer = Peer::of_tcp(&stream, peer);
                self.serve(stream, peer);
            }),
            Connection::Unix { stream } => UnixStream::from_std(stream).map(|stream| {
                let peer = Peer::of_unix(&stream);
                self.serve(stream, peer);
            }),
        };
        if let Err(error) = entered {
            tracing::warn!(%error, "a connection broke as it was accepted");
        }
    }

    fn serve<T, B>(&self, transport: T, peer: Peer)
    where
        T: Transport,
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let service = self.service.clone();
        let span = tracing::debug_span!(target: "exeunt::server", "connection", server = self.common.scope.name(), %peer);
        tokio::spawn(
            connection::serve(transport, peer, service, &self.common, &self.registry).instrument(span),
        );
    }

    /// Closes a listener without losing anyone (D3).
    async fn close<B>(&self, acceptor: Acceptor)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let report = acceptor.close(CloseOptions::default(), |connection| self.admit(connection)).await;
        tracing::debug!(%report, "the listener is closed");
    }

    /// From the beginning of the drain to its end.
    async fn drain<B>(&self, acceptors: Vec<Acceptor>)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.common.streams.begin(tokio::time::Instant::now().into_std());
        self.registry.begin(Stage::Draining);
        let emptied = async {
            join_all(acceptors.into_iter().map(|acceptor| self.close(acceptor))).await;
            self.registry.emptied().await;
        };
        tokio::select! {
            () = emptied => return,
            () = self.common.scope.cut_requested() => {}
        }
        tracing::debug!(connections = self.registry.len(), "the drain deadline has come");
        self.registry.begin(Stage::Cut);
        // The answers of 503 still go out; the lifecycle's hard deadline bounds this wait.
        self.registry.emptied().await;
    }
}

impl<S> Drop for House<S> {
    /// Nobody will tell the connections of the drain any more, if the future of `run` is dropped before.
    fn drop(&mut self) {
        self.registry.begin(Stage::Draining);
    }
}

fn tcp(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    // Answers are written whole: Nagle's delay would only hold back their last packet.
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream)
}
