//! The drain over real sockets, rule by rule. The stop comes from inside a handler or waits for a condition: nothing
//! here races a sleep.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod support;

use exeunt_lifecycle::Config;
use exeunt_server::{InFlight, RequestBody};
use http::Request;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Answer, End, House, gate, impatient, patient, pieces, soon, whole};
use tokio::sync::Semaphore;

async fn hello(_: Request<RequestBody>) -> Result<Answer, &'static str> {
    Ok(whole("hello"))
}

async fn wait(begun: &Semaphore) {
    soon(begun.acquire()).await.unwrap().forget();
}

#[tokio::test]
async fn d1_readiness_ends_with_the_stop_request_and_liveness_does_not() {
    let config = Config::default().lame_duck(Duration::from_secs(10));
    let house = House::open(config, impatient(), hello);
    let mut peer = house.peer().await;
    peer.get("/readyz").await;
    assert!(peer.response().await.0.starts_with("http/1.1 200"));
    house.stop.request_stop("the test wants it");
    // Lame duck: new connections are still served (D2), each answer with close.
    for (path, status) in [("/readyz", "http/1.1 503"), ("/livez", "http/1.1 200"), ("/", "http/1.1 200")] {
        let mut peer = house.peer().await;
        peer.get(path).await;
        let (head, _) = peer.response().await;
        assert!(head.starts_with(status), "{path}: {head}");
        assert!(head.contains("connection: close"), "{path}: {head}");
    }
}

#[tokio::test]
async fn d2_a_request_in_flight_is_finished_and_says_close() {
    let (begun, go, handler) = gate("late but whole");
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    peer.get("/").await;
    wait(&begun).await;
    house.drain().await;
    go.add_permits(1);
    let (head, body) = peer.response().await;
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(body, "late but whole");
    assert_eq!(peer.rest().await, (vec![], End::Fin));
    drop(peer);
    let report = house.ended().await;
    let http = &report.scopes[0];
    assert_eq!((http.in_flight_at_stop, http.finished, http.cut.len()), (1, 1, 0), "{report}");
    assert_eq!(report.exit_status(), 0);
}

#[tokio::test]
async fn d3_whoever_waits_in_the_queue_is_served() {
    let (begun, go, handler) = gate("late but whole");
    let house = House::open(Config::default(), patient(), handler);
    // The runtime of this test has one thread: while we do not await, nobody is accepted.
    let mut peers = Vec::new();
    for _ in 0..50 {
        let stream = std::net::TcpStream::connect(house.address()).unwrap();
        stream.set_nonblocking(true).unwrap();
        peers.push(support::Peer::from(tokio::net::TcpStream::from_std(stream).unwrap()));
    }
    house.stop.request_stop("with fifty in the queue");
    for peer in &mut peers {
        peer.get("/").await;
    }
    go.add_permits(50);
    for peer in &mut peers {
        assert_eq!(peer.response().await.1, "late but whole");
    }
    drop((peers, begun));
    assert_eq!(house.ended().await.scopes[0].finished, 50);
}

#[tokio::test]
async fn d4_a_request_on_an_open_connection_is_answered_in_the_drain() {
    let house = House::open(Config::default(), patient(), hello);
    let mut peer = house.peer().await;
    peer.get("/").await;
    assert!(!peer.response().await.0.contains("connection: close"));
    house.drain().await;
    peer.get("/").await;
    let (head, body) = peer.response().await;
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(body, "hello");
    assert_eq!(peer.rest().await.1, End::Fin);
}

#[tokio::test]
async fn d4_what_is_pipelined_behind_a_close_is_not_answered_and_does_not_eat_the_answer() {
    let (begun, go, handler) = gate("late but whole");
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    peer.get("/first").await;
    wait(&begun).await;
    house.drain().await;
    peer.get("/second").await;
    go.add_permits(2);
    assert_eq!(peer.response().await.1, "late but whole");
    assert_eq!(peer.rest().await, (vec![], End::Fin), "RFC 9112 section 9.6");
    drop(peer);
    assert_eq!(house.ended().await.scopes[0].finished, 1);
}

#[tokio::test]
async fn d5_silent_connections_do_not_hold_the_stop_up() {
    let house = House::open(Config::default(), impatient(), hello);
    let mut used = house.peer().await;
    used.get("/").await;
    used.response().await;
    let mut never_used = house.peer().await;
    house.drain().await;
    assert_eq!(used.rest().await, (vec![], End::Fin));
    assert_eq!(never_used.rest().await, (vec![], End::Fin));
    let report = house.ended().await;
    assert_eq!(report.exit_status(), 0, "{report}");
}

#[tokio::test]
async fn d5_a_head_begun_is_waited_for() {
    let house = House::open(Config::default(), impatient(), hello);
    let mut silent = house.peer().await;
    let mut slow = house.peer().await;
    slow.send("GET / HTTP/1.1\r\nho").await;
    // The server has read the part before the drain begins: it answers a later connection after it.
    let mut later = house.peer().await;
    later.get("/").await;
    later.response().await;
    house.drain().await;
    assert_eq!(silent.rest().await.1, End::Fin, "the grace is over");
    slow.send("st: test\r\n\r\n").await;
    assert_eq!(slow.response().await.1, "hello");
}

#[tokio::test]
async fn d7_a_response_larger_than_every_buffer_arrives_whole_at_a_peer_that_is_slow() {
    const SIZE: usize = 20 << 20;
    let (begun, go, handler) = gate(vec![7; SIZE]);
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    peer.get("/").await;
    wait(&begun).await;
    house.drain().await;
    // More than was asked for: unread input at the close would turn it into a reset.
    peer.send("GET /more HTTP/1.1\r\n").await;
    go.add_permits(1);
    let (rest, end) = peer.rest().await;
    assert_eq!(end, End::Fin);
    assert_eq!(rest.iter().filter(|byte| **byte == 7).count(), SIZE);
}

#[tokio::test]
async fn d7_a_peer_that_has_ended_its_side_still_gets_its_answer() {
    let (begun, go, handler) = gate("late but whole");
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    peer.get("/").await;
    peer.end_writing().await;
    wait(&begun).await;
    house.drain().await;
    go.add_permits(1);
    assert_eq!(peer.response().await.1, "late but whole");
    assert_eq!(peer.rest().await.1, End::Fin);
}

#[tokio::test]
async fn d8_at_the_deadline_what_is_not_begun_becomes_503_and_what_is_begun_is_aborted() {
    let config = Config::default().grace(Duration::from_millis(500));
    let begun = Arc::new(Semaphore::new(0));
    let tell = Arc::clone(&begun);
    let handler = move |request: Request<RequestBody>| {
        let tell = Arc::clone(&tell);
        async move {
            tell.add_permits(1);
            if request.uri().path() == "/never" {
                std::future::pending::<()>().await;
            }
            let (sender, response) = pieces();
            sender.send("the first piece".into()).unwrap();
            tokio::spawn(async move { sender.closed().await });
            Ok(response)
        }
    };
    let house = House::open(config, patient(), handler);
    let mut never = house.peer().await;
    never.get("/never").await;
    let mut torn = house.peer().await;
    torn.get("/torn").await;
    wait(&begun).await;
    wait(&begun).await;
    house.stop.request_stop("the test wants it");
    let (head, _) = never.response().await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(never.rest().await.1, End::Fin);
    let (rest, end) = torn.rest().await;
    assert!(String::from_utf8_lossy(&rest).contains("the first piece"));
    assert_eq!(end, End::Reset, "it must not look whole");
    drop((never, torn));
    let report = house.ended().await;
    let mut names: Vec<_> = report.scopes[0].cut.iter().map(|cut| cut.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["GET /never", "GET /torn"], "{report}");
    assert!(report.scopes[0].cut.iter().all(|cut| cut.peer.is_some() && cut.kind == "request"));
    assert_eq!(report.exit_status(), 3);
}

#[tokio::test]
async fn l8_a_request_that_is_drained_may_shield_its_transaction() {
    let (begun, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let parts = (Arc::clone(&begun), Arc::clone(&go), Arc::clone(&seen));
        move |request: Request<RequestBody>| {
            let (begun, go, seen) = parts.clone();
            async move {
                let in_flight = request.extensions().get::<InFlight>().unwrap().clone();
                assert!(!in_flight.is_draining());
                begun.add_permits(1);
                go.acquire().await.unwrap().forget();
                assert!(in_flight.is_draining() && in_flight.stop().is_requested());
                // The stop alone would refuse it.
                assert!(in_flight.stop().shield(Duration::from_secs(60)).is_err());
                let transaction = in_flight.shield(Duration::from_secs(3_600)).unwrap();
                assert_eq!(transaction.allow_break(), Ok(()), "counted work has until the drain deadline");
                tokio::task::yield_now().await;
                seen.lock().unwrap().push(in_flight);
                drop(transaction);
                Ok(whole("committed"))
            }
        }
    };
    let house = House::open(Config::default(), patient(), handler);
    let stop = house.stop.clone();
    let mut peer = house.peer().await;
    peer.get("/").await;
    wait(&begun).await;
    house.drain().await;
    let deadline = stop.drain_deadline().unwrap();
    go.add_permits(1);
    let (head, body) = peer.response().await;
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
    assert_eq!(body, "committed");
    drop(peer);
    let report = house.ended().await;
    // Kept by somebody, it keeps the server from nothing.
    let http = &report.scopes[0];
    assert_eq!((http.in_flight_at_stop, http.finished, http.cut.len()), (1, 1, 0), "{report}");
    assert_eq!((report.exit_status(), report.extended), (0, None), "{report}");
    assert_eq!(stop.drain_deadline(), Some(deadline), "it moves nothing");
    let over = seen.lock().unwrap().pop().unwrap();
    assert!(over.shield(Duration::from_secs(1)).is_err());
}

#[tokio::test]
async fn l8_a_request_that_was_cut_shields_nothing_any_more() {
    let begun = Arc::new(Semaphore::new(0));
    let seen = Arc::new(Mutex::new(None));
    let handler = {
        let parts = (Arc::clone(&begun), Arc::clone(&seen));
        move |request: Request<RequestBody>| {
            let (begun, seen) = parts.clone();
            async move {
                *seen.lock().unwrap() = request.extensions().get::<InFlight>().cloned();
                begun.add_permits(1);
                std::future::pending::<Result<Answer, &'static str>>().await
            }
        }
    };
    let house = House::open(Config::default().grace(Duration::from_millis(300)), patient(), handler);
    let mut peer = house.peer().await;
    peer.get("/").await;
    wait(&begun).await;
    let in_flight = seen.lock().unwrap().clone().unwrap();
    drop(in_flight.shield(Duration::from_millis(1)).unwrap());
    house.stop.request_stop("the test wants it");
    assert!(peer.response().await.0.starts_with("http/1.1 503"));
    assert!(in_flight.shield(Duration::from_secs(60)).is_err());
    drop(peer);
    assert_eq!(house.ended().await.exit_status(), 3);
}

#[tokio::test]
async fn a_request_is_not_taken_for_the_next_on_its_connection() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = Arc::clone(&seen);
        move |request: Request<RequestBody>| {
            let seen = Arc::clone(&seen);
            async move {
                seen.lock().unwrap().extend(request.extensions().get::<InFlight>().cloned());
                if request.uri().path() == "/second" {
                    std::future::pending::<()>().await;
                }
                Ok(whole("hello"))
            }
        }
    };
    let house = House::open(Config::default().grace(Duration::from_secs(2)), patient(), handler);
    let mut peer = house.peer().await;
    peer.get("/first").await;
    peer.response().await;
    peer.get("/second").await;
    soon(async {
        while seen.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Over, it may begin what anybody may; and nothing more once the stop is requested.
    let [first, second]: [InFlight; 2] = std::mem::take(&mut *seen.lock().unwrap()).try_into().unwrap();
    drop(first.shield(Duration::from_millis(1)).unwrap());
    house.drain().await;
    assert!(first.shield(Duration::from_secs(1)).is_err());
    assert!(second.shield(Duration::from_millis(1)).is_ok());
    peer.response().await;
    drop(peer);
    assert_eq!(house.ended().await.exit_status(), 3);
}

#[tokio::test]
async fn d8_a_handler_that_panics_or_fails_answers_500_and_the_others_go_on() {
    let handler = |request: Request<RequestBody>| async move {
        match request.uri().path() {
            "/panic" => panic!("on purpose"),
            "/fail" => Err("on purpose"),
            _ => Ok(whole("hello")),
        }
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    for (path, status) in [("/panic", "500"), ("/fail", "500"), ("/", "200")] {
        peer.get(path).await;
        let (head, _) = peer.response().await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
    }
}

#[tokio::test]
async fn garbage_is_answered_400_and_closed() {
    let house = House::open(Config::default(), patient(), hello);
    let mut peer = house.peer().await;
    peer.send("\0\0 what?\r\n\r\n").await;
    let (head, _) = peer.response().await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
    assert_eq!(peer.rest().await.1, End::Fin);
}
