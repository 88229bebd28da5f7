//! Where the connections of a server live: who accepts them, and how they all leave.

use crate::accept::Acceptor;
use crate::common::Common;
use crate::connection;
use crate::error::ServeError;
use crate::peer::Peer;
use crate::registry::{Registry, Stage};
use crate::room::{Door, Place, Room, Waited};
#[cfg(feature = "metrics")]
use crate::telemetry::Counting;
use crate::transport::Transport;
use crate::turn_away::{Manner, turn_away};
use crate::{BoxError, HttpService, Late};
use exeunt_lifecycle::Phase;
use exeunt_listener::{CloseOptions, Connection, Listener};
use futures_util::FutureExt as _;
use futures_util::future::{join_all, try_join_all};
use http_body::Body;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
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
    room: Arc<Room>,
}

/// A listener, and whom it has accepted without a place to give.
struct Entrance {
    acceptor: Acceptor,
    waiting: Mutex<Option<Connection>>,
}

impl<S> House<S> {
    pub(crate) fn new(common: Common, service: S) -> Self {
        let registry = Arc::default();
        let room = Room::new(common.limits().connections, common.limits().connection_wait);
        #[cfg(feature = "metrics")]
        let counting = Counting::of(&registry, &common.scope, &common.stop);
        Self {
            common: Arc::new(common),
            service,
            registry,
            #[cfg(feature = "metrics")]
            counting,
            room: Arc::new(room),
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
        let entrances: Result<Vec<_>, _> = listeners.into_iter().map(Entrance::new).collect();
        let entrances = entrances.map_err(failed)?;
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
            outcome = try_join_all(entrances.iter().map(|entrance| self.accept(entrance))) => {
                outcome.map(drop).map_err(failed)
            }
        };
        self.drain(entrances).await;
        outcome
    }

    /// Takes in whoever comes, and ends with an error alone.
    async fn accept<B>(&self, entrance: &Entrance) -> io::Result<()>
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let stop = &self.common.stop;
        while stop.phase() < Phase::Draining {
            let connection = entrance.acceptor.accept().await?;
            if let Some(place) = self.room.place() {
                self.admit(connection, place);
                continue;
            }
            // Everybody else waits in the kernel's queue. If the drain begins meanwhile, it takes in this one, too.
            entrance.hold(connection);
            let waited = self.room.wait().await;
            let Some(connection) = entrance.release() else { continue };
            match waited {
                Waited::Admitted(place) => self.admit(connection, place),
                Waited::TurnedAway(door) => self.refuse(connection, self.full(), Some(door)),
            }
        }
        std::future::pending().await
    }

    /// Takes in a connection that comes in the drain.
    fn admit_late<B>(&self, connection: Connection)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let manner = match self.common.settings.late {
            Late::Serve => match self.room.place() {
                Some(place) => return self.admit(connection, place),
                None => self.full(),
            },
            Late::Close => Manner::Closed,
        };
        // No door: nobody more comes, and those who are here are not to wait for each other until the deadline.
        self.refuse(connection, manner, None);
    }

    fn full(&self) -> Manner {
        Manner::Full { retry_after: self.common.limits().connection_wait }
    }

    /// Takes in a connection.
    fn admit<B>(&self, connection: Connection, place: Place)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let entered = match connection {
            Connection::Tcp { stream, peer } => tcp(stream).map(|stream| {
                let peer = Peer::of_tcp(&stream, peer);
                self.serve(stream, peer, place);
            }),
            Connection::Unix { stream } => UnixStream::from_std(stream).map(|stream| {
                let peer = Peer::of_unix(&stream);
                self.serve(stream, peer, place);
            }),
        };
        tell_broken(entered);
    }

    /// Turns a connection away, through that door.
    fn refuse(&self, connection: Connection, manner: Manner, door: Option<Door>) {
        tracing::debug!(?manner, "a connection is turned away");
        let (patience, registry) = (self.common.limits().drain.linger, &self.registry);
        let entered = match connection {
            Connection::Tcp { stream, .. } => tcp(stream)
                .map(|stream| drop(tokio::spawn(turn_away(stream, manner, patience, door, registry)))),
            Connection::Unix { stream } => UnixStream::from_std(stream)
                .map(|stream| drop(tokio::spawn(turn_away(stream, manner, patience, door, registry)))),
        };
        tell_broken(entered);
    }

    fn serve<T, B>(&self, transport: T, peer: Peer, place: Place)
    where
        T: Transport,
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let service = self.service.clone();
        let span = tracing::debug_span!(target: "exeunt::server", "connection", server = self.common.scope.name(), %peer);
        let served = connection::serve(transport, peer, service, &self.common, &self.registry);
        tokio::spawn(served.instrument(span).map(|()| drop(place)));
    }

    /// Closes a listener without losing anyone (D3).
    async fn close<B>(&self, entrance: Entrance)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        if let Some(connection) = entrance.release() {
            self.admit_late(connection);
        }
        let acceptor = entrance.acceptor;
        let report = acceptor.close(CloseOptions::default(), |connection| self.admit_late(connection)).await;
        tracing::debug!(%report, "the listener is closed");
    }

    /// From the beginning of the drain to its end.
    async fn drain<B>(&self, entrances: Vec<Entrance>)
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.common.streams.begin(tokio::time::Instant::now().into_std());
        self.registry.begin(Stage::Draining);
        let emptied = async {
            join_all(entrances.into_iter().map(|entrance| self.close(entrance))).await;
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

impl Entrance {
    fn new(listener: Listener) -> io::Result<Self> {
        Ok(Self { acceptor: Acceptor::new(listener)?, waiting: Mutex::new(None) })
    }

    fn hold(&self, connection: Connection) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    fn release(&self) -> Option<Connection> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S> Drop for House<S> {
    /// Nobody will tell the connections of the drain any more, if the future of `run` is dropped before.
    fn drop(&mut self) {
        self.registry.begin(Stage::Draining);
    }
}

fn tell_broken(entered: io::Result<()>) {
    if let Err(error) = entered {
        tracing::warn!(%error, "a connection broke as it was accepted");
    }
}

fn tcp(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    // Answers are written whole: Nagle's delay would only hold back their last packet.
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream)
}
