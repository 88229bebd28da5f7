//! Clients, programs and moments that are out of the ordinary: nothing is lost, nothing hangs, and nothing looks whole
//! that is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod support;

use bytes::Bytes;
use exeunt_lifecycle::{Config, Lifecycle, Report};
use exeunt_server::{RequestBody, Server};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use support::{Answer, End, House, Peer, gate, impatient, patient, pieces, silent_for, soon, whole};

/// The drain deadline comes 400 ms after the stop request.
fn short() -> Config {
    Config::default().grace(Duration::from_millis(500))
}

async fn hello(_: Request<RequestBody>) -> Result<Answer, &'static str> {
    Ok(whole("hello"))
}

/// Reads the request's body, then says how long it was.
async fn measure(request: Request<RequestBody>) -> Result<Answer, &'static str> {
    let body = request.into_body().collect().await.map_err(|_| "the body broke")?;
    Ok(whole(body.to_bytes().len().to_string()))
}

/// What a report says of the server: in flight at the stop, finished, cut, left behind.
fn counts(report: &Report) -> (u64, u64, usize, u64) {
    let http = &report.scopes[0];
    (http.in_flight_at_stop, http.finished, http.cut.len(), http.left)
}

#[tokio::test]
async fn d7_a_response_that_breaks_never_looks_whole() {
    let handler = |request: Request<RequestBody>| async move {
        let panics = request.uri().path() == "/panic";
        let mut polls = 0;
        let stream = futures_util::stream::poll_fn(move |cx| {
            polls += 1;
            match polls {
                1 => Poll::Ready(Some(Ok(Frame::data(Bytes::from("the first piece"))))),
                // In between the first piece is sent.
                2 => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                _ if panics => panic!("on purpose"),
                _ => Poll::Ready(Some(Err("on purpose"))),
            }
        });
        Ok(Response::new(StreamBody::new(stream).boxed_unsync()))
    };
    let house = House::open(Config::default(), patient(), handler);
    for path in ["/fail", "/panic"] {
        let mut peer = house.peer().await;
        // To HTTP/1.0 a body ends with the connection: a FIN would make this one whole.
        peer.send(format!("GET {path} HTTP/1.0\r\n\r\n")).await;
        let (bytes, end) = peer.rest().await;
        assert_eq!(end, End::Reset, "{path}: {}", bytes.escape_ascii());
    }
    house.stop.request_stop("the test wants it");
    assert_eq!(house.ended().await.exit_status(), 0, "they were over before the stop");
}

#[tokio::test]
async fn a_response_to_http_1_0_ends_with_the_connection() {
    let handler = |_: Request<RequestBody>| async {
        let (sender, response) = pieces();
        sender.send("all of it".into()).unwrap();
        Ok(response)
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    peer.send("GET / HTTP/1.0\r\n\r\n").await;
    let (bytes, end) = peer.rest().await;
    assert!(bytes.ends_with(b"\r\n\r\nall of it"), "{}", bytes.escape_ascii());
    assert_eq!(end, End::Fin);
}

#[tokio::test]
async fn a_kept_connection_of_http_1_0_is_told_to_close() {
    let house = House::open(Config::default(), patient(), hello);
    let mut peer = house.peer().await;
    let request = "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
    peer.send(request).await;
    assert!(peer.response().await.0.contains("connection: keep-alive"));
    house.drain().await;
    peer.send(request).await;
    let (head, body) = peer.response().await;
    assert!(!head.contains("keep-alive"), "{head}");
    assert_eq!((body.as_str(), peer.rest().await.1), ("hello", End::Fin));
}

#[tokio::test]
async fn d7_an_upgrade_that_is_not_taken_up_does_not_eat_the_answer() {
    let (begun, go, handler) = gate(vec![7; 1 << 20]);
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    // As curl --http2 asks.
    peer.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\r\n")
        .await;
    soon(begun.acquire()).await.unwrap().forget();
    house.drain().await;
    // Unread input: a close without a linger is a reset.
    peer.send("GET /more HTTP/1.1\r\n").await;
    go.add_permits(1);
    let (bytes, end) = peer.rest().await;
    assert_eq!((bytes.iter().filter(|byte| **byte == 7).count(), end), (1 << 20, End::Fin));
    drop(peer);
    assert_eq!(counts(&house.ended().await), (1, 1, 0, 0));
}

#[tokio::test]
async fn an_upgrade_by_a_handler_ends_the_connection() {
    let handler = |_: Request<RequestBody>| async {
        let mut response = whole("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        Ok(response)
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    peer.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n").await;
    let (bytes, end) = peer.rest().await;
    assert!(bytes.starts_with(b"HTTP/1.1 101"), "{}", bytes.escape_ascii());
    assert_eq!(end, End::Fin);
    drop(peer);
    house.stop.request_stop("the test wants it");
    assert_eq!(house.ended().await.exit_status(), 0);
}

#[tokio::test]
async fn d8_an_upload_in_flight_at_the_deadline_is_answered_503() {
    let house = House::open(short(), patient(), measure);
    let mut sized = house.peer().await;
    sized.send("POST /sized HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000\r\n\r\nsome of it").await;
    let mut chunked = house.peer().await;
    chunked
        .send("POST /chunked HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n")
        .await;
    let mut asking = house.peer().await;
    asking
        .send("POST /asking HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
        .await;
    assert!(asking.response().await.0.starts_with("http/1.1 100"));
    house.stop.request_stop("the test wants it");
    for peer in [&mut sized, &mut chunked, &mut asking] {
        assert!(peer.response().await.0.starts_with("http/1.1 503"));
        assert_eq!(peer.rest().await.1, End::Fin);
    }
    drop((sized, chunked, asking));
    let report = house.ended().await;
    assert_eq!(counts(&report), (3, 0, 3, 0), "{report}");
}

#[tokio::test]
async fn d5_a_body_in_flight_at_the_stop_is_waited_for() {
    let house = House::open(Config::default(), impatient(), measure);
    let mut silent = house.peer().await;
    let mut peer = house.peer().await;
    peer.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 8\r\nexpect: 100-continue\r\n\r\n").await;
    assert!(peer.response().await.0.starts_with("http/1.1 100"));
    house.drain().await;
    assert_eq!(silent.rest().await.1, End::Fin, "the grace is over");
    peer.send("all of i").await;
    let (head, body) = peer.response().await;
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(body, "8");
}

#[tokio::test]
async fn d7_an_answer_before_the_body_was_read_arrives() {
    let house = House::open(Config::default(), patient(), hello);
    let mut peer = house.peer().await;
    peer.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 40000\r\n\r\n").await;
    peer.send(vec![7; 20000]).await;
    assert_eq!(peer.response().await.1, "hello");
    // The connection lingers: the rest is discarded, and nothing resets what the peer has not read yet.
    peer.send(vec![7; 20000]).await;
    assert_eq!(peer.rest().await, (vec![], End::Fin));
}

#[tokio::test]
async fn requests_pipelined_before_the_stop_are_answered_in_order() {
    let handler = |request: Request<RequestBody>| async move { Ok(whole(request.uri().path().to_owned())) };
    let limits = silent_for(Duration::from_millis(300));
    let house = House::open(Config::default(), limits, handler);
    let mut peer = house.peer().await;
    let bodies = ["", "POST /1 HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"];
    let get = |count: usize| format!("GET /{count} HTTP/1.1\r\nhost: t\r\n\r\n");
    peer.send(["\r\n\r\n".to_owned(), get(0), bodies[1].to_owned(), get(2), "GET /3 HT".to_owned()].concat())
        .await;
    for count in 0..3 {
        assert_eq!(peer.response().await.1, format!("/{count}"));
    }
    peer.send("TP/1.1\r\nhost: t\r\n\r\n").await;
    assert_eq!(peer.response().await.1, "/3");
    // More than hyper takes in one go.
    peer.send((0..100).map(get).collect::<String>()).await;
    for count in 0..100 {
        assert_eq!(peer.response().await.1, format!("/{count}"));
    }
    house.drain().await;
    assert_eq!(peer.rest().await, (vec![], End::Fin), "nothing is left over that would count as a head");
    drop(peer);
    assert_eq!(house.ended().await.exit_status(), 0);
}

#[tokio::test]
async fn responses_without_a_body_keep_the_connection_and_the_count() {
    let handler = |request: Request<RequestBody>| async move {
        let status = request.uri().path().trim_start_matches('/').parse().unwrap();
        let mut response = if status == 200 { whole("never sent to HEAD") } else { whole("") };
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(response)
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    for path in ["HEAD /200", "GET /204", "GET /304"] {
        peer.send(format!("{path} HTTP/1.1\r\nhost: t\r\n\r\n")).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            soon(tokio::io::AsyncReadExt::read_buf(&mut peer.stream, &mut head)).await.unwrap();
        }
        assert!(head.starts_with(format!("HTTP/1.1 {}", &path[path.len() - 3..]).as_bytes()), "{path}");
    }
    house.drain().await;
    peer.get("/200").await;
    assert!(peer.response().await.0.contains("connection: close"));
    drop(peer);
    assert_eq!(counts(&house.ended().await), (0, 1, 0, 0));
}

#[tokio::test]
async fn d8_a_peer_that_reads_nothing_is_cut_and_named() {
    let handler = |_: Request<RequestBody>| async { Ok(whole(vec![7; 20 << 20])) };
    let house = House::open(short(), patient(), handler);
    let mut peer = house.peer().await;
    peer.get("/large").await;
    // Its answer has begun to arrive, and is more than the kernel takes.
    soon(peer.stream.readable()).await.unwrap();
    house.stop.request_stop("the test wants it");
    let report = house.ended().await;
    assert_eq!(counts(&report), (1, 0, 1, 0), "{report}");
    assert_eq!(report.scopes[0].cut[0].name, "GET /large");
    assert_eq!(peer.rest().await.1, End::Reset);
}

#[tokio::test]
async fn a_peer_that_vanishes_is_neither_cut_nor_waited_for() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
    let handler = move |_: Request<RequestBody>| {
        let (pieces, response) = pieces();
        sender.lock().unwrap().take().unwrap().send(pieces).unwrap();
        async { Ok(response) }
    };
    let house = House::open(Config::default(), patient(), handler);
    let peer = house.peer().await;
    let mut peer = peer;
    peer.get("/").await;
    let pieces = soon(receiver).await.unwrap();
    house.drain().await;
    socket2::SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    // The server learns of it when it writes.
    soon(async {
        while pieces.send("a piece".into()).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(counts(&house.ended().await), (1, 1, 0, 0));
}

#[tokio::test]
async fn a_service_that_fails_to_get_ready_answers_500_and_one_that_is_not_yet_waits() {
    /// Its readiness fails, or never comes.
    #[derive(Clone)]
    struct Moody {
        fails: bool,
    }
    impl tower_service::Service<Request<RequestBody>> for Moody {
        type Response = Answer;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Answer, &'static str>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), &'static str>> {
            if self.fails { Poll::Ready(Err("not in the mood")) } else { Poll::Pending }
        }

        fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
            unreachable!("it is never ready")
        }
    }
    let lifecycle = Lifecycle::on_runtime(short()).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().as_socket_addr().unwrap();
    let other = Server::bind("127.0.0.1:0").unwrap();
    let never = other.local_address().as_socket_addr().unwrap();
    let servers = [
        tokio::spawn(server.service(Moody { fails: true }).run(&lifecycle)),
        tokio::spawn(other.service(Moody { fails: false }).run(&lifecycle)),
    ];
    lifecycle.ready();
    let mut peer = Peer::from(tokio::net::TcpStream::connect(address).await.unwrap());
    peer.get("/").await;
    assert!(peer.response().await.0.starts_with("http/1.1 500"));
    let mut peer = Peer::from(tokio::net::TcpStream::connect(never).await.unwrap());
    peer.get("/").await;
    lifecycle.stop().request_stop("the test wants it");
    assert!(peer.response().await.0.starts_with("http/1.1 503"));
    drop(peer);
    for server in servers {
        soon(server).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_stop_before_the_first_poll_still_serves_the_queue() {
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().as_socket_addr().unwrap();
    let mut peer = Peer::from(tokio::net::TcpStream::connect(address).await.unwrap());
    peer.get("/").await;
    let run = server.service(tower::service_fn(hello)).run(&lifecycle);
    lifecycle.stop().request_stop("the test wants it");
    let run = tokio::spawn(run);
    assert_eq!(peer.response().await.1, "hello");
    drop(peer);
    soon(run).await.unwrap().unwrap();
    assert_eq!(soon(lifecycle.finished()).await.exit_status(), 0);
}

#[tokio::test]
async fn a_dropped_lifecycle_ends_the_server() {
    let house = House::open(Config::default(), patient(), |_| std::future::pending());
    let mut silent = house.peer().await;
    let mut busy = house.peer().await;
    busy.get("/").await;
    let mut later = house.peer().await;
    later.get("/livez").await;
    later.response().await;
    drop(house.lifecycle);
    soon(house.server).await.unwrap().unwrap();
    assert!(silent.rest().await.0.is_empty());
    assert!(busy.response().await.0.starts_with("http/1.1 503"));
}

#[tokio::test]
async fn a_dropped_run_lets_its_connections_finish_and_then_go() {
    let (begun, go, handler) = gate("late but whole");
    let house = House::open(Config::default(), impatient(), handler);
    let mut silent = house.peer().await;
    let mut busy = house.peer().await;
    busy.get("/").await;
    soon(begun.acquire()).await.unwrap().forget();
    house.server.abort();
    soon(house.server).await.unwrap_err();
    assert_eq!(silent.rest().await.1, End::Fin);
    go.add_permits(1);
    assert_eq!(busy.response().await.1, "late but whole");
    assert_eq!(busy.rest().await.1, End::Fin);
    drop(busy);
    house.stop.request_stop("the test wants it");
    assert_eq!(soon(house.lifecycle.finished()).await.exit_status(), 0);
}

#[tokio::test]
async fn four_hundred_silent_connections_go_together() {
    let house = House::open(Config::default(), impatient(), hello);
    let mut peers = Vec::new();
    for _ in 0..400 {
        peers.push(house.peer().await);
    }
    house.stop.request_stop("the test wants it");
    for peer in &mut peers {
        assert_eq!(peer.rest().await, (vec![], End::Fin));
    }
    assert_eq!(house.ended().await.exit_status(), 0);
}
