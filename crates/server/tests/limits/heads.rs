//! How large a head may be, and how many a connection may bring.

use crate::support::{Answer, End, House, limits, patient, silent_for, soon, whole};
use exeunt_lifecycle::Config;
use exeunt_server::RequestBody;
use http::Request;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn hello(_: Request<RequestBody>) -> Result<Answer, &'static str> {
    Ok(whole("hello"))
}

#[tokio::test]
async fn a_head_of_the_largest_size_is_served_and_a_larger_one_is_431() {
    let house = House::open(Config::default(), limits(|limits| limits.head_bytes = 1000), hello);
    let frame = "GET / HTTP/1.1\r\nhost: test\r\nlong: \r\n\r\n".len();
    for (length, status) in [(1000, "200"), (1001, "431"), (9000, "431")] {
        let mut peer = house.peer().await;
        let filler = "x".repeat(length - frame);
        peer.send(format!("GET / HTTP/1.1\r\nhost: test\r\nlong: {filler}\r\n\r\n")).await;
        assert!(peer.response().await.0.starts_with(&format!("http/1.1 {status}")), "{length}");
        if status == "431" {
            assert_eq!(peer.rest().await, (vec![], End::Fin));
        }
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_431_when_the_buffer_is_full() {
    let house = House::open(Config::default(), patient(), hello);
    let mut peer = house.peer().await;
    peer.send("GET / HTTP/1.1\r\nhost: test\r\nlong: ").await;
    peer.send(vec![b'x'; 64 * 1024]).await;
    assert!(peer.response().await.0.starts_with("http/1.1 431"));
    assert_eq!(peer.rest().await.1, End::Fin);
}

#[tokio::test]
async fn a_head_has_a_hundred_fields_or_as_many_as_it_is_told() {
    let fields = |count: usize| (1..count).map(|number| format!("n{number}: v\r\n")).collect::<String>();
    for (most, limits) in [
        (100, patient()),
        (3, limits(|limits| limits.head_fields = 3)),
        (300, limits(|limits| limits.head_fields = 300)),
    ] {
        let house = House::open(Config::default(), limits, hello);
        for (count, status) in [(most, "200"), (most + 1, "431")] {
            let mut peer = house.peer().await;
            peer.send(format!("GET / HTTP/1.1\r\nhost: test\r\n{}\r\n", fields(count))).await;
            assert!(peer.response().await.0.starts_with(&format!("http/1.1 {status}")), "{count} of {most}");
        }
    }
}

#[tokio::test]
async fn the_last_request_of_a_connection_says_close() {
    let house = House::open(Config::default(), limits(|limits| limits.requests_per_connection = 3), hello);
    let mut peer = house.peer().await;
    for number in 1..=3 {
        peer.get("/").await;
        let (head, body) = peer.response().await;
        assert_eq!((head.contains("connection: close"), &*body), (number == 3, "hello"), "{number}: {head}");
    }
    assert_eq!(peer.rest().await, (vec![], End::Fin));
}

#[tokio::test]
async fn a_target_that_no_uri_can_hold_is_414() {
    let house = House::open(Config::default(), limits(|limits| limits.head_bytes = 100_000), hello);
    let mut peer = house.peer().await;
    peer.get(&format!("/{}", "a".repeat(65_535))).await;
    assert!(peer.response().await.0.starts_with("http/1.1 414"));
}

#[tokio::test]
async fn d5_empty_lines_are_silence() {
    let house = House::open(Config::default(), silent_for(Duration::from_secs(1)), hello);
    let mut peer = house.peer().await;
    peer.get("/").await;
    peer.response().await;
    house.stop.request_stop("the test wants it");
    let mut bytes = [0; 64];
    let trickle = async {
        loop {
            if peer.stream.write_all(b"\r\n").await.is_err() {
                return;
            }
            let read = tokio::time::timeout(Duration::from_millis(50), peer.stream.read(&mut bytes)).await;
            if let Ok(read) = read {
                assert_eq!(read.ok(), Some(0));
                return;
            }
        }
    };
    soon(trickle).await;
}
