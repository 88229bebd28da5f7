//! The admin listener (D1): it answers all through the stop, closes last, and holds nothing up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod support;

use exeunt_lifecycle::{Config, Lifecycle, Phase, Report, StartError};
use exeunt_server::{Admin, RequestBody, Server};
use http::{Request, StatusCode};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Peer, soon, whole};
use tokio::net::TcpStream;

/// Status line and body.
async fn ask(address: SocketAddr, path: &str) -> (String, String) {
    let mut peer = Peer::from(TcpStream::connect(address).await.unwrap());
    peer.get(path).await;
    let (head, body) = peer.response().await;
    (head.lines().next().unwrap().to_owned(), body)
}

async fn readiness(address: SocketAddr) -> String {
    ask(address, "/readyz").await.1
}

fn open(lifecycle: &Lifecycle, admin: Admin) -> SocketAddr {
    let address = admin.local_address().as_socket_addr().unwrap();
    admin.start(lifecycle).unwrap();
    address
}

fn closed(report: &Report) -> Vec<&str> {
    report.components.iter().map(|component| &*component.name).collect()
}

#[tokio::test]
async fn d1_it_answers_to_the_end_and_closes_behind_all_others() {
    let lifecycle = Lifecycle::on_runtime(Config::default().lame_duck(Duration::from_millis(1))).unwrap();
    let admin = open(&lifecycle, Admin::bind("127.0.0.1:0").unwrap().while_draining(StatusCode::NOT_FOUND));
    assert_eq!(ask(admin, "/readyz").await.0, "http/1.1 503 service unavailable");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let see = Arc::clone(&seen);
    let open = async { Ok::<_, Infallible>(()) };
    // It has started later, and closes earlier all the same.
    lifecycle
        .component("database", open, async move |()| {
            let said = [ask(admin, "/livez").await, ask(admin, "/readyz").await];
            see.lock().unwrap().extend(said);
        })
        .await
        .unwrap();
    lifecycle.ready();
    assert_eq!(readiness(admin).await, "ready\n");
    assert_eq!(ask(admin, "/metrics").await.0, "http/1.1 404 not found");
    // A scraper's kept connection.
    let mut kept = Peer::from(TcpStream::connect(admin).await.unwrap());
    kept.get("/livez").await;
    assert_eq!(kept.response().await.1, "alive\n");
    let work = lifecycle.scope("work");
    lifecycle.stop().request_stop("the test wants it");
    soon(lifecycle.stop().reached(Phase::Draining)).await;
    assert_eq!(ask(admin, "/readyz").await.0, "http/1.1 404 not found");
    drop(work);
    let report = soon(lifecycle.finished()).await;
    assert_eq!(closed(&report), ["database", "admin"], "{report}");
    assert_eq!((report.exit_status(), report.scopes.len()), (0, 1), "it is no work: {report}");
    let said: Vec<_> = seen.lock().unwrap().iter().map(|(_, body)| body.clone()).collect();
    assert_eq!(said, ["alive\n", "not ready\n"]);
    TcpStream::connect(admin).await.unwrap_err();
}

#[tokio::test]
async fn it_is_there_beside_a_server_that_drains() {
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    let (begun, go, handler) = support::gate("late but whole");
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().as_socket_addr().unwrap();
    let server = tokio::spawn(server.service(tower::service_fn(handler)).run(&lifecycle));
    let metrics = || "shop_orders_total 7\n".to_owned();
    let admin = open(&lifecycle, Admin::bind("127.0.0.1:0").unwrap().metrics(metrics));
    lifecycle.ready();
    let mut peer = Peer::from(TcpStream::connect(address).await.unwrap());
    peer.get("/").await;
    soon(begun.acquire()).await.unwrap().forget();
    lifecycle.stop().request_stop("with a request in flight");
    soon(lifecycle.stop().reached(Phase::Draining)).await;
    // Again and again, each on a connection of its own, as its accept is not that of the drain.
    for _ in 0..3 {
        assert_eq!(readiness(admin).await, "not ready\n");
        assert_eq!(ask(admin, "/metrics").await.1, "shop_orders_total 7\n");
    }
    go.add_permits(1);
    assert_eq!(peer.response().await.1, "late but whole");
    drop(peer);
    assert_eq!(soon(lifecycle.finished()).await.exit_status(), 0);
    soon(server).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_scrape_that_hangs_neither_fails_the_stop_nor_holds_it_up_for_long() {
    // Half of what is left then is less than its own time.
    let config = Config::default().grace(Duration::from_millis(400));
    let lifecycle = Lifecycle::on_runtime(config).unwrap();
    let admin = open(&lifecycle, Admin::bind("127.0.0.1:0").unwrap());
    lifecycle.ready();
    let mut peer = Peer::from(TcpStream::connect(admin).await.unwrap());
    peer.get("/livez").await;
    assert_eq!(peer.response().await.1, "alive\n");
    peer.send("GET /metr").await;
    lifecycle.stop().request_stop("the test wants it");
    let report = soon(lifecycle.finished()).await;
    assert_eq!((report.exit_status(), closed(&report)), (0, vec!["admin"]), "{report}");
}

#[tokio::test]
async fn it_goes_with_a_lifecycle_that_is_dropped() {
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    let admin = open(&lifecycle, Admin::bind("127.0.0.1:0").unwrap());
    assert_eq!(readiness(admin).await, "not ready\n");
    drop(lifecycle);
    soon(async {
        while TcpStream::connect(admin).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn it_does_not_start_in_a_stop() {
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    lifecycle.stop().request_stop("too early");
    let admin = Admin::bind("127.0.0.1:0").unwrap();
    let address = admin.local_address().as_socket_addr().unwrap();
    assert!(matches!(admin.start(&lifecycle), Err(StartError::Stopping { .. })));
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn the_programs_own_server_may_show_metrics_too() {
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    let own = async |_: Request<RequestBody>| Ok::<_, &'static str>(whole("hello"));
    let service = exeunt_server::Health::new(tower::service_fn(own), lifecycle.stop());
    let service = service.metrics_at("/internal/metrics", || "up 1\n".to_owned());
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address().as_socket_addr().unwrap();
    tokio::spawn(server.service(service).run(&lifecycle));
    assert_eq!(ask(address, "/internal/metrics").await.1, "up 1\n");
    assert_eq!(ask(address, "/metrics").await.1, "hello");
}
