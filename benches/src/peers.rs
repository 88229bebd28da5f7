//! Two ways to stop a Rust server gracefully, as their own documentation shows them: what ours is compared with.

use anyhow::{Result, bail};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, port] = arguments.as_slice() else { bail!("usage: peers axum|hyper-util PORT") };
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    match name.as_str() {
        "axum" => axum(listener).await,
        "hyper-util" => hyper_util(listener).await,
        other => bail!("no peer is called {other}"),
    }
}

async fn axum(listener: TcpListener) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "hello\n" }));
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .await?;
    Ok(())
}

async fn hyper_util(listener: TcpListener) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello));
                let connection = graceful.watch(connection);
                // A client that leaves is no news here.
                tokio::spawn(async move { connection.await.ok() });
            }
            _ = terminate.recv() => break,
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(Duration::from_secs(10)) => {}
    }
    Ok(())
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello\n")))
}
