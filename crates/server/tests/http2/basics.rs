//! HTTP/2 beside HTTP/1 on one port, and what a handler has of it.

use crate::support::frames::{DATA, PREFACE, Raw, SETTINGS, frame, get};
use crate::support::http2::{Client, whole as whole_body};
use crate::support::{End, House, gate, hello, patient, soon, whole};
use exeunt_lifecycle::Config;
use exeunt_server::{Draining, InFlight, Peer, RequestBody};
use http::{HeaderMap, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame as BodyFrame;
use std::time::Duration;

#[tokio::test]
async fn both_protocols_are_spoken_on_one_port() {
    let handler = |request: Request<RequestBody>| async move {
        Ok(whole(format!("{:?} {}", request.version(), request.uri().path())))
    };
    let house = House::open(Config::default(), patient(), handler);
    let (mut old, mut new) = (house.peer().await, Client::connect(&house).await);
    for _ in 0..2 {
        old.get("/old").await;
        assert_eq!(old.response().await.1, format!("{:?} /old", Version::HTTP_11));
        assert_eq!(new.get("/new").await, (StatusCode::OK, b"HTTP/2.0 /new".to_vec()));
    }
}

#[tokio::test]
async fn the_preface_may_come_in_pieces() {
    let house = House::open(Config::default(), patient(), hello);
    let bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &get(1)].concat();
    let mut raw = Raw::over(house.address()).await;
    raw.stream.set_nodelay(true).unwrap();
    for byte in bytes.chunks(1) {
        raw.send(byte).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.next_of(&[DATA]).await.unwrap().payload, b"hello");
}

#[tokio::test]
async fn what_only_begins_like_the_preface_is_http_1() {
    let handler = |request: Request<RequestBody>| async move { Ok(whole(request.method().to_string())) };
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    peer.stream.set_nodelay(true).unwrap();
    for piece in ["P", "R", "I / HTTP/1.1\r\nhost: t\r\n\r\n"] {
        peer.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(peer.response().await.1, "PRI");

    let mut peer = house.peer().await;
    peer.send("PRI * HTT").await;
    peer.end_writing().await;
    assert_eq!(peer.rest().await.1, End::Fin, "half of one is nobody's");
}

#[tokio::test]
async fn a_handler_finds_its_request_its_peer_and_the_drain() {
    let handler = |request: Request<RequestBody>| async move {
        let extensions = request.extensions();
        let in_flight = extensions.get::<InFlight>().unwrap();
        let shield = in_flight.shield(Duration::from_secs(1));
        let draining = extensions.get::<Draining>().unwrap();
        assert!(shield.is_ok() && !draining.is_draining() && !in_flight.is_draining());
        Ok(whole(extensions.get::<Peer>().unwrap().to_string()))
    };
    let house = House::open(Config::default(), patient(), handler);
    let stream = tokio::net::TcpStream::connect(house.address()).await.unwrap();
    let address = stream.local_addr().unwrap().to_string();
    let mut client = Client::over(stream).await;
    assert_eq!(client.get("/").await, (StatusCode::OK, address.into_bytes()));
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let handler = |request: Request<RequestBody>| async move {
        let body = request.into_body().collect().await.map_err(|_| "the body broke")?;
        let mut trailers = HeaderMap::new();
        trailers.insert("sum", body.trailers().unwrap()["sum"].clone());
        let frames = [Ok(BodyFrame::data(body.to_bytes())), Ok(BodyFrame::trailers(trailers))];
        let stream = futures_util::stream::iter(frames);
        Ok(http::Response::new(StreamBody::new(stream).boxed_unsync()))
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut client = Client::connect(&house).await;
    let (response, mut body) = client.ask("POST", "/").await;
    body.send_data("some of it".into(), false).unwrap();
    body.send_trailers([("sum".parse().unwrap(), "7".parse().unwrap())].into_iter().collect()).unwrap();
    let response = soon(response).await.unwrap();
    let (bytes, trailers) = whole_body(response.into_body()).await.unwrap();
    assert_eq!((&bytes[..], &trailers.unwrap()["sum"]), (&b"some of it"[..], &"7".parse().unwrap()));
}

#[tokio::test]
async fn a_handler_that_panics_answers_500_and_the_others_go_on() {
    let (begun, go, gated) = gate("at last");
    let handler = move |request: Request<RequestBody>| {
        let gated = (request.uri().path() == "/gated").then(|| gated(request));
        async move {
            match gated {
                Some(gated) => gated.await,
                None => panic!("on purpose"),
            }
        }
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut client = Client::connect(&house).await;
    let (gated, _) = client.ask("GET", "/gated").await;
    soon(begun.acquire()).await.unwrap().forget();
    assert_eq!(client.get("/panic").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    go.add_permits(1);
    assert_eq!(soon(gated).await.unwrap().status(), StatusCode::OK);
}
