//! An event loop in Mongoose's manner: one handler, answers that come later, a timer, a stream of events, a chat.
//!
//! `event_loop ADDRESS` serves `/`, `/slow?ms=N` (answered by a timer), `/large` (20 MB), `/events` (until the stop)
//! and the WebSocket `/chat`, where everybody hears everybody.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::manager::{Connection, Event, Manager, Request, Schedule, WsOp};
use std::env;
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main_blocking(|app| {
        let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        let mut manager = Manager::new(handle);
        let listener = manager.listen(&format!("http://{address}"))?;
        println!("entered manager");
        if let Some(address) = listener.local_address() {
            println!("serving {address}");
        }
        app.ready();
        let drained = manager.run(app)?;
        println!("{drained}");
        println!("left manager");
        Ok(())
    })
}

fn handle(conn: &Connection, event: Event<'_>) {
    match event {
        Event::HttpMessage(request) => answer(conn, request),
        // Streams would not end by themselves.
        Event::Drain if conn.data::<Listening>().is_some() => {
            _ = conn.sse("goodbye", "the server stops");
            _ = conn.chunk("");
        }
        Event::Drain if conn.is_websocket() => _ = conn.ws_send(WsOp::Text, "the server stops"),
        Event::WsMessage(message) => say(conn, message.text().unwrap_or("(bytes)")),
        _ => {}
    }
}

/// To everybody in the chat.
fn say(conn: &Connection, text: &str) {
    let all = conn.manager().map(|manager| manager.connections()).unwrap_or_default();
    for other in all.iter().filter(|other| other.is_websocket()) {
        // Who is leaving does not hear it.
        _ = other.ws_send(WsOp::Text, text);
    }
}

/// Marks connections that have asked for `/events`.
struct Listening;

fn answer(conn: &Connection, request: &Request) {
    match request.uri() {
        "/" => conn.reply(200, &[("Content-Type", "text/plain")], "hello\n"),
        "/slow" => later(conn, request),
        "/large" => conn.reply(200, &[], vec![b'x'; 20_000_000]),
        "/events" => {
            conn.set_data(Listening);
            _ = conn.sse("hello", "it begins");
        }
        // What is no upgrade is answered by itself.
        "/chat" => _ = conn.ws_upgrade(&[]),
        _ => conn.reply(404, &[], "there is /, /slow?ms=N, /large, /events and /chat\n"),
    }
}

/// Answers after `ms` milliseconds, while the loop serves others.
fn later(conn: &Connection, request: &Request) {
    let ms = request.query_var("ms").and_then(|ms| ms.parse().ok()).unwrap_or(100);
    let Some(manager) = conn.manager() else { return };
    let conn = conn.clone();
    let wait = Schedule::once(Duration::from_millis(ms));
    _ = manager.timer(wait, move |_| conn.reply(200, &[], "slow\n"));
}
