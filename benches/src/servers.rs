//! The servers under measurement.

use anyhow::Result;
use bytes::Bytes;
use exeunt_server::lifecycle::{Config, Lifecycle, Stop};
use exeunt_server::{BoxError, Health, HttpService, Server};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// `exeunt_server::Server`.
    Ours,
    /// An accept loop over hyper, and nothing else.
    Bare,
}

/// What it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Site {
    /// A folder, by tower-http's `ServeDir`: what `exeunt serve` does.
    Folder,
    /// Thirteen bytes from memory: the server's own cost, with the least of anything else.
    Word,
}

/// Runs a server until it is ended; its first line says where it listens.
pub(crate) fn serve(kind: Kind, site: Site, dir: &Path) -> Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // The time of a thread that ends (ServeDir reads files on threads that come and go) is not to be had any more.
    runtime.enable_all().thread_keep_alive(Duration::from_secs(3600));
    runtime.build()?.block_on(async {
        match (kind, site) {
            // With /livez and /readyz, as `exeunt serve` has it, though the bare server has neither.
            (Kind::Ours, Site::Folder) => ours(|stop| Health::new(ServeDir::new(dir), stop)).await,
            (Kind::Ours, Site::Word) => ours(|_| tower::service_fn(word)).await,
            (Kind::Bare, Site::Folder) => bare(ServeDir::new(dir)).await,
            (Kind::Bare, Site::Word) => bare(tower::service_fn(word)).await,
        }
    })
}

async fn ours<S, B>(service: impl FnOnce(Stop) -> S) -> Result<()>
where
    S: HttpService<B> + Sync,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let server = Server::bind("127.0.0.1:0")?;
    announce(&server.local_address())?;
    let lifecycle = Lifecycle::install(Config::default())?;
    lifecycle.ready();
    server.service(service(lifecycle.stop())).run(&lifecycle).await?;
    lifecycle.finished().await;
    Ok(())
}

async fn bare<S, B>(service: S) -> Result<()>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError> + Send, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(&listener.local_addr()?)?;
    loop {
        let (stream, _): (_, SocketAddr) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // A client that leaves is no news here.
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

pub(crate) fn announce(address: &dyn std::fmt::Display) -> Result<()> {
    writeln!(std::io::stdout(), "{address}")?;
    Ok(())
}

async fn word<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("Hello, World!")))
}
