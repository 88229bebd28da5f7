//! Peers that ask for much, or take nothing: others are served meanwhile.

use crate::support::{Answer, End, House, Peer, limits, patient, soon, whole};
use exeunt_lifecycle::Config;
use exeunt_server::RequestBody;
use http::Request;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;

async fn hello(_: Request<RequestBody>) -> Result<Answer, &'static str> {
    Ok(whole("hello"))
}

async fn others_are_served(house: &House) {
    let mut peer = house.peer().await;
    peer.get("/").await;
    assert_eq!(peer.response().await.1, "hello");
}

/// Sends `bytes` again and again until the peer takes no more of it; answers how much it took.
async fn flood(peer: &mut Peer, bytes: &[u8]) -> usize {
    let mut taken = 0;
    // As long as something goes, within a second: where nothing does, nobody reads.
    while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_secs(1), peer.stream.write(bytes)).await {
        taken += count;
        assert!(taken < 64 << 20, "somebody takes all of it");
    }
    taken
}

#[tokio::test]
async fn a_flood_of_pipelined_requests_whose_answers_nobody_reads_is_held_back() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = move |request: Request<RequestBody>| {
        let large = request.uri().path() == "/large";
        counted.fetch_add(usize::from(large), Ordering::SeqCst);
        async move { Ok(if large { whole(vec![7; 64 * 1024]) } else { whole("hello") }) }
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    let requests = "GET /large HTTP/1.1\r\nhost: t\r\n\r\n".repeat(1000);
    let taken = flood(&mut peer, requests.as_bytes()).await;
    let asked = taken / (requests.len() / 1000);
    // What answers there are lies in the kernel's buffers, which take some megabytes; no handler works ahead of them.
    let answered = calls.load(Ordering::SeqCst);
    assert!(answered < 400 && answered < asked / 10, "{answered} of {asked}");
    others_are_served(&house).await;
}

#[tokio::test]
async fn a_flood_of_heads_that_do_not_end_is_refused_each() {
    let house = House::open(Config::default(), patient(), hello);
    let mut peers = Vec::new();
    for _ in 0..50 {
        let mut peer = house.peer().await;
        peer.send("GET / HTTP/1.1\r\nhost: t\r\n").await;
        peer.send("a: b\r\n".repeat(11_000)).await;
        peers.push(peer);
    }
    others_are_served(&house).await;
    for peer in &mut peers {
        assert!(peer.response().await.0.starts_with("http/1.1 431"));
        assert_eq!(peer.rest().await, (vec![], End::Fin));
    }
}

#[tokio::test]
async fn heads_and_bodies_that_trickle_are_ended_and_others_are_served() {
    let limits = limits(|limits| {
        limits.drain.head = Duration::from_millis(300);
        limits.body_stall = Duration::from_millis(300);
    });
    let handler = |request: Request<RequestBody>| async {
        http_body_util::BodyExt::collect(request.into_body()).await.map_err(|_| "the body broke")?;
        Ok(whole("hello"))
    };
    let house = House::open(Config::default(), limits, handler);
    let (mut heads, mut bodies) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let mut peer = house.peer().await;
        peer.send("GET / HTTP/1.1\r\nho").await;
        heads.push(peer);
        let mut peer = house.peer().await;
        peer.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\nslow").await;
        bodies.push(peer);
    }
    others_are_served(&house).await;
    for peer in &mut heads {
        assert_eq!(peer.rest().await.0, b"", "closed without an answer");
    }
    for peer in &mut bodies {
        assert!(peer.response().await.0.starts_with("http/1.1 408"));
        assert_eq!(peer.rest().await, (vec![], End::Fin));
    }
    others_are_served(&house).await;
}

/// Says that it is dropped.
struct Tell(Arc<Semaphore>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_reset_and_its_answer_is_not_asked_for_ahead() {
    let given = Arc::new(AtomicUsize::new(0));
    let given_up = Arc::new(Semaphore::new(0));
    let (counted, tell) = (Arc::clone(&given), Arc::clone(&given_up));
    let handler = move |request: Request<RequestBody>| {
        let (counted, tell) = (Arc::clone(&counted), Tell(Arc::clone(&tell)));
        async move {
            if request.uri().path() == "/" {
                std::mem::forget(tell);
                return Ok(whole("hello"));
            }
            let pieces = futures_util::stream::repeat_with(move || {
                let _kept = &tell;
                counted.fetch_add(16 * 1024, Ordering::SeqCst);
                Ok(hyper::body::Frame::data(bytes::Bytes::from_static(&[7; 16 * 1024])))
            });
            let endless = http_body_util::StreamBody::new(pieces);
            Ok(http::Response::new(http_body_util::BodyExt::boxed_unsync(endless)))
        }
    };
    let limits = limits(|limits| limits.write_stall = Duration::from_millis(500));
    let house = House::open(Config::default(), limits, handler);
    let mut peer = house.peer().await;
    peer.get("/endless").await;
    soon(peer.stream.readable()).await.unwrap();
    others_are_served(&house).await;
    // Not before it was given up: reading would be taking.
    soon(given_up.acquire()).await.unwrap().forget();
    let (read, end) = peer.rest().await;
    assert_eq!(end, End::Reset);
    let given = given.load(Ordering::SeqCst);
    // Both kernels' buffers have it, or had; beyond them `buffer_bytes` and a piece.
    assert!(given < 16 << 20, "{given} given, {} read", read.len());
}
