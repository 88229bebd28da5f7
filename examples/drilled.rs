//! An axum service with all that a stop may tear: answers that take their time, uploads, large answers, WebSockets and
//! server-sent events. Each of its handlers ends well when the service is stopped, and the drill proves it:
//!
//! ```text
//! exeunt drill --slow-path '/slow?ms=500' --flight-path '/slow?ms=5' --upload-path /upload --large-path /large \
//!     --ws-path /chat --sse-path /events -- drilled '127.0.0.1:{port}'
//! ```
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use axum::body::{Body, Bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{DefaultBodyLimit, Query};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use exeunt::Server;
use exeunt::server::Draining;
use futures_util::{Stream, StreamExt as _, stream};
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;
use tokio::time::sleep;

fn main() -> exeunt::Exit {
    exeunt::main(async |app| {
        let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        let server = Server::bind(&address)?;
        println!("serving {}", server.local_address());
        app.serve("http", server.service(router()));
        Ok(())
    })
}

fn router() -> Router {
    Router::new()
        .route("/", get(async || "well\n"))
        .route("/slow", get(slow))
        .route("/upload", post(upload).layer(DefaultBodyLimit::max(1 << 20)))
        .route("/large", get(large))
        .route("/chat", any(chat))
        .route("/events", get(events))
}

/// Takes `?ms=N` milliseconds: what is in flight at the stop is answered all the same.
async fn slow(Query(query): Query<HashMap<String, u64>>) -> &'static str {
    sleep(Duration::from_millis(query.get("ms").copied().unwrap_or(500))).await;
    "slow\n"
}

/// A body that is still on its way at the stop is read to its end.
async fn upload(body: Bytes) -> String {
    format!("{} bytes\n", body.len())
}

/// `?mib=N` MiB, 16 unless told otherwise, made as quickly as they are read.
async fn large(Query(query): Query<HashMap<String, usize>>) -> Body {
    static BLOCK: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    let blocks = query.get("mib").copied().unwrap_or(16).min(1024) * 16;
    Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&BLOCK))).take(blocks))
}

async fn chat(upgrade: WebSocketUpgrade, Extension(draining): Extension<Draining>) -> Response {
    upgrade.on_upgrade(async move |socket| answer(socket, draining).await).into_response()
}

/// Every message is answered; when the service stops, those that have come are, and then the peer is told to go. Behind
/// that last word the server waits for the peer's, and closes.
async fn answer(mut socket: WebSocket, draining: Draining) {
    let mut told = pin!(draining.begun());
    loop {
        let message = tokio::select! {
            biased;
            message = socket.recv() => message,
            () = &mut told => {
                let reason = "the service stops".into();
                let close = Message::Close(Some(CloseFrame { code: close_code::AWAY, reason }));
                _ = socket.send(close).await; // The peer may have gone already.
                return;
            }
        };
        let Some(Ok(message)) = message else { return };
        let answered = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await,
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
        };
        if answered.is_err() {
            return;
        }
    }
}

/// An event every 50 ms, and a last one for whoever listens when the service stops.
async fn events(
    Extension(draining): Extension<Draining>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let news = stream::unfold(0_u64, async |number| {
        sleep(Duration::from_millis(50)).await;
        Some((Event::default().event("tick").data(number.to_string()), number + 1))
    });
    let goodbye = stream::iter([Event::default().event("goodbye").data("another server will go on")]);
    Sse::new(draining.until(news).chain(goodbye).map(Ok))
}
