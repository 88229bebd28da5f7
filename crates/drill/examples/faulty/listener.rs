use super::connection;
use super::{Mode, State};
use socket2::{Domain, SockFilter, Socket, Type};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// A SYN and nothing else is dropped; the flags stand at offset 13 of the TCP header (classic BPF).
const NO_SYN: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),          // ldb [13]
    SockFilter::new(0x54, 0, 0, 0x12),        // and #SYN|ACK
    SockFilter::new(0x15, 0, 1, 0x02),        // jeq #SYN, next, skip one
    SockFilter::new(0x06, 0, 0, 0),           // ret #0
    SockFilter::new(0x06, 0, 0, 0xffff_ffff), // ret #-1
];

pub(super) fn bind(port: u16) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
    socket.listen(1024).unwrap();
    TcpListener::from_std(socket.into()).unwrap()
}

/// Accepts until the stop, then closes the listener: without losing anyone, but where that is the fault.
pub(super) async fn accept(listener: TcpListener, state: Rc<State>) {
    loop {
        tokio::select! {
            biased;
            () = state.stop() => break,
            accepted = listener.accept() => {
                let stream = accepted.unwrap().0;
                tokio::task::spawn_local(connection::serve(stream, Rc::clone(&state), state.open.subscribe()));
            }
        }
        if state.mode == Mode::StopsListening && state.requests.get() > 300 {
            drop(listener);
            return state.stop().await;
        }
        if state.mode == Mode::DropsQueue {
            // The queue of a server too busy to accept.
            sleep(Duration::from_millis(1)).await;
        }
    }
    if state.mode == Mode::DropsQueue {
        return;
    }
    let (socket, listener) = {
        let listener = listener.into_std().unwrap();
        (Socket::from(listener.try_clone().unwrap()), TcpListener::from_std(listener).unwrap())
    };
    socket.attach_filter(&NO_SYN).unwrap();
    // Handshakes under way end at once on loopback; this is ample.
    sleep(Duration::from_millis(20)).await;
    while let Ok((stream, _)) = socket.accept() {
        stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(stream.into()).unwrap();
        tokio::task::spawn_local(connection::serve(stream, Rc::clone(&state), state.open.subscribe()));
    }
    drop(listener);
}
