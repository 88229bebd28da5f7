//! How connections of HTTP/2 end (rules D2, D5 and D7).

use crate::support::frames::{DATA, GOAWAY, HEADERS, Raw, SETTINGS, get};
use crate::support::http2::Client;
use crate::support::{House, gate, hello, impatient, patient, soon};
use exeunt_lifecycle::{Config, Phase};
use http::StatusCode;
use std::time::Duration;

#[tokio::test]
async fn d2_goaway_comes_in_two_steps_and_what_comes_between_them_is_served() {
    let (begun, go, handler) = gate("hello");
    let house = House::open(Config::default(), patient(), handler);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&get(1)).await;
    soon(begun.acquire()).await.unwrap().forget();
    house.stop.request_stop("the test wants it");
    let ping = raw.told_to_leave().await;
    // This one crosses the GOAWAY.
    raw.send(&get(3)).await;
    soon(begun.acquire()).await.unwrap().forget();
    raw.pong(&ping).await;
    let last = raw.next_of(&[GOAWAY]).await.unwrap();
    assert_eq!((last.word(0), last.word(1)), (3, 0), "no error, and the third stream is the last");
    // And this one comes too late: its sender knows that it may ask again elsewhere.
    raw.send(&get(5)).await;
    go.add_permits(2);
    let rest = raw.rest().await;
    let answered: Vec<_> = rest.iter().filter(|frame| frame.kind == DATA).map(|frame| frame.stream).collect();
    assert_eq!(answered, [1, 3]);
    assert!(rest.iter().all(|frame| frame.stream < 5 && frame.kind != GOAWAY), "{rest:?}");
    drop(raw);
    assert_eq!(house.ended().await.exit_status(), 0);
}

#[tokio::test]
async fn d2_a_lame_duck_says_goaway_to_those_who_have_asked_something() {
    let config = Config::default().lame_duck(Duration::from_secs(600)).grace(Duration::from_secs(1200));
    let house = House::open(config, patient(), hello);
    let mut used = Raw::open(house.address()).await;
    used.send(&get(1)).await;
    used.next_of(&[DATA]).await.unwrap();
    let mut unused = Raw::open(house.address()).await;
    unused.next_of(&[SETTINGS]).await.unwrap();
    house.stop.request_stop("the test wants it");
    used.told_to_leave().await;
    let mut late = Raw::open(house.address()).await;
    for raw in [&mut unused, &mut late] {
        raw.send(&get(1)).await;
        let first = raw.next_of(&[GOAWAY, HEADERS]).await.unwrap();
        let second = raw.next_of(&[GOAWAY, HEADERS]).await.unwrap();
        // Their answer is due with the telling; which goes first is nobody's business.
        assert_eq!(first.kind + second.kind, GOAWAY + HEADERS);
    }
    assert_eq!(house.stop.phase(), Phase::LameDuck);
}

#[tokio::test]
async fn d5_idle_connections_leave_as_soon_as_they_answer() {
    let house = House::open(Config::default(), patient(), hello);
    let mut client = Client::connect(&house).await;
    assert_eq!(client.get("/").await.0, StatusCode::OK);
    let unused = Client::connect(&house).await;
    house.stop.request_stop("the test wants it");
    soon(client.connection).await.unwrap().unwrap();
    soon(unused.connection).await.unwrap().unwrap();
    let report = house.ended().await;
    assert_eq!((report.exit_status(), report.scopes[0].cut.len()), (0, 0), "{report}");
}

#[tokio::test]
async fn d5_a_ping_that_nobody_answers_does_not_hold_the_stop() {
    let mut limits = impatient();
    limits.drain.linger = Duration::from_millis(50);
    let house = House::open(Config::default(), limits, hello);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&get(1)).await;
    raw.next_of(&[DATA]).await.unwrap();
    house.stop.request_stop("the test wants it");
    raw.told_to_leave().await;
    assert_eq!(raw.rest().await, [], "its last GOAWAY would have to wait for the PING");
    assert_eq!(house.ended().await.exit_status(), 0, "long before the deadline");
}
