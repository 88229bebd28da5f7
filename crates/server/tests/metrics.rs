//! What a scrape sees of a server, in service, in its drain, and in the next start. One test: the recorder is the
//! process's.
#![cfg(feature = "prometheus")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod support;

use exeunt_lifecycle::{Config, Lifecycle, Phase};
use exeunt_server::{Admin, Server};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::{Peer, patient, soon};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

type Scrape = BTreeMap<String, f64>;

async fn peer(address: SocketAddr) -> Peer {
    Peer::from(TcpStream::connect(address).await.unwrap())
}

async fn scrape(admin: SocketAddr) -> Scrape {
    let mut peer = peer(admin).await;
    peer.get("/metrics").await;
    let (head, body) = peer.response().await;
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let samples = body.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    samples
        .map(|sample| {
            let (name, value) = sample.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn connections(protocol: &str, state: &str) -> String {
    format!(r#"exeunt_connections{{server="http",protocol="{protocol}",state="{state}"}}"#)
}

/// Scrapes until it is so: what a peer sends takes its time to be seen.
async fn until(admin: SocketAddr, expected: &[(&str, f64)]) -> Scrape {
    let mut last = Scrape::new();
    let seen = tokio::time::timeout(support::PATIENCE, async {
        while !expected.iter().all(|(name, value)| last.get(*name) == Some(value)) {
            last = scrape(admin).await;
        }
    });
    assert!(seen.await.is_ok(), "{last:#?} is not {expected:#?}");
    last
}

/// A program with one server, whose requests are never answered, and a listener that shows what it does.
struct Program {
    lifecycle: Lifecycle,
    address: SocketAddr,
    admin: SocketAddr,
    begun: Arc<Semaphore>,
}

fn start(config: Config) -> Program {
    let lifecycle = Lifecycle::on_runtime(config).unwrap();
    let watching = Admin::bind("127.0.0.1:0").unwrap().prometheus().unwrap();
    let admin = watching.local_address().as_socket_addr().unwrap();
    watching.start(&lifecycle).unwrap();
    let (begun, _, handler) = support::gate("never");
    let server = Server::bind("127.0.0.1:0").unwrap().limits(patient());
    let address = server.local_address().as_socket_addr().unwrap();
    tokio::spawn(server.service(tower::service_fn(handler)).run(&lifecycle));
    lifecycle.ready();
    Program { lifecycle, address, admin, begun }
}

/// A peer whose request is with the program.
async fn busy(program: &Program) -> Peer {
    let mut busy = peer(program.address).await;
    busy.get("/slow").await;
    soon(program.begun.acquire()).await.unwrap().forget();
    busy
}

#[tokio::test]
async fn a_scrape_sees_connections_requests_the_drain_and_the_last_stop() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::default().report_file(directory.path().join("report.json"));

    // A stop that cuts a request. Nobody scrapes it any more.
    let first = start(config.clone().grace(Duration::from_millis(500)));
    let mut peers = vec![busy(&first).await];
    first.lifecycle.stop().request_stop("with a request that hangs");
    assert_eq!(peers[0].response().await.0.split(' ').nth(1), Some("503"));
    peers.clear();
    assert_eq!(soon(first.lifecycle.finished()).await.exit_status(), 3);

    let next = start(config);
    peers.extend([busy(&next).await, peer(next.address).await, peer(next.address).await]);
    // The preface and an empty SETTINGS frame (RFC 9113 §3.4).
    peers[1].send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await;
    let busy = connections("http/1.1", "busy");
    let serving = [
        ("exeunt_last_stop_cut", 1.0),
        ("exeunt_last_stop_exit_status", 3.0),
        (r#"exeunt_work_cut_total{scope="http"}"#, 1.0),
        ("exeunt_phase", 1.0),
        (&connections("http/1.1", "idle"), 1.0),
        (&busy, 1.0),
        (&connections("http/1.1", "upgraded"), 0.0),
        (&connections("http/2", "idle"), 1.0),
        (&connections("http/2", "busy"), 0.0),
        (r#"exeunt_connections_total{server="http"}"#, 3.0),
        (r#"exeunt_work_in_flight{scope="http"}"#, 1.0),
        (r#"exeunt_work_begun_total{scope="http"}"#, 1.0),
    ];
    until(next.admin, &serving).await;

    next.lifecycle.stop().request_stop("the test wants it");
    soon(next.lifecycle.stop().reached(Phase::Draining)).await;
    let draining = [("exeunt_phase", 3.0), (&*busy, 1.0), (r#"exeunt_work_in_flight{scope="http"}"#, 1.0)];
    let seen = until(next.admin, &draining).await;
    let left = seen["exeunt_drain_seconds_left"];
    assert!(left > 0.0 && left <= 20.0, "{left} s");
    // Twenty seconds are nothing to wait for.
    drop(next.lifecycle);
}
