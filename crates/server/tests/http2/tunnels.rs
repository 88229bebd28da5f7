//! CONNECT, plain and extended (RFC 8441): messages in both directions over HTTP/2, and other tunnels.

use crate::support::http2::{Client, whole as whole_body};
use crate::support::{Answer, House, patient, soon, whole};
use bytes::Bytes;
use exeunt_lifecycle::Config;
use exeunt_server::{Draining, RequestBody};
use h2::{RecvStream, SendStream};
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

/// Opens a tunnel as a browser does for a WebSocket.
async fn tunnel(client: &mut Client) -> (Response<RecvStream>, SendStream<Bytes>) {
    soon(async {
        while !client.requests.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    client.requests = soon(client.requests.clone().ready()).await.unwrap();
    let mut request = Request::connect("http://test/chat").body(()).unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let (response, sender) = client.requests.send_request(request, false).unwrap();
    (soon(response).await.unwrap(), sender)
}

/// Echoes until its peer ends, or says goodbye in the drain if it looks for that; and tells of its end.
fn echo(looks: bool) -> (Arc<Semaphore>, impl Fn(Request<RequestBody>) -> Echo + Clone) {
    let ended = Arc::new(Semaphore::new(0));
    let over = Arc::clone(&ended);
    let handler = move |mut request: Request<RequestBody>| -> Echo {
        let over = Arc::clone(&over);
        assert_eq!(request.extensions().get::<hyper::ext::Protocol>().unwrap().as_str(), "websocket");
        let draining = request.extensions().get::<Draining>().unwrap().clone();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let mut buffer = [0; 64];
            loop {
                tokio::select! {
                    () = draining.begun(), if looks => {
                        stream.write_all(b"goodbye").await.unwrap();
                        stream.shutdown().await.unwrap();
                        break;
                    }
                    read = stream.read(&mut buffer) => match read {
                        Ok(0) | Err(_) => break,
                        Ok(count) => stream.write_all(&buffer[..count]).await.unwrap(),
                    }
                }
            }
            over.add_permits(1);
        });
        std::future::ready(Ok(whole("")))
    };
    (ended, handler)
}

type Echo = std::future::Ready<Result<Answer, &'static str>>;

#[tokio::test]
async fn d6_a_tunnel_is_waited_for_and_may_say_goodbye() {
    let (_, handler) = echo(true);
    let house = House::open(Config::default(), patient(), handler);
    let mut client = Client::connect(&house).await;
    let (response, mut sender) = tunnel(&mut client).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut receiver = response.into_body();
    sender.send_data("hello".into(), false).unwrap();
    assert_eq!(soon(receiver.data()).await.unwrap().unwrap(), "hello");
    house.stop.request_stop("the test wants it");
    assert_eq!(soon(receiver.data()).await.unwrap().unwrap(), "goodbye");
    assert_eq!(whole_body(receiver).await.unwrap().0, b"", "it ends in good order");
    drop(sender);
    let report = house.ended().await;
    let http = &report.scopes[0];
    assert_eq!((http.in_flight_at_stop, http.finished, http.cut.len()), (1, 1, 0), "{report}");
}

#[tokio::test]
async fn d8_a_tunnel_that_does_not_look_is_cut_and_notices() {
    let (ended, handler) = echo(false);
    let config = Config::default().grace(Duration::from_millis(500));
    let house = House::open(config, patient(), handler);
    let mut client = Client::connect(&house).await;
    let (response, _sender) = tunnel(&mut client).await;
    let mut receiver = response.into_body();
    house.stop.request_stop("the test wants it");
    soon(ended.acquire()).await.unwrap().forget();
    while let Some(Ok(piece)) = soon(receiver.data()).await {
        assert_eq!(piece, "", "nothing that looks like an answer");
    }
    let report = house.ended().await;
    let cut: Vec<_> = report.scopes[0].cut.iter().map(|work| (&*work.name, work.kind)).collect();
    assert_eq!(cut, [("CONNECT /chat", "upgrade")], "{report}");
}

#[tokio::test]
async fn d2_a_tunnel_that_is_asked_for_after_the_stop_request_gets_503() {
    let (_, handler) = echo(true);
    let config = Config::default().lame_duck(Duration::from_secs(600)).grace(Duration::from_secs(1200));
    let house = House::open(config, patient(), handler);
    let mut client = Client::connect(&house).await;
    house.stop.request_stop("the test wants it");
    let (response, _sender) = tunnel(&mut client).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
