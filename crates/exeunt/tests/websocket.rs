//! axum's own `WebSocketUpgrade` on our server, with real clients (rules D6 to D8).
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::routing::any;
use axum::{Extension, Router};
use exeunt::server::Draining;
use exeunt::{Config, Report, Server};
use futures_util::{SinkExt as _, StreamExt as _};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message as Sent;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Waits, but not for ever.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

fn going_away() -> Message {
    Message::Close(Some(CloseFrame { code: close_code::AWAY, reason: "the server stops".into() }))
}

/// Echoes until it is told.
async fn told(socket: WebSocket, draining: Draining) {
    let (mut answers, messages) = socket.split();
    let mut messages = draining.until(messages);
    while let Some(Ok(message)) = messages.next().await {
        if matches!(message, Message::Text(_)) {
            answers.send(message).await.unwrap();
        }
    }
    // Behind a Close of the client's it is refused.
    _ = answers.send(going_away()).await;
}

/// Echoes for as long as there is something to echo.
async fn unaware(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        _ = socket.send(message).await;
    }
}

fn router() -> Router {
    let enter = async |upgrade: WebSocketUpgrade, Extension(draining): Extension<Draining>| {
        upgrade.on_upgrade(|socket| told(socket, draining))
    };
    Router::new()
        .route("/told", any(enter))
        .route("/unaware", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(unaware)))
}

/// Serves until `play` is over, and then drains; answers with what `play` left, for whoever looks at it in the drain.
async fn stopped<T: Send + 'static, F: Future<Output = ()> + Send + 'static>(
    config: Config,
    play: impl AsyncFnOnce(String) -> T,
    then: impl FnOnce(T) -> F + Send + 'static,
) -> Report {
    let mut looking = None;
    let report = exeunt::run(config.signals([]), async |app| {
        let server = Server::bind("127.0.0.1:0")?;
        let address = server.local_address().to_string();
        app.serve("http", server.service(router()));
        let (stop, (left, take)) = (app.stop(), oneshot::channel());
        looking = Some(tokio::spawn(async move { then(take.await.unwrap()).await }));
        _ = left.send(play(address).await);
        stop.request_stop("the test wants it");
        Ok(())
    });
    let report = soon(Box::pin(report)).await.unwrap();
    soon(looking.unwrap()).await.unwrap();
    report
}

async fn connect(address: &str, path: &str) -> Client {
    soon(connect_async(format!("ws://{address}{path}"))).await.unwrap().0
}

/// Everything that comes until the connection is over, and whether that was by an error.
async fn rest(client: &mut Client) -> (Vec<Sent>, bool) {
    let mut messages = Vec::new();
    loop {
        match soon(client.next()).await {
            Some(Ok(message)) => messages.push(message),
            Some(Err(_)) => return (messages, true),
            None => return (messages, false),
        }
    }
}

#[tokio::test]
async fn d6_everybody_is_answered_and_sees_1001() {
    const CLIENTS: usize = 20;
    const MESSAGES: usize = 200;
    let play = async |address: String| {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = connect(&address, "/told").await;
            // None of the answers has been read when the stop comes; that the last has come is seen by the next one's.
            for number in 0..MESSAGES {
                client.feed(Sent::text(number.to_string())).await.unwrap();
            }
            soon(client.flush()).await.unwrap();
            clients.push(client);
        }
        clients
    };
    let report = stopped(Config::default(), play, |clients| async {
        for mut client in clients {
            let (messages, failed) = rest(&mut client).await;
            assert!(!failed, "in good order: {messages:?}");
            let (close, echoes) = messages.split_last().unwrap();
            let Sent::Close(Some(close)) = close else { panic!("no Close: {close}") };
            assert_eq!((u16::from(close.code), close.reason.as_str()), (1001, "the server stops"));
            for (number, echo) in echoes.iter().enumerate() {
                assert_eq!(*echo, Sent::text(number.to_string()));
            }
        }
    });
    let report = Box::pin(report).await;
    let http = report.scopes.iter().find(|scope| scope.name == "http").unwrap();
    assert_eq!((http.in_flight_at_stop, http.finished), (CLIENTS as u64, CLIENTS as u64), "{report}");
    assert_eq!(report.exit_status(), 0, "{report}");
}

#[tokio::test]
async fn d8_who_is_not_told_is_cut_and_named() {
    let config = Config::default().grace(Duration::from_millis(500));
    let play = async |address: String| {
        let mut client = connect(&address, "/unaware").await;
        client.send(Sent::text("hello")).await.unwrap();
        assert_eq!(soon(client.next()).await.unwrap().unwrap(), Sent::text("hello"));
        client
    };
    let report = stopped(config, play, |mut client| async move {
        let (messages, failed) = rest(&mut client).await;
        assert!(messages.is_empty() && failed, "no Close, and no good order: {messages:?}");
    });
    let report = Box::pin(report).await;
    let http = report.scopes.iter().find(|scope| scope.name == "http").unwrap();
    let cut = &http.cut[0];
    assert_eq!((&*cut.name, cut.kind, http.left), ("GET /unaware", "upgrade", 0), "{report}");
    assert!(cut.peer.is_some());
    assert_eq!(report.exit_status(), 3, "{report}");
}

#[tokio::test]
async fn a_client_that_leaves_is_answered_and_nothing_is_left_of_it() {
    let play = async |address: String| {
        for path in ["/told", "/unaware"] {
            let mut client = connect(&address, path).await;
            client.close(None).await.unwrap();
            let (messages, failed) = rest(&mut client).await;
            assert!(matches!(messages[..], [Sent::Close(_)]) && !failed, "{path}: {messages:?}");
        }
    };
    let report = Box::pin(stopped(Config::default(), play, |()| async {})).await;
    assert_eq!(report.exit_status(), 0, "{report}");
}
