//! Long polls and server-sent events in the drain, over real sockets (rule D6).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod support;

use exeunt_lifecycle::{Config, Phase};
use exeunt_server::{Draining, RequestBody, Server, Tell};
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Answer, End, House, patient, soon, whole};
use tokio::sync::Semaphore;

fn draining(request: &Request<RequestBody>) -> Draining {
    request.extensions().get::<Draining>().unwrap().clone()
}

/// A stream of events: one at once, then none until the drain, then a goodbye.
fn events(draining: &Draining) -> Answer {
    let news = stream::once(async { "data: hello\n\n" }).chain(stream::pending());
    let goodbye = stream::once(async { "event: goodbye\ndata:\n\n" });
    let body = draining.until(news).chain(goodbye).map(|event| Ok(Frame::data(event.into())));
    Response::new(StreamBody::new(body).boxed_unsync())
}

async fn events_or_poll(request: Request<RequestBody>) -> Result<Answer, &'static str> {
    let draining = draining(&request);
    if request.uri().path() == "/events" {
        return Ok(events(&draining));
    }
    draining.begun().await;
    assert!(draining.is_draining() && draining.time_left().is_some());
    Ok(whole("nothing new"))
}

#[tokio::test]
async fn d6_a_long_poll_answers_as_soon_as_the_drain_begins() {
    let house = House::open(Config::default(), patient(), events_or_poll);
    let mut peer = house.peer().await;
    peer.get("/poll").await;
    house.stop.request_stop("the test wants it");
    let (head, body) = peer.response().await;
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
    assert_eq!((&*body, peer.rest().await.1), ("nothing new", End::Fin));
    drop(peer);
    let report = house.ended().await;
    assert_eq!((report.scopes[0].finished, report.exit_status()), (1, 0), "{report}");
}

#[tokio::test]
async fn d6_a_stream_of_events_says_goodbye_and_ends_whole() {
    let house = House::open(Config::default(), support::impatient(), events_or_poll);
    let mut peer = house.peer().await;
    peer.get("/events").await;
    assert!(peer.until("hello\n\n").await.contains("transfer-encoding: chunked"));
    house.stop.request_stop("the test wants it");
    let (rest, end) = peer.rest().await;
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("event: goodbye"), "{rest}");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "torn: {rest}");
    assert_eq!(end, End::Fin);
    drop(peer);
    let report = house.ended().await;
    assert_eq!((report.scopes[0].finished, report.exit_status()), (1, 0), "{report}");
}

#[tokio::test]
async fn d6_a_stream_is_told_when_the_builder_says() {
    // The drain lasts 1.6 s, of which the last 0.4 s are nobody's: told 0.8 s before its end.
    let config = Config::default().grace(Duration::from_secs(2));
    let server =
        Server::bind("127.0.0.1:0").unwrap().tell_streams(Tell::BeforeDeadline(Duration::from_millis(800)));
    let house = House::run(config, server.limits(patient()), events_or_poll);
    let mut peer = house.peer().await;
    peer.get("/poll").await;
    let begun = Instant::now();
    house.stop.request_stop("the test wants it");
    assert_eq!(peer.response().await.1, "nothing new");
    assert!(begun.elapsed() >= Duration::from_millis(790), "after {:?}", begun.elapsed());
    drop(peer);
    assert_eq!(house.ended().await.exit_status(), 0);
}

#[tokio::test]
async fn d8_a_stream_that_does_not_look_is_cut_and_never_looks_whole() {
    let begun = Arc::new(Semaphore::new(0));
    let tell = Arc::clone(&begun);
    let handler = move |_: Request<RequestBody>| {
        let tell = Arc::clone(&tell);
        async move {
            let news = stream::once(async { "data: hello\n\n" }).chain(stream::pending());
            tell.add_permits(1);
            let body = news.map(|event| Ok(Frame::data(event.into())));
            Ok(Response::new(StreamBody::new(body).boxed_unsync()))
        }
    };
    let house = House::open(Config::default().grace(Duration::from_millis(300)), patient(), handler);
    let mut peer = house.peer().await;
    peer.get("/events").await;
    soon(begun.acquire()).await.unwrap().forget();
    peer.until("hello\n\n").await;
    house.stop.request_stop("the test wants it");
    assert_eq!(peer.rest().await.1, End::Reset);
    drop(peer);
    let report = house.ended().await;
    assert_eq!(report.scopes[0].cut[0].name, "GET /events", "{report}");
    assert_eq!(report.exit_status(), 3);
}

#[tokio::test]
async fn whoever_keeps_a_draining_keeps_no_server() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = Arc::clone(&kept);
    let handler = move |request: Request<RequestBody>| {
        *keep.lock().unwrap() = Some(draining(&request));
        async { Ok(whole("hello")) }
    };
    let house = House::open(Config::default(), support::impatient(), handler);
    let mut peer = house.peer().await;
    peer.get("/").await;
    peer.response().await;
    let kept = kept.lock().unwrap().take().unwrap();
    let outlives = tokio::spawn(kept.clone().begun_owned());
    house.stop.request_stop("the test wants it");
    let stop = house.stop.clone();
    assert_eq!(house.ended().await.exit_status(), 0);
    soon(outlives).await.unwrap();
    assert!(kept.is_draining() && stop.phase() == Phase::Stopped);
}
