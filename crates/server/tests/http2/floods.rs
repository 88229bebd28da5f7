//! Peers that mean harm: each is stopped at a bound, and the others are served (rule D9).

use crate::support::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS, frame, get,
};
use crate::support::http2::Client;
use crate::support::{House, gate, hello, patient};
use exeunt_lifecycle::Config;
use http::{Request, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

const ENHANCE_YOUR_CALM: u32 = 11;
const REFUSED_STREAM: u32 = 7;
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

async fn others_are_served(house: &House) {
    assert_eq!(Client::connect(house).await.get("/").await.0, StatusCode::OK);
}

/// Sends until nobody takes it: the server has closed, or does not read on. Answers how many bytes it took.
async fn flood(raw: &mut Raw, piece: &[u8]) -> usize {
    let mut taken = 0;
    // A server that reads takes a piece in far less time.
    let stuck = Duration::from_secs(1);
    while let Ok(Ok(())) = tokio::time::timeout(stuck, raw.stream.write_all(piece)).await {
        taken += piece.len();
        assert!(taken < 256 << 20, "it goes on taking");
    }
    taken
}

#[tokio::test]
async fn d9_rapid_reset_is_ended_soon() {
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let handler = move |request: Request<_>| {
        count.fetch_add(1, Ordering::Relaxed);
        hello(request)
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut raw = Raw::open(house.address()).await;
    // CVE-2023-44487.
    let pairs: Vec<u8> = (0..10_000)
        .flat_map(|place| [get(place * 2 + 1), frame(RST_STREAM, 0, place * 2 + 1, &CANCEL)].concat())
        .collect();
    // Its end may come before ours.
    _ = raw.stream.write_all(&pairs).await;
    let told = raw.next_of(&[GOAWAY]).await;
    // Where unread input has made the close a reset, the GOAWAY may be gone.
    assert!(told.is_none_or(|told| told.word(1) == ENHANCE_YOUR_CALM));
    raw.rest().await;
    assert!(called.load(Ordering::Relaxed) < 1000, "{called:?} handlers for nobody");
    others_are_served(&house).await;
}

#[tokio::test]
async fn d9_continuation_without_end_is_ended_soon() {
    let house = House::open(Config::default(), patient(), hello);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&frame(HEADERS, END_STREAM, 1, GET)).await;
    // CVE-2024-27316.
    let taken = flood(&mut raw, &frame(CONTINUATION, 0, 1, &b"\x00\x01a\x01b".repeat(1000))).await;
    assert!(taken < 16 << 20, "{taken} bytes");
    others_are_served(&house).await;
}

#[tokio::test]
async fn d9_empty_continuation_without_end_is_ended_soon() {
    let house = House::open(Config::default(), patient(), hello);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&frame(HEADERS, END_STREAM, 1, GET)).await;
    let taken = flood(&mut raw, &frame(CONTINUATION, 0, 1, b"").repeat(1000)).await;
    assert!(taken < 16 << 20, "{taken} bytes");
    others_are_served(&house).await;
}

#[tokio::test]
async fn d9_a_peer_that_reads_no_acknowledgements_is_not_read() {
    let house = House::open(Config::default(), patient(), hello);
    for ours in [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, &[0; 8])] {
        let mut raw = Raw::open(house.address()).await;
        // Nothing is read: what can be on its way is in the kernel's buffers alone.
        flood(&mut raw, &ours.repeat(1000)).await;
    }
    others_are_served(&house).await;
}

#[tokio::test]
async fn d9_streams_beyond_the_limit_are_refused_and_may_be_asked_for_again() {
    let (begun, go, handler) = gate("hello");
    let mut limits = patient();
    limits.http2.concurrent_streams = 3;
    let house = House::open(Config::default(), limits, handler);
    let mut raw = Raw::open(house.address()).await;
    let settings = raw.next_of(&[SETTINGS]).await.unwrap();
    assert!(settings.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 3]), "{settings:?}");
    for stream in [1, 3, 5, 7] {
        raw.send(&get(stream)).await;
    }
    let refused = raw.next_of(&[RST_STREAM]).await.unwrap();
    assert_eq!((refused.stream, refused.word(0)), (7, REFUSED_STREAM));
    go.add_permits(4);
    for _ in 0..3 {
        raw.next_of(&[HEADERS]).await.unwrap();
    }
    raw.send(&get(9)).await;
    assert_eq!(raw.next_of(&[HEADERS]).await.unwrap().stream, 9);
    assert_eq!(begun.available_permits(), 4, "the refused one was never begun");
}

#[tokio::test]
async fn d9_a_head_too_large_is_answered_431() {
    let mut limits = patient();
    limits.head_bytes = 20_000;
    let house = House::open(Config::default(), limits, hello);
    let mut client = Client::connect(&house).await;
    for (bytes, expected) in [(15_000, 200), (25_000, 431)] {
        let mut request = Request::get("http://test/").body(()).unwrap();
        request.headers_mut().insert("cookie", "a".repeat(bytes).parse().unwrap());
        let (response, _) = client.requests.send_request(request, true).unwrap();
        assert_eq!(crate::support::soon(response).await.unwrap().status(), expected, "{bytes}");
    }
}

#[tokio::test]
async fn d9_a_head_that_does_not_end_has_its_time() {
    let mut limits = patient();
    limits.drain.head = Duration::from_millis(50);
    let house = House::open(Config::default(), limits, hello);
    let mut raw = Raw::open(house.address()).await;
    raw.send(&frame(HEADERS, END_STREAM, 1, GET)).await;
    assert!(raw.rest().await.iter().all(|frame| frame.kind != HEADERS));

    let mut slow = Raw::open(house.address()).await;
    slow.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, GET)[..12]).await;
    assert!(slow.rest().await.iter().all(|frame| frame.kind != HEADERS));
    others_are_served(&house).await;
}
