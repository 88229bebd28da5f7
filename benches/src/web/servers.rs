//! The servers under measurement: one axum router, served in three ways on a runtime of several threads.

use crate::servers::announce;
use anyhow::Result;
use axum::Router;
use axum::routing::get;
use exeunt_server::lifecycle::{Config, Lifecycle};
use exeunt_server::{Limits, Server};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::TcpListener;

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// `exeunt_server::Server`.
    Ours,
    /// An accept loop over hyper, and nothing else.
    Hyper,
    /// `axum::serve`.
    Axum,
}

/// Runs a server until it is ended; its first line says where it listens.
pub(crate) fn serve(kind: Kind) -> Result<()> {
    let router = Router::new().route("/", get(async || "hello world"));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        match kind {
            Kind::Ours => ours(router).await,
            Kind::Hyper => hyper(router).await,
            Kind::Axum => axum(router).await,
        }
    })
}

async fn ours(router: Router) -> Result<()> {
    let mut limits = Limits::default();
    // A measurement may take longer than the silence that is usual.
    limits.drain.idle = Duration::from_secs(3600);
    let server = Server::bind("127.0.0.1:0")?.limits(limits).service(router);
    let address = server.local_address().clone();
    let lifecycle = Lifecycle::install(Config::default())?;
    let serving = server.run(&lifecycle);
    lifecycle.ready();
    announce(&address)?;
    serving.await?;
    lifecycle.finished().await;
    Ok(())
}

async fn hyper(router: Router) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(&listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            // A client that leaves is no news here.
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

async fn axum(router: Router) -> Result<()> {
    use axum::serve::ListenerExt as _;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(&listener.local_addr()?)?;
    let listener = listener.tap_io(|stream| {
        // Loopback has no delay that Nagle could add to; it is off where the others have it off.
        stream.set_nodelay(true).ok();
    });
    axum::serve(listener, router).await?;
    Ok(())
}
