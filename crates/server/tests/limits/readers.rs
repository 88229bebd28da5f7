//! Peers that take their answers slowly, or not at all.

use crate::support::{End, House, Peer, limits, soon, whole};
use exeunt_lifecycle::Config;
use exeunt_server::Limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, Interest};

const STALL: Duration = Duration::from_secs(2);

fn stall() -> Limits {
    limits(|limits| limits.write_stall = STALL)
}

/// A peer whose own kernel takes little ahead of it.
async fn narrow(house: &House) -> Peer {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(32 * 1024).unwrap();
    socket.connect(house.address()).await.unwrap().into()
}

#[tokio::test]
async fn write_stall_does_not_end_a_peer_that_reads_slowly() {
    let house = House::open(Config::default(), stall(), |_| async { Ok(whole(vec![7; 8 << 20])) });
    let mut peer = narrow(&house).await;
    peer.get("/large").await;
    // The kernel calls a socket writable when a third of its buffer is free, and that takes this peer longer than the limit.
    let begun = tokio::time::Instant::now();
    let mut piece = vec![0; 32 * 1024];
    while begun.elapsed() < 2 * STALL {
        let read = soon(peer.stream.read(&mut piece)).await.expect("it takes what it is given");
        assert_ne!(read, 0);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(peer.stream.peek(&mut piece).await.is_ok());
}

#[tokio::test]
async fn write_stall_resets_a_peer_that_takes_nothing_and_a_stop_names_it() {
    let limits = limits(|limits| limits.write_stall = Duration::from_millis(300));
    let config = Config::default().grace(Duration::from_secs(600));
    let house = House::open(config, limits, |_| async { Ok(whole(vec![7; 20 << 20])) });
    let mut in_service = house.peer().await;
    in_service.get("/in-service").await;
    // It has begun to arrive, and is more than the kernel takes.
    soon(in_service.stream.readable()).await.unwrap();
    soon(in_service.stream.ready(Interest::ERROR)).await.unwrap();
    assert_eq!(in_service.rest().await.1, End::Reset);

    let mut stopped = house.peer().await;
    stopped.get("/stopped").await;
    soon(stopped.stream.readable()).await.unwrap();
    house.stop.request_stop("the test wants it");
    let report = house.ended().await;
    let cut: Vec<_> = report.scopes[0].cut.iter().map(|cut| &*cut.name).collect();
    assert_eq!(cut, ["GET /stopped"], "{report}");
    assert_eq!(stopped.rest().await.1, End::Reset);
}
