//! Connections that were handed to the program, over real sockets: a WebSocket is one of these (rules D2, D6 to D8).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod support;

use exeunt_lifecycle::{Config, Report};
use exeunt_server::{Draining, RequestBody};
use http::{Request, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Answer, End, House, Peer, impatient, patient, soon, whole};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";

/// What has become of the program's ends, in words.
type Ends = mpsc::UnboundedReceiver<String>;

/// The drain deadline comes 400 ms after the stop request, and the hard one 100 ms later.
fn short() -> Config {
    Config::default().grace(Duration::from_millis(500))
}

fn granted(status: StatusCode) -> Answer {
    let mut answer = whole("");
    *answer.status_mut() = status;
    answer.headers_mut().insert("connection", "upgrade".parse().unwrap());
    answer.headers_mut().insert("upgrade", "chat".parse().unwrap());
    answer
}

/// A program that echoes what it reads, and does at the end what the request's path says.
async fn chat(path: String, draining: Draining, upgrade: OnUpgrade) -> String {
    let mut io: TokioIo<Upgraded> = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => return format!("not upgraded: {error}"),
    };
    if path == "/deaf" {
        draining.begun().await;
        io.write_all(b"bye").await.unwrap();
        return "said bye".to_owned();
    }
    assert_ne!(path, "/panics", "on purpose");
    let mut told = std::pin::pin!(draining.begun());
    loop {
        let mut buffer = [0; 1024];
        tokio::select! {
            biased;
            read = io.read(&mut buffer) => match read {
                Ok(0) => return "its peer has left".to_owned(),
                Ok(count) => io.write_all(&buffer[..count]).await.unwrap(),
                Err(error) => return format!("{:?}", error.kind()),
            },
            () = &mut told, if path != "/unaware" => {
                io.write_all(b"bye").await.unwrap();
                return "said bye".to_owned();
            }
        }
    }
}

/// Grants every upgrade and CONNECT but at `/refuses`; `/plain` is an ordinary answer.
fn open(config: Config, limits: exeunt_server::Limits) -> (House, Ends, Arc<AtomicUsize>) {
    let (say, ends) = mpsc::unbounded_channel();
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let handler = move |mut request: Request<RequestBody>| {
        called.fetch_add(1, Ordering::SeqCst);
        let say = say.clone();
        async move {
            let path = request.uri().path().to_owned();
            let is_connect = request.method() == http::Method::CONNECT;
            if path == "/plain" {
                return Ok(whole(vec![7; 8 << 20]));
            }
            let draining = request.extensions().get::<Draining>().unwrap().clone();
            let upgrade = hyper::upgrade::on(&mut request);
            let refuses = path == "/refuses";
            tokio::spawn(async move { say.send(chat(path, draining, upgrade).await) });
            if refuses {
                let mut answer = whole("no");
                *answer.status_mut() = StatusCode::FORBIDDEN;
                return Ok(answer);
            }
            Ok(granted(if is_connect { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS }))
        }
    };
    (House::open(config, limits, handler), ends, calls)
}

/// Upgrades, and sees an echo.
async fn upgraded(house: &House, path: &str) -> Peer {
    let mut peer = house.peer().await;
    peer.send(ASK.replace("/chat", path)).await;
    let (head, _) = peer.response().await;
    assert!(head.starts_with("http/1.1 101") && head.contains("connection: upgrade"), "{head}");
    if path != "/deaf" && path != "/panics" {
        peer.send("hello").await;
        peer.until("hello").await;
    }
    peer
}

/// In flight at the stop, finished, cut, left behind.
fn counts(report: &Report) -> (u64, u64, usize, u64) {
    let http = &report.scopes[0];
    (http.in_flight_at_stop, http.finished, http.cut.len(), http.left)
}

#[tokio::test]
async fn d6_an_upgraded_connection_is_work_and_its_program_is_told() {
    // Impatient: an idle connection would be closed at once.
    let (house, mut ends, _) = open(Config::default(), impatient());
    let mut peer = upgraded(&house, "/chat").await;
    house.drain().await;
    assert_eq!(peer.rest().await, (b"bye".to_vec(), End::Fin));
    assert_eq!(soon(ends.recv()).await.unwrap(), "said bye");
    drop(peer);
    let report = house.ended().await;
    assert_eq!((counts(&report), report.exit_status()), ((1, 1, 0, 0), 0), "{report}");
}

#[tokio::test]
async fn d6_what_has_arrived_when_the_drain_begins_is_answered_before_the_goodbye() {
    let (house, _ends, _) = open(Config::default(), impatient());
    let mut peer = upgraded(&house, "/chat").await;
    // The runtime of this test has one thread: while we do not await, nobody asks epoll what has arrived.
    assert_eq!(peer.stream.try_write(b"late").unwrap(), 4);
    house.stop.request_stop("the test wants it");
    assert_eq!(peer.rest().await, (b"latebye".to_vec(), End::Fin));
}

#[tokio::test]
async fn d6_a_tunnel_by_connect_is_work_like_any_upgrade() {
    let (house, _ends, _) = open(Config::default(), impatient());
    let mut peer = house.peer().await;
    peer.send("CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n").await;
    assert!(peer.response().await.0.starts_with("http/1.1 200"));
    peer.send("hello").await;
    peer.until("hello").await;
    house.drain().await;
    peer.send("in the drain").await;
    assert_eq!(peer.rest().await.1, End::Fin);
    drop(peer);
    assert_eq!(counts(&house.ended().await), (1, 1, 0, 0));
}

#[tokio::test]
async fn d7_the_last_words_of_a_program_arrive_though_its_peer_still_talks() {
    let (house, mut ends, _) = open(Config::default(), patient());
    let mut peer = upgraded(&house, "/deaf").await;
    // Unread input: a plain close would be a reset.
    peer.send(vec![b'x'; 32 << 10]).await;
    house.drain().await;
    assert_eq!(soon(ends.recv()).await.unwrap(), "said bye");
    peer.send("and still").await;
    assert_eq!(peer.rest().await, (b"bye".to_vec(), End::Fin));
    drop(peer);
    assert_eq!(house.ended().await.exit_status(), 0);
}

#[tokio::test]
async fn d7_in_service_a_peer_that_leaves_ends_the_connection() {
    let (house, mut ends, _) = open(Config::default(), patient());
    let mut peer = upgraded(&house, "/chat").await;
    peer.end_writing().await;
    assert_eq!(peer.rest().await, (vec![], End::Fin));
    assert_eq!(soon(ends.recv()).await.unwrap(), "its peer has left");
    drop(peer);
    house.stop.request_stop("the test wants it");
    assert_eq!(counts(&house.ended().await), (0, 0, 0, 0));
}

#[tokio::test]
async fn d7_a_program_that_panics_has_not_ended_its_connection_in_good_order() {
    let (house, _ends, _) = open(Config::default(), patient());
    let mut peer = upgraded(&house, "/panics").await;
    assert_eq!(peer.rest().await.1, End::Reset);
}

#[tokio::test]
async fn d8_a_program_that_does_not_look_is_cut_and_notices() {
    let (house, mut ends, _) = open(short(), patient());
    let mut peer = upgraded(&house, "/unaware").await;
    let address = peer.stream.local_addr().unwrap().to_string();
    house.stop.request_stop("the test wants it");
    assert_eq!(peer.rest().await.1, End::Reset);
    assert_eq!(soon(ends.recv()).await.unwrap(), "ConnectionAborted");
    let report = house.ended().await;
    let cut = &report.scopes[0].cut[0];
    assert_eq!((&*cut.name, cut.kind, cut.peer.as_deref()), ("GET /unaware", "upgrade", Some(&*address)));
    assert!(cut.age >= Duration::from_millis(400), "{report}");
    assert_eq!((counts(&report), report.exit_status()), ((1, 0, 1, 0), 3), "{report}");
}

#[tokio::test]
async fn d8_a_program_that_keeps_a_cut_connection_keeps_nothing_of_it() {
    let (keep, mut kept) = mpsc::unbounded_channel();
    let handler = move |mut request: Request<RequestBody>| {
        let (keep, upgrade) = (keep.clone(), hyper::upgrade::on(&mut request));
        tokio::spawn(async move { keep.send(upgrade.await.unwrap()) });
        async { Ok(granted(StatusCode::SWITCHING_PROTOCOLS)) }
    };
    let house = House::open(short(), patient(), handler);
    let mut peer = house.peer().await;
    peer.send(ASK).await;
    peer.response().await;
    let mut kept = TokioIo::new(soon(kept.recv()).await.unwrap());
    house.stop.request_stop("the test wants it");
    // Nobody polls it, and yet its peer is told.
    assert_eq!(peer.rest().await.1, End::Reset);
    let report = soon(house.lifecycle.finished()).await;
    assert_eq!((report.scopes[0].cut.len(), report.exit_status()), (1, 3), "{report}");
    assert_eq!(kept.write(b"?").await.unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
    assert!(!house.server.is_finished(), "the program may still use what it has");
    drop(kept);
    soon(house.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn d2_after_the_stop_request_no_upgrade_is_granted_and_no_handler_called() {
    let (house, _ends, calls) = open(Config::default().lame_duck(Duration::from_secs(10)), patient());
    house.stop.request_stop("the test wants it");
    let connect = "CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n";
    for request in [ASK, connect] {
        let mut peer = house.peer().await;
        peer.send(request).await;
        let (head, _) = peer.response().await;
        assert!(head.starts_with("http/1.1 503") && head.contains("connection: close"), "{head}");
        assert_eq!(peer.rest().await.1, End::Fin);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    // An offer is not asking for it.
    let mut peer = house.peer().await;
    peer.send("GET /plain HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n").await;
    assert!(peer.response().await.0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn d6_an_upgrade_asked_for_before_the_stop_is_granted_in_it() {
    let (begun, go, gate) = support::gate("");
    let handler = move |mut request: Request<RequestBody>| {
        let draining = request.extensions().get::<Draining>().unwrap().clone();
        tokio::spawn(chat("/chat".to_owned(), draining, hyper::upgrade::on(&mut request)));
        let gate = gate(request);
        async { gate.await.map(|_| granted(StatusCode::SWITCHING_PROTOCOLS)) }
    };
    let house = House::open(Config::default(), patient(), handler);
    let mut peer = house.peer().await;
    peer.send(ASK).await;
    soon(begun.acquire()).await.unwrap().forget();
    house.drain().await;
    go.add_permits(1);
    let (head, _) = peer.response().await;
    assert!(head.starts_with("http/1.1 101") && !head.contains("close"), "{head}");
    assert_eq!(peer.rest().await, (b"bye".to_vec(), End::Fin));
}

#[tokio::test]
async fn an_upgrade_that_is_refused_leaves_an_ordinary_connection() {
    let (house, mut ends, _) = open(Config::default(), patient());
    let mut peer = house.peer().await;
    peer.send(ASK.replace("/chat", "/refuses")).await;
    assert!(peer.response().await.0.starts_with("http/1.1 403"));
    peer.get("/plain").await;
    assert!(peer.response().await.0.starts_with("http/1.1 200"));
    house.drain().await;
    peer.get("/plain").await;
    assert!(peer.response().await.0.contains("connection: close"));
    assert_eq!(peer.rest().await.1, End::Fin);
    // Whoever has waited for it does not get a connection that HTTP has ended.
    let end = soon(ends.recv()).await.unwrap();
    assert!(end.starts_with("not upgraded"), "{end}");
}

#[tokio::test]
async fn what_is_sent_with_the_request_is_the_program_s_and_what_was_owed_before_comes_first() {
    let (house, _ends, _) = open(Config::default(), patient());
    let mut peer = house.peer().await;
    // The answer to the first fills every buffer before the peer reads any of it.
    peer.send(format!("GET /plain HTTP/1.1\r\nhost: t\r\n\r\n{ASK}hello")).await;
    let plain = peer.response().await;
    assert_eq!(plain.1.len(), 8 << 20);
    assert!(peer.response().await.0.starts_with("http/1.1 101"));
    peer.until("hello").await;
    house.drain().await;
    assert_eq!(peer.rest().await, (b"bye".to_vec(), End::Fin));
}
