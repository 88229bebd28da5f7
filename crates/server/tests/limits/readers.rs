//! Peers that take their answers slowly, or not at all.

use crate::support::{House, Peer, limits, soon, whole};
use exeunt_lifecycle::Config;
use exeunt_server::Limits;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

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
    while begun.elapsed() < 4 * STALL {
        let read = soon(peer.stream.read(&mut piece)).await.expect("it takes what it is given");
        assert_ne!(read, 0);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(peer.stream.peek(&mut piece).await.is_ok());
}
