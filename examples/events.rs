//! Server-sent events and a long poll: at the stop, the stream says goodbye and ends, and the poll is answered at once.
//!
//! `events [ADDRESS]`; then `GET /events`, or `GET /next` again and again.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use axum::{Extension, Router};
use exeunt::Server;
use exeunt::server::Draining;
use futures_util::{Stream, StreamExt as _, stream};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;

type News = watch::Receiver<u64>;

fn main() -> exeunt::Exit {
    exeunt::main(async |app| {
        let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        let server = Server::bind(&address)?;
        println!("serving {}", server.local_address());
        let (tell, news) = watch::channel(0);
        app.task("news", async move |stop| {
            while stop.sleep_async(Duration::from_millis(50)).await {
                tell.send_modify(|number| *number += 1);
            }
        });
        let router = Router::new().route("/events", get(events)).route("/next", get(next)).with_state(news);
        app.serve("http", server.service(router));
        Ok(())
    })
}

async fn events(
    State(news): State<News>,
    Extension(draining): Extension<Draining>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let news = stream::unfold(news, async |mut news| {
        news.changed().await.ok()?;
        let number = *news.borrow_and_update();
        Some((Event::default().data(number.to_string()), news))
    });
    // Clients connect again by themselves: these after a second, to whoever serves then.
    let goodbye = Event::default().event("goodbye").data("the server stops").retry(Duration::from_secs(1));
    Sse::new(draining.until(news).chain(stream::iter([goodbye])).map(Ok))
}

async fn next(
    State(mut news): State<News>,
    Extension(draining): Extension<Draining>,
) -> Result<String, StatusCode> {
    tokio::select! {
        changed = news.changed() => match changed {
            Ok(()) => Ok(news.borrow().to_string()),
            Err(_) => Err(StatusCode::NO_CONTENT),
        },
        () = draining.begun() => Err(StatusCode::NO_CONTENT),
    }
}
