//! How many connections may be open, and what becomes of the others.

use crate::support::{Answer, End, House, gate, limits, server, soon, whole};
use exeunt_lifecycle::Config;
use exeunt_server::{Late, Limits, RequestBody};
use http::Request;
use std::time::Duration;

async fn hello(_: Request<RequestBody>) -> Result<Answer, &'static str> {
    Ok(whole("hello"))
}

/// For one connection; others wait so long.
fn one(wait: Duration) -> Limits {
    limits(|limits| {
        limits.connections = 1;
        limits.connection_wait = wait;
    })
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn who_comes_when_it_is_full_is_served_when_somebody_leaves() {
    let house = House::open(Config::default(), one(LONG), hello);
    let mut first = house.peer().await;
    first.get("/").await;
    first.response().await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut peer = house.peer().await;
        peer.get("/").await;
        waiting.push(peer);
    }
    first.get("/").await;
    assert_eq!(first.response().await.1, "hello", "whoever is there is served on");
    drop(first);
    for mut peer in waiting {
        assert_eq!(peer.response().await.1, "hello");
    }
}

#[tokio::test]
async fn who_has_waited_long_enough_is_told_to_come_again() {
    let house = House::open(Config::default(), one(Duration::ZERO), hello);
    let mut first = house.peer().await;
    first.get("/").await;
    first.response().await;
    for _ in 0..3 {
        let mut peer = house.peer().await;
        peer.get("/").await;
        let (head, _) = peer.response().await;
        assert!(head.starts_with("http/1.1 503") && head.contains("retry-after: 1"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        peer.send("what comes behind it eats nothing").await;
        assert_eq!(peer.rest().await, (vec![], End::Fin));
    }
    drop(first);
    soon(async {
        loop {
            let mut peer = house.peer().await;
            peer.get("/").await;
            if peer.response().await.1 == "hello" {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_turned_away_in_http2_is_told_that_nothing_was_processed() {
    let house = House::open(Config::default(), one(Duration::ZERO), hello);
    let _first = house.peer().await;
    let mut peer = house.peer().await;
    peer.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let (bytes, end) = peer.rest().await;
    let frames = (&bytes[..9], &bytes[9..18], &bytes[18..]);
    // SETTINGS; GOAWAY of 8 bytes: the last stream 0, ENHANCE_YOUR_CALM (RFC 9113 §6.8, §7).
    assert_eq!(
        frames,
        (&[0, 0, 0, 4, 0, 0, 0, 0, 0][..], &[0, 0, 8, 7, 0, 0, 0, 0, 0][..], &[0, 0, 0, 0, 0, 0, 0, 11][..])
    );
    assert_eq!(end, End::Fin);
}

#[tokio::test]
async fn who_says_nothing_is_turned_away_without_a_word() {
    let mut limits = one(Duration::ZERO);
    limits.drain.linger = Duration::from_millis(1);
    let house = House::open(Config::default(), limits, hello);
    let _first = house.peer().await;
    for _ in 0..100 {
        assert_eq!(house.peer().await.rest().await.0, b"");
    }
}

#[tokio::test]
async fn d3_who_waits_when_the_drain_begins_is_answered() {
    let (begun, go, handler) = gate("late but whole");
    let house = House::open(Config::default(), one(LONG), handler);
    let mut first = house.peer().await;
    first.get("/").await;
    soon(begun.acquire()).await.unwrap().forget();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut peer = house.peer().await;
        peer.get("/").await;
        waiting.push(peer);
    }
    house.drain().await;
    for peer in &mut waiting {
        assert!(peer.response().await.0.starts_with("http/1.1 503"), "there is no room in the drain either");
        assert_eq!(peer.rest().await, (vec![], End::Fin));
    }
    go.add_permits(1);
    assert_eq!(first.response().await.1, "late but whole");
    drop((first, waiting));
    let report = house.ended().await;
    assert_eq!((report.exit_status(), report.scopes[0].finished), (0, 1), "{report}");
}

#[tokio::test]
async fn d3_late_connections_can_be_closed_instead() {
    let server = server(Limits::default()).late_connections(Late::Close);
    let house = House::run(Config::default(), server, hello);
    let mut early = house.peer().await;
    early.get("/").await;
    early.response().await;
    // The runtime of this test has one thread: while we do not await, nobody is accepted.
    let connect = || {
        let stream = std::net::TcpStream::connect(house.address()).unwrap();
        stream.set_nonblocking(true).unwrap();
        crate::support::Peer::from(tokio::net::TcpStream::from_std(stream).unwrap())
    };
    let mut late: Vec<_> = (0..20).map(|_| connect()).collect();
    house.stop.request_stop("with twenty in the queue");
    early.get("/").await;
    assert_eq!(early.response().await.1, "hello", "who was there is served (D4)");
    for peer in &mut late {
        peer.get("/").await;
        assert_eq!(peer.rest().await, (vec![], End::Fin));
    }
    drop((early, late));
    assert_eq!(house.ended().await.exit_status(), 0);
}

#[tokio::test]
async fn d3_late_connections_that_stay_silent_do_not_hold_up_one_another() {
    let mut limits = Limits::default();
    limits.drain.linger = LONG;
    let house =
        House::run(Config::default().grace(LONG), server(limits).late_connections(Late::Close), hello);
    let connect = || {
        let stream = std::net::TcpStream::connect(house.address()).unwrap();
        stream.set_nonblocking(true).unwrap();
        crate::support::Peer::from(tokio::net::TcpStream::from_std(stream).unwrap())
    };
    // So that the server has begun to accept: it looks for the stop first.
    let mut early = house.peer().await;
    early.get("/").await;
    early.response().await;
    drop(early);
    // More than are turned away at a time in service; the thread that accepts them is this one.
    let mut late: Vec<_> = (0..100).map(|_| connect()).collect();
    house.stop.request_stop("with a hundred in the queue");
    for peer in &mut late {
        assert_eq!(peer.rest().await, (vec![], End::Fin));
    }
    drop(late);
    assert_eq!(house.ended().await.exit_status(), 0);
}
