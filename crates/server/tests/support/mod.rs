//! A server under test, and a peer that sees every byte.
#![allow(dead_code, reason = "not every test needs all of it")]

pub(crate) mod frames;
pub(crate) mod http2;

use bytes::Bytes;
use exeunt_lifecycle::{Config, Lifecycle, Phase, Report, Stop};
use exeunt_server::{Health, Limits, RequestBody, Server};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

/// Nothing here takes that long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, &'static str>>;

/// A response with that body.
pub(crate) fn whole(body: impl Into<Bytes>) -> Answer {
    Response::new(http_body_util::Full::new(body.into()).map_err(|never| match never {}).boxed_unsync())
}

/// A handler.
pub(crate) async fn hello(_: Request<RequestBody>) -> Result<Answer, &'static str> {
    Ok(whole("hello"))
}

pub(crate) type GateFuture = Pin<Box<dyn Future<Output = Result<Answer, &'static str>> + Send>>;

/// A handler that says when it was begun, and answers with `body` when it is let go.
pub(crate) fn gate(
    body: impl Into<Bytes>,
) -> (Arc<Semaphore>, Arc<Semaphore>, impl Fn(Request<RequestBody>) -> GateFuture + Clone) {
    let (begun, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let parts = (Arc::clone(&begun), Arc::clone(&go), body.into());
    let handler = move |_: Request<RequestBody>| -> GateFuture {
        let (begun, go, body) = parts.clone();
        Box::pin(async move {
            begun.add_permits(1);
            go.acquire().await.unwrap().forget();
            Ok(whole(body))
        })
    };
    (begun, go, handler)
}

/// A response whose body comes piece by piece.
pub(crate) fn pieces() -> (mpsc::UnboundedSender<Bytes>, Answer) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Bytes>();
    let stream = futures_util::stream::poll_fn(move |cx| {
        receiver.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    });
    (sender, Response::new(StreamBody::new(stream).boxed_unsync()))
}

/// Limits with this `idle_grace`.
pub(crate) fn silent_for(grace: Duration) -> Limits {
    let mut limits = Limits::default();
    limits.drain.idle_grace = grace;
    limits
}

/// Limits that are patient but for what `change` does.
pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = patient();
    change(&mut limits);
    limits
}

/// A server with those limits, on a port that the kernel chooses.
pub(crate) fn server(limits: Limits) -> Server {
    Server::bind("127.0.0.1:0").unwrap().limits(limits)
}

/// No connection is closed for its silence while a test runs.
pub(crate) fn patient() -> Limits {
    silent_for(Duration::from_secs(600))
}

/// Each is closed as soon as the drain begins.
pub(crate) fn impatient() -> Limits {
    silent_for(Duration::from_millis(1))
}

/// A running server and its lifecycle.
pub(crate) struct House {
    pub(crate) stop: Stop,
    address: SocketAddr,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) server: tokio::task::JoinHandle<Result<(), exeunt_server::ServeError>>,
}

impl House {
    /// Serves with `handler`.
    pub(crate) fn open<H, F>(config: Config, limits: Limits, handler: H) -> Self
    where
        H: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Answer, &'static str>> + Send + 'static,
    {
        Self::run(config, server(limits), handler)
    }

    /// Serves with `handler`, by a server of one's own.
    pub(crate) fn run<H, F, E>(config: Config, server: Server, handler: H) -> Self
    where
        H: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Answer, E>> + Send + 'static,
        E: Into<exeunt_server::BoxError> + Send + 'static,
    {
        let lifecycle = Lifecycle::on_runtime(config).unwrap();
        let address = server.local_address().as_socket_addr().unwrap();
        let stop = lifecycle.stop();
        let service = Health::new(tower::service_fn(handler), stop.clone());
        let server = tokio::spawn(server.service(service).run(&lifecycle));
        lifecycle.ready();
        Self { stop, address, lifecycle, server }
    }

    pub(crate) async fn peer(&self) -> Peer {
        TcpStream::connect(self.address).await.unwrap().into()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests the stop and waits until the drain has begun.
    pub(crate) async fn drain(&self) {
        self.stop.request_stop("the test wants it");
        soon(self.stop.reached(Phase::Draining)).await;
    }

    /// Waits for the end.
    pub(crate) async fn ended(self) -> Report {
        let report = soon(self.lifecycle.finished()).await;
        soon(self.server).await.unwrap().unwrap();
        report
    }
}

/// A client on a raw socket.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl From<TcpStream> for Peer {
    fn from(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

impl Peer {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Shuts down the peer's write side.
    pub(crate) async fn end_writing(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
    }

    /// The next response: its head, lower case, and as much body as `content-length` says.
    pub(crate) async fn response(&mut self) -> (String, String) {
        soon(async {
            loop {
                let text = String::from_utf8_lossy(&self.read).into_owned();
                if let Some((head, rest)) = text.split_once("\r\n\r\n") {
                    let head = head.to_lowercase();
                    let length = head
                        .split_once("content-length: ")
                        .map_or(0, |(_, rest)| rest.lines().next().unwrap().parse().unwrap());
                    if rest.len() >= length {
                        let body = rest[..length].to_owned();
                        self.read.drain(..head.len() + 4 + length);
                        return (head, body);
                    }
                }
                let count = self.stream.read_buf(&mut self.read).await.unwrap();
                assert_ne!(count, 0, "the connection ended inside a response: {text:?}");
            }
        })
        .await
    }

    /// Reads until this has come; answers with all that has, and leaves nothing of it to be read.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        soon(async {
            loop {
                let read = String::from_utf8_lossy(&self.read);
                if let Some(at) = read.find(text) {
                    let found = read[..at + text.len()].to_lowercase();
                    self.read.drain(..at + text.len());
                    return found;
                }
                let count = self.stream.read_buf(&mut self.read).await.unwrap();
                assert_ne!(count, 0, "the connection ended before {text:?}: {:?}", self.read);
            }
        })
        .await
    }

    /// What is left to read, and how the connection ended.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, End) {
        soon(async {
            loop {
                match self.stream.read_buf(&mut self.read).await {
                    Ok(0) => return (std::mem::take(&mut self.read), End::Fin),
                    Ok(_) => {}
                    Err(_) => return (std::mem::take(&mut self.read), End::Reset),
                }
            }
        })
        .await
    }
}

/// Waits, but not for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it hangs")
}
