//! A chat over WebSocket: at the stop, what was said is passed on, and everybody gets a Close with 1001 (going away).
//!
//! `websocket [ADDRESS]`; then any WebSocket client, at `/chat`.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use exeunt::Server;
use exeunt::server::Draining;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::broadcast;

type Room = broadcast::Sender<Utf8Bytes>;

fn main() -> exeunt::Exit {
    exeunt::main(async |app| {
        let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        // Not all of them are to connect to the next server at the same moment.
        let server = Server::bind(&address)?.close_spread(Duration::from_millis(300));
        println!("serving {}", server.local_address());
        let router = Router::new().route("/chat", any(enter)).with_state(Room::new(100));
        app.serve("chat", server.service(router));
        Ok(())
    })
}

async fn enter(
    upgrade: WebSocketUpgrade,
    State(room): State<Room>,
    Extension(draining): Extension<Draining>,
) -> Response {
    upgrade.on_upgrade(|socket| chat(socket, room, draining))
}

async fn chat(mut socket: WebSocket, room: Room, draining: Draining) {
    let mut heard = room.subscribe();
    let mut told = pin!(draining.begun());
    loop {
        let (answer, last) = tokio::select! {
            biased; // What has come is passed on before we say goodbye.
            said = socket.recv() => match said {
                Some(Ok(Message::Text(text))) => {
                    _ = room.send(text);
                    continue;
                }
                Some(Ok(_)) => continue, // A ping is answered without us, and so is a Close.
                Some(Err(_)) | None => return,
            },
            text = next(&mut heard) => (Message::Text(text), false),
            () = &mut told => (going_away(), true),
        };
        // Behind the last word the server still waits for the client's, and then closes.
        if socket.send(answer).await.is_err() || last {
            return;
        }
    }
}

/// What is said next; of what a slow client has missed it gets the rest.
async fn next(heard: &mut broadcast::Receiver<Utf8Bytes>) -> Utf8Bytes {
    loop {
        match heard.recv().await {
            Ok(text) => return text,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn going_away() -> Message {
    Message::Close(Some(CloseFrame { code: close_code::AWAY, reason: "the server stops".into() }))
}
