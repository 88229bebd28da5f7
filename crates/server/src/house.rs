//! Where the connections of a server live: who accepts them, and how they all leave.

use crate::accept::Acceptor;
use crate::common::Common;
use crate::connection;
use crate::error::ServeError;
use crate::registry::{Registry, Stage};
use crate::transport::Transport;
use crate::{BoxError, HttpService};
use exeunt_lifecycle::Phase;
use exeunt_listener::{CloseOptions, Connection, Listener};
use http_body::Body;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpStream, UnixStream};

/// A server that runs.
pub(crate) struct House<S> {
    common: Arc<Common>,
    service: S,
    registry: Arc<Registry>,
}

impl<S> House<S> {
    pub(crate) fn new(common: Common, service: S) -> Self {
        Self { common: Arc::new(common), service, registry: Arc::default() }
    }

    pub(crate) async fn serve_and_drain<B>(&self, listener: Listener) -> Result<(), ServeError>
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let Common { scope, stop, .. } = &*self.common;
        let failed = |error: io::Error| {
            stop.fail(scope.name(), error.to_string());
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
        let service = self.service.clone();
        tokio::spawn(connection::serve(transport, peer, service, &self.common, &self.registry));
    }

    /// From the beginning of the drain to its end.
    async fn drain<B>(&self, acceptor: Acceptor)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.registry.begin(Stage::Draining);
        let emptied = async {
            let report = acceptor.close(CloseOptions::default(), |connection| self.admit(connection)).await;
            tracing::debug!(%report, "the listener is closed");
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
