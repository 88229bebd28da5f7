//! axum's own `WebSocketUpgrade` over HTTP/2 (RFC 8441), told of the drain by the one line (rule D6).
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{Request, StatusCode, Version};
use axum::routing::any;
use axum::{Extension, Router};
use exeunt::server::Draining;
use exeunt::{Config, Server};
use futures_util::{SinkExt as _, StreamExt as _};
use std::time::Duration;
use tokio::net::TcpStream;

/// Waits, but not for ever.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
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
    let close = CloseFrame { code: close_code::AWAY, reason: "the server stops".into() };
    _ = answers.send(Message::Close(Some(close))).await;
}

/// As many bytes of the messages as are expected (RFC 6455 §5.2).
async fn read(body: &mut h2::RecvStream, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let piece = soon(body.data()).await.expect("more is to come").unwrap();
        bytes.extend(piece);
    }
    bytes
}

#[tokio::test]
async fn a_web_socket_over_http_2_is_told_and_says_1001() {
    let enter =
        async |version: Version, upgrade: WebSocketUpgrade, Extension(draining): Extension<Draining>| {
            assert_eq!(version, Version::HTTP_2);
            upgrade.on_upgrade(|socket| told(socket, draining))
        };
    let mut peer = None;
    let report = exeunt::run(Config::default().signals([]), async |app| {
        let server = Server::bind("127.0.0.1:0")?;
        let stream = TcpStream::connect(server.local_address().to_string()).await?;
        app.serve("http", server.service(Router::new().route("/chat", any(enter))));
        let stop = app.stop();
        let (begun, wait) = tokio::sync::oneshot::channel();
        peer = Some(tokio::spawn(async move {
            let (requests, connection) = soon(h2::client::handshake(stream)).await.unwrap();
            let connection = tokio::spawn(connection);
            soon(async {
                while !requests.is_extended_connect_protocol_enabled() {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            let mut requests = soon(requests.ready()).await.unwrap();
            let mut request = Request::connect("http://test/chat").version(Version::HTTP_2).body(()).unwrap();
            request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
            request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
            let (response, mut messages) = requests.send_request(request, false).unwrap();
            let response = soon(response).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let mut body = response.into_body();
            // "hello", masked with zeros; and as it comes back, which is unmasked.
            messages.send_data(b"\x81\x85\0\0\0\0hello".as_slice().into(), false).unwrap();
            assert_eq!(read(&mut body, 7).await, b"\x81\x05hello");
            begun.send(()).unwrap();
            let close = read(&mut body, 4 + "the server stops".len()).await;
            assert_eq!(close, b"\x88\x12\x03\xe9the server stops");
            // The handler has let go behind its Close: the stream may be over.
            _ = messages.send_data(b"\x88\x82\0\0\0\0\x03\xe9".as_slice().into(), true);
            while let Some(Ok(piece)) = soon(body.data()).await {
                assert_eq!(piece, "");
            }
            drop((requests, messages, body));
            soon(connection).await.unwrap().unwrap();
        }));
        soon(wait).await?;
        stop.request_stop("the test wants it");
        Ok(())
    });
    let report = soon(Box::pin(report)).await.unwrap();
    soon(peer.unwrap()).await.unwrap();
    let http = &report.scopes[0];
    assert_eq!((http.in_flight_at_stop, http.finished, http.cut.len()), (1, 1, 0), "{report}");
    assert_eq!(report.exit_status(), 0);
}
