//! What crosses the stop on its way: streams and connections that begin or break while it goes on (rules D2, D4, D8).

use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PREFACE, RST_STREAM, Raw, SETTINGS,
    frame, get, post,
};
use crate::support::{Answer, House, gate, patient, soon};
use bytes::Bytes;
use exeunt_lifecycle::{Config, Phase};
use exeunt_server::RequestBody;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The bodies of these frames, with the streams that they belong to.
fn bodies(frames: &[crate::support::frames::Frame]) -> Vec<(u32, Vec<u8>)> {
    let data = frames.iter().filter(|frame| frame.kind == DATA);
    data.map(|frame| (frame.stream, frame.payload.clone())).collect()
}

/// The body and the trailers of the request.
async fn echo(request: Request<RequestBody>) -> Result<Answer, &'static str> {
    let body = request.into_body().collect().await.map_err(|_| "the body broke")?;
    let trailers = body.trailers().cloned().ok_or("there are no trailers")?;
    let frames = [Ok(Frame::data(body.to_bytes())), Ok(Frame::trailers(trailers))];
    Ok(Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()))
}

#[tokio::test]
async fn d4_a_connection_that_has_said_half_of_the_preface_when_the_drain_begins_is_served() {
    for half in [3, PREFACE.len() - 1, PREFACE.len()] {
        let (begun, go, handler) = gate("hello");
        let house = House::open(Config::default(), patient(), handler);
        let mut raw = Raw::over(house.address()).await;
        raw.send(&PREFACE[..half]).await;
        // It is entered before this one is served.
        let mut other = Raw::open(house.address()).await;
        other.send(&get(1)).await;
        soon(begun.acquire()).await.unwrap().forget();
        house.drain().await;
        raw.send(&[&PREFACE[half..], &frame(SETTINGS, 0, 0, &[]), &get(1)].concat()).await;
        soon(begun.acquire()).await.unwrap().forget();
        go.add_permits(2);
        for raw in [&mut raw, &mut other] {
            let ping = raw.told_to_leave().await;
            raw.pong(&ping).await;
            let mut rest = Vec::new();
            while let Some(frame) = raw.next().await {
                rest.push(frame);
            }
            assert!(rest.iter().any(|frame| frame.kind == GOAWAY && frame.word(0) == 1), "{half}: {rest:?}");
        }
        drop((raw, other));
        let report = house.ended().await;
        assert_eq!((report.scopes[0].cut.len(), report.exit_status()), (0, 0), "{half}: {report}");
    }
}

#[tokio::test]
async fn d2_a_goaway_of_the_clients_lets_its_streams_finish_and_does_not_hold_the_stop() {
    let (begun, go, handler) = gate("hello");
    let house = House::open(Config::default(), patient(), handler);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&get(1)).await;
    soon(begun.acquire()).await.unwrap().forget();
    raw.send(&frame(GOAWAY, 0, 0, &[0; 8])).await;
    house.drain().await;
    go.add_permits(1);
    let rest = raw.rest().await;
    assert_eq!(bodies(&rest), [(1, b"hello".to_vec())], "{rest:?}");
    drop(raw);
    let report = house.ended().await;
    assert_eq!((report.scopes[0].cut.len(), report.exit_status()), (0, 0), "{report}");
}

#[tokio::test]
async fn streams_in_flight_on_a_connection_that_breaks_are_over() {
    // A frame that the connection cannot survive, a client that vanishes, and one that ends its side.
    for broken in 0..3 {
        let (begun, _go, handler) = gate("never");
        let house = House::open(Config::default(), patient(), handler);
        let mut raw = Raw::open(house.address()).await;
        for stream in [1, 3] {
            raw.send(&get(stream)).await;
            soon(begun.acquire()).await.unwrap().forget();
        }
        house.drain().await;
        match broken {
            0 => {
                raw.send(&frame(DATA, 0, 0, b"on no stream")).await;
                raw.rest().await;
            }
            1 => {}
            _ => {
                tokio::io::AsyncWriteExt::shutdown(&mut raw.stream).await.unwrap();
                raw.rest().await;
            }
        }
        drop(raw);
        let report = house.ended().await;
        let http = &report.scopes[0];
        assert_eq!((http.in_flight_at_stop, http.finished, http.cut.len()), (2, 2, 0), "{broken}: {report}");
    }
}

#[tokio::test]
async fn d2_trailers_go_both_ways_in_the_drain() {
    let begun = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&begun);
    let handler = move |request: Request<RequestBody>| {
        told.add_permits(1);
        echo(request)
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut client = crate::support::http2::Client::connect(&house).await;
    let (response, mut body) = client.ask("POST", "/").await;
    body.send_data(Bytes::from_static(b"body"), false).unwrap();
    soon(begun.acquire()).await.unwrap().forget();
    house.drain().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", "1234".parse().unwrap());
    body.send_trailers(trailers.clone()).unwrap();
    let response = soon(response).await.unwrap();
    let got = crate::support::http2::whole(response.into_body()).await.unwrap();
    assert_eq!(got, (b"body".to_vec(), Some(trailers)));
    assert_eq!(house.ended().await.exit_status(), 0);
}

#[tokio::test]
async fn d8_streams_that_begin_behind_the_deadline_are_answered_503_and_do_not_hold_it() {
    let (begun, _go, handler) = gate("never");
    let config = Config::default().grace(Duration::from_secs(2));
    let house = House::open(config, patient(), handler);
    let mut raw = Raw::open(house.address()).await;
    // It does not end its head: the connection is not over with the other.
    raw.send(&get(1)).await;
    soon(begun.acquire()).await.unwrap().forget();
    house.stop.request_stop("the test wants it");
    soon(raw.told_to_leave()).await;
    raw.send(&frame(HEADERS, END_STREAM, 3, GET)).await;
    let first = raw.next_of(&[HEADERS, RST_STREAM]).await.unwrap();
    assert_eq!((first.kind, first.stream), (HEADERS, 1));
    // In the moment of the deadline, and behind it.
    let late = [frame(CONTINUATION, END_HEADERS, 3, &[]), get(5), post(7)].concat();
    _ = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &late).await;
    raw.rest().await;
    drop(raw);
    soon(house.stop.reached(Phase::Stopped)).await;
    let report = house.ended().await;
    assert!(report.took < Duration::from_secs(20), "{report}");
    assert!(report.scopes[0].cut.iter().any(|work| work.name == "GET /"), "{report}");
}
