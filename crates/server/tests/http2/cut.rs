//! What the drain deadline does to streams (rule D8).

use crate::support::frames::{DATA, GOAWAY, HEADERS, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, frame, get};
use crate::support::http2::{Client, whole as whole_body};
use crate::support::{Answer, House, gate, limits, patient, pieces, soon, whole};
use exeunt_lifecycle::{Config, Report};
use exeunt_server::RequestBody;
use http::{Request, StatusCode};
use std::time::Duration;

/// The drain deadline comes 400 ms after the stop request.
fn short() -> Config {
    Config::default().grace(Duration::from_millis(500))
}

/// Names and kinds of what was cut, in order; and how many finished.
fn cut(report: &Report) -> (Vec<(&str, &str)>, u64) {
    let http = &report.scopes[0];
    let mut cut: Vec<_> = http.cut.iter().map(|work| (&*work.name, work.kind)).collect();
    cut.sort_unstable();
    (cut, http.finished)
}

/// Sends SETTINGS with this `INITIAL_WINDOW_SIZE` (RFC 9113 §6.5.2).
async fn window(raw: &mut Raw, bytes: u32) {
    raw.send(&frame(SETTINGS, 0, 0, &[&[0, 4][..], &bytes.to_be_bytes()].concat())).await;
}

#[tokio::test]
async fn d8_what_was_not_begun_is_answered_503_and_what_was_is_reset() {
    let (begun, _go, gated) = gate("never");
    let handler = move |request: Request<RequestBody>| {
        let gated = gated.clone();
        async move {
            match request.uri().path() {
                "/pending" => gated(request).await,
                _ => {
                    let (sender, response) = pieces();
                    sender.send("some of it".into()).map_err(|_| "nobody reads")?;
                    tokio::spawn(async move { sender.closed().await });
                    Ok(response)
                }
            }
        }
    };
    let house = House::open(short(), patient(), handler);
    let mut client = Client::connect(&house).await;
    let (pending, _) = client.ask("GET", "/pending?a=b").await;
    soon(begun.acquire()).await.unwrap().forget();
    let (torn, _) = client.ask("GET", "/begun").await;
    let mut torn = soon(torn).await.unwrap().into_body();
    assert_eq!(soon(torn.data()).await.unwrap().unwrap(), "some of it");
    house.stop.request_stop("the test wants it");
    assert_eq!(soon(pending).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let error = whole_body(torn).await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
    soon(client.connection).await.unwrap().unwrap();
    let report = house.ended().await;
    assert_eq!(cut(&report), (vec![("GET /begun", "request"), ("GET /pending?a=b", "request")], 0));
    assert!(report.scopes[0].cut.iter().all(|work| work.peer.is_some()), "{report}");
    assert_eq!(report.exit_status(), 3);
}

#[tokio::test]
async fn d8_a_peer_without_room_for_its_answer_does_not_hold_the_stop_and_is_named() {
    // With no room the body is not asked for its last piece; with room for one byte it has been given whole.
    for room in [0, 1] {
        let handler = |_: Request<RequestBody>| async { Ok::<Answer, &str>(whole(vec![7; 1000])) };
        let house = House::open(short(), patient(), handler);
        let mut raw = Raw::open(house.address()).await;
        window(&mut raw, room).await;
        raw.send(&get(1)).await;
        raw.next_of(&[HEADERS]).await.unwrap();
        house.stop.request_stop("the test wants it");
        let ping = raw.told_to_leave().await;
        raw.pong(&ping).await;
        let rest = raw.rest().await;
        assert!(rest.iter().all(|frame| frame.kind != DATA || frame.payload.len() <= 1), "{rest:?}");
        drop(raw);
        let report = house.ended().await;
        assert_eq!(cut(&report), (vec![("GET /", "request")], 0), "room for {room}: {report}");
    }
}

#[tokio::test]
async fn d8_a_peer_that_never_reads_does_not_hold_the_stop_and_is_named() {
    let handler = |_: Request<RequestBody>| async { Ok::<Answer, &str>(whole(vec![7; 32 << 20])) };
    let mut limits = patient();
    limits.drain.linger = Duration::from_millis(100);
    let house = House::open(short(), limits, handler);
    let mut raw = Raw::open(house.address()).await;
    window(&mut raw, (1 << 31) - 1).await;
    // The connection's own window, too (RFC 9113 §6.9).
    raw.send(&frame(8, 0, 0, &((1_u32 << 31) - 1 - 65535).to_be_bytes())).await;
    raw.send(&get(1)).await;
    raw.next_of(&[DATA]).await.unwrap();
    house.stop.request_stop("the test wants it");
    let report = house.ended().await;
    assert_eq!(cut(&report), (vec![("GET /", "request")], 0), "{report}");
}

#[tokio::test]
async fn d7_a_response_that_is_with_the_kernel_at_the_deadline_arrives_whole() {
    const LENGTH: usize = 512 << 10;
    let (begun, go, handler) = gate(vec![7; LENGTH]);
    // A linger that nothing but the peer ends.
    let limits = limits(|limits| limits.drain.linger = Duration::from_secs(600));
    let house = House::open(short(), limits, handler);
    let mut raw = Raw::open(house.address()).await;
    window(&mut raw, (1 << 31) - 1).await;
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &((1_u32 << 31) - 1 - 65535).to_be_bytes())).await;
    raw.send(&get(1)).await;
    soon(begun.acquire()).await.unwrap().forget();
    house.stop.request_stop("the test wants it");
    raw.told_to_leave().await;
    go.add_permits(1);
    // It reads no further before the deadline is over; then it makes room, as whoever has read something does.
    let report = soon(house.lifecycle.finished()).await;
    assert_eq!(cut(&report), (vec![], 1), "{report}");
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).await;
    let rest = raw.rest().await;
    let bytes: usize = rest.iter().filter(|frame| frame.kind == DATA).map(|frame| frame.payload.len()).sum();
    assert_eq!(bytes, LENGTH);
    drop(raw);
    soon(house.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn d8_an_upload_in_flight_is_answered_503() {
    let handler = |request: Request<RequestBody>| async move {
        http_body_util::BodyExt::collect(request.into_body()).await.map_err(|_| "the body broke")?;
        Ok::<Answer, &str>(whole("read"))
    };
    let house = House::open(short(), patient(), handler);
    let mut client = Client::connect(&house).await;
    let (response, mut body) = client.ask("POST", "/upload").await;
    body.send_data("some of it".into(), false).unwrap();
    house.stop.request_stop("the test wants it");
    assert_eq!(soon(response).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(cut(&house.ended().await), (vec![("POST /upload", "request")], 0));
}

#[tokio::test]
async fn a_request_that_its_client_resets_is_over_and_does_not_hold_the_stop() {
    let (begun, _go, handler) = gate("never");
    let house = House::open(Config::default(), patient(), handler);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&get(1)).await;
    soon(begun.acquire()).await.unwrap().forget();
    house.stop.request_stop("the test wants it");
    let ping = raw.told_to_leave().await;
    raw.pong(&ping).await;
    raw.next_of(&[GOAWAY]).await.unwrap();
    raw.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).await;
    raw.rest().await;
    drop(raw);
    assert_eq!(cut(&house.ended().await), (vec![], 1), "a vanished client is finished with");
}
