//! How long peers and handlers may keep each other waiting (rule D9), and how much a connection may bring.

use crate::support::frames::{
    DATA, END_STREAM, GOAWAY, HEADERS, PING, Raw, SETTINGS, WINDOW_UPDATE, frame, get, post,
};
use crate::support::http2::{Client, whole as whole_body};
use crate::support::{Answer, House, gate, hello, limits, pieces, soon, whole};
use exeunt_lifecycle::Config;
use exeunt_server::RequestBody;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use std::time::Duration;

/// As short as a limit that is to run out.
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn d9_a_handler_that_takes_too_long_is_dropped_and_answered_503() {
    let (_begun, _go, gated) = gate("never");
    let handler = move |request: Request<RequestBody>| {
        let gated = (request.uri().path() == "/slow").then(|| gated(request));
        async move { if let Some(gated) = gated { gated.await } else { Ok(whole("hello")) } }
    };
    let house = House::open(Config::default(), limits(|limits| limits.answer = SHORT), handler);
    let mut client = Client::connect(&house).await;
    assert_eq!(client.get("/slow").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.get("/").await.0, StatusCode::OK, "the connection goes on");
}

#[tokio::test]
async fn d9_a_body_that_stalls_is_answered_408() {
    let handler = |request: Request<RequestBody>| async move {
        request.into_body().collect().await.map_err(|_| "the body broke")?;
        Ok::<Answer, &str>(whole("read"))
    };
    let house = House::open(Config::default(), limits(|limits| limits.body_stall = SHORT), handler);
    let mut client = Client::connect(&house).await;
    let (response, mut body) = client.ask("POST", "/").await;
    body.send_data("some of it".into(), false).unwrap();
    assert_eq!(soon(response).await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(client.get("/livez").await.0, StatusCode::OK, "the connection goes on");
}

#[tokio::test]
async fn d9_a_wait_for_a_body_that_begins_while_the_connection_rests_wakes_its_clock() {
    let begun = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let go = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let gates = (std::sync::Arc::clone(&begun), std::sync::Arc::clone(&go));
    let handler = move |request: Request<RequestBody>| {
        let (begun, go) = gates.clone();
        async move {
            begun.add_permits(1);
            go.acquire().await.map_err(|_| "the test is over")?.forget();
            request.into_body().collect().await.map_err(|_| "the body broke")?;
            Ok::<Answer, &str>(whole("read"))
        }
    };
    let house = House::open(Config::default(), limits(|limits| limits.body_stall = SHORT), handler);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&post(1)).await;
    soon(begun.acquire()).await.unwrap().forget();
    // Until everything that was to be said is said.
    tokio::time::sleep(SHORT).await;
    go.add_permits(1);
    let head = raw.next_of(&[HEADERS]).await.unwrap();
    assert_eq!(head.stream, 1, "408, long before the handler's own limit");
}

#[tokio::test]
async fn d9_a_body_that_stalls_behind_the_head_of_its_response_has_that_broken_off() {
    let handler = |request: Request<RequestBody>| async move {
        let (sender, response) = pieces();
        tokio::spawn(async move {
            _ = request.into_body().collect().await;
            drop(sender);
        });
        Ok::<Answer, &str>(response)
    };
    let house = House::open(Config::default(), limits(|limits| limits.body_stall = SHORT), handler);
    let mut client = Client::connect(&house).await;
    let (response, mut body) = client.ask("POST", "/").await;
    body.send_data("some of it".into(), false).unwrap();
    let mut response = soon(response).await.unwrap().into_body();
    let error = soon(response.data()).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
}

#[tokio::test]
async fn d9_a_peer_that_makes_no_room_for_its_answer_is_given_up() {
    let house = House::open(Config::default(), limits(|limits| limits.write_stall = SHORT), hello);
    let mut raw = Raw::open(house.address()).await;
    // An INITIAL_WINDOW_SIZE of 1: the answer is given whole, and all but a byte of it waits.
    raw.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])).await;
    raw.send(&get(1)).await;
    let rest = raw.rest().await;
    let bytes: usize = rest.iter().filter(|frame| frame.kind == DATA).map(|frame| frame.payload.len()).sum();
    assert_eq!(bytes, 1, "{rest:?}");
    assert!(rest.iter().all(|frame| frame.kind != GOAWAY), "a reset: it would not read one");
}

#[tokio::test]
async fn d9_a_peer_that_makes_no_room_is_given_up_though_more_is_to_come() {
    let handler = |_: Request<RequestBody>| async {
        let (sender, response) = pieces();
        for _ in 0..64 {
            sender.send(vec![7; 64 * 1024].into()).map_err(|_| "nobody reads")?;
        }
        // It does not end by itself.
        tokio::spawn(async move { sender.closed().await });
        Ok::<Answer, &str>(response)
    };
    for room in [0, 1, 100_000] {
        let house = House::open(Config::default(), limits(|limits| limits.write_stall = SHORT), handler);
        let mut raw = Raw::open(house.address()).await;
        raw.send(&frame(SETTINGS, 0, 0, &[&[0, 4][..], &u32::to_be_bytes(room)].concat())).await;
        raw.send(&get(1)).await;
        let rest = raw.rest().await;
        assert!(rest.iter().any(|frame| frame.kind == HEADERS), "{rest:?}");
        assert!(rest.iter().all(|frame| frame.kind != GOAWAY), "a reset: it would not read one");
    }
}

#[tokio::test]
async fn d9_a_response_that_has_nothing_to_say_yet_is_no_fault_of_the_peer() {
    let (told, mut said) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |_: Request<RequestBody>| {
        let told = told.clone();
        async move {
            let (sender, response) = pieces();
            told.send(sender).map_err(|_| "the test is over")?;
            Ok::<Answer, &str>(response)
        }
    };
    let house = House::open(Config::default(), limits(|limits| limits.write_stall = SHORT), handler);
    let mut client = Client::connect(&house).await;
    let (response, _) = client.ask("GET", "/events").await;
    let mut events = soon(response).await.unwrap().into_body();
    let sender = soon(said.recv()).await.unwrap();
    for _ in 0..2 {
        sender.send("event".into()).unwrap();
        assert_eq!(soon(events.data()).await.unwrap().unwrap(), "event");
        tokio::time::sleep(SHORT * 4).await;
    }
    drop(sender);
    assert!(whole_body(events).await.unwrap().0.is_empty(), "a whole end");
}

#[tokio::test]
async fn d9_a_peer_that_makes_room_slowly_is_waited_for() {
    let house =
        House::open(Config::default(), limits(|limits| limits.write_stall = Duration::from_secs(600)), hello);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])).await;
    raw.send(&get(1)).await;
    let mut body = Vec::new();
    loop {
        let data = raw.next_of(&[DATA]).await.unwrap();
        body.extend(data.payload);
        if data.flags & END_STREAM != 0 {
            break;
        }
        raw.send(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])).await;
    }
    assert_eq!(body, b"hello");
}

#[tokio::test]
async fn d9_a_connection_that_has_brought_enough_is_told_to_leave() {
    let house = House::open(Config::default(), limits(|limits| limits.requests_per_connection = 2), hello);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&get(1)).await;
    raw.next_of(&[DATA]).await.unwrap();
    raw.send(&get(3)).await;
    let ping = raw.told_to_leave().await;
    raw.pong(&ping).await;
    assert!(raw.rest().await.iter().any(|frame| frame.kind == GOAWAY && frame.word(0) == 3));
}

#[tokio::test]
async fn d9_a_body_that_says_it_is_too_long_is_refused_with_413() {
    let house = House::open(Config::default(), limits(|limits| limits.body_bytes = 10), hello);
    let mut client = Client::connect(&house).await;
    let request = Request::post("http://test/").header("content-length", "11").body(()).unwrap();
    let (response, _body) = client.requests.send_request(request, false).unwrap();
    assert_eq!(soon(response).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_peer_may_be_asked_whether_it_is_there() {
    let house = House::open(Config::default(), limits(|limits| limits.http2.keep_alive = Some(SHORT)), hello);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&post(1)).await;
    for _ in 0..2 {
        let ping = raw.next_of(&[PING]).await.unwrap();
        raw.pong(&ping).await;
    }
    raw.send(&frame(DATA, END_STREAM, 1, b"body")).await;
    drop(raw);
    let mut other = Raw::open(house.address()).await;
    other.send(&get(1)).await;
    other.next_of(&[HEADERS]).await.unwrap();
}
