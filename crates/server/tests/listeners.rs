//! Several listeners at once, and what a handler knows of the connection that a request came by.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod support;

use exeunt_lifecycle::{Config, Lifecycle, Phase};
use exeunt_server::{Peer, RequestBody, Server};
use http::Request;
use std::net::SocketAddr;
use std::path::Path;
use support::{Answer, soon, whole};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// What a server may put into extensions for somebody else's extractor.
#[derive(Clone)]
struct ConnectInfo(SocketAddr);

async fn who(request: Request<RequestBody>) -> Result<Answer, &'static str> {
    let peer = request.extensions().get::<Peer>().ok_or("no peer")?;
    let info = request.extensions().get::<ConnectInfo>().map(|info| info.0);
    let (remote, local) = (peer.remote(), peer.local());
    let credentials = peer.credentials().map(|who| (who.pid(), who.uid()));
    Ok(whole(format!("{info:?} {remote:?} {local:?} {:?} {credentials:?} {peer}", peer.path())))
}

/// Requests `path`; the whole answer.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let mut answer = String::new();
    soon(async {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
        stream.read_to_string(&mut answer).await.unwrap();
    })
    .await;
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

struct Places {
    _directory: tempfile::TempDir,
    path: std::path::PathBuf,
    addresses: Vec<SocketAddr>,
    server: Server,
}

/// Two on TCP, one on a path; and one on IPv6, where the machine has it.
fn places() -> Places {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.sock");
    let server = Server::bind("127.0.0.1:0").unwrap().also_bind("127.0.0.1:0").unwrap();
    let server = server.also_bind(&format!("unix:{}", path.display())).unwrap();
    // A machine without IPv6 has one fewer.
    let server = match exeunt_server::listener::Listener::bind(&"[::1]:0".parse().unwrap()) {
        Ok(listener) => server.also_over(listener),
        Err(_) => server,
    };
    let addresses =
        server.local_addresses().filter_map(exeunt_server::listener::Address::as_socket_addr).collect();
    Places { _directory: directory, path, addresses, server }
}

#[tokio::test]
async fn each_listener_is_served_and_a_handler_knows_both_ends() {
    let Places { _directory, path, addresses, server } = places();
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    let server = server.connect_info(ConnectInfo).service(tower::service_fn(who));
    let server = tokio::spawn(server.run(&lifecycle));
    lifecycle.ready();
    for address in &addresses {
        let stream = TcpStream::connect(address).await.unwrap();
        let own = stream.local_addr().unwrap();
        let told = ask(stream).await;
        assert_eq!(told, format!("Some({own}) Some({own}) Some({address}) None None {own}"));
    }
    let told = ask(UnixStream::connect(&path).await.unwrap()).await;
    let (process, user) = (std::process::id(), rustix::process::getuid().as_raw());
    let expected = format!(
        "None None None {:?} Some((Some({process}), {user})) process {process}",
        Some(path.as_path())
    );
    assert_eq!(told, expected);
    lifecycle.stop().request_stop("the test is over");
    assert_eq!(soon(lifecycle.finished()).await.exit_status(), 0);
    soon(server).await.unwrap().unwrap();
    assert!(!Path::new(&path).exists(), "D3: a Unix socket is unlinked");
    for address in addresses {
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{address} is still there");
    }
}

#[tokio::test]
async fn d3_whoever_waits_in_any_of_the_queues_is_served() {
    let Places { _directory, path, addresses, server } = places();
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    let server = tokio::spawn(server.service(tower::service_fn(who)).run(&lifecycle));
    lifecycle.ready();
    // The runtime of this test has one thread: while we do not await, nobody is accepted.
    let tcp: Vec<_> =
        addresses.iter().map(|address| std::net::TcpStream::connect(address).unwrap()).collect();
    let unix = std::os::unix::net::UnixStream::connect(&path).unwrap();
    lifecycle.stop().request_stop("with somebody in each queue");
    assert_eq!(lifecycle.stop().phase(), Phase::Draining);
    for (stream, address) in tcp.into_iter().zip(&addresses) {
        stream.set_nonblocking(true).unwrap();
        let told = ask(TcpStream::from_std(stream).unwrap()).await;
        assert!(told.contains(&format!("Some({address})")), "{told}");
    }
    unix.set_nonblocking(true).unwrap();
    assert!(ask(UnixStream::from_std(unix).unwrap()).await.contains("site.sock"));
    let report = soon(lifecycle.finished()).await;
    assert_eq!(report.scopes[0].finished, addresses.len() as u64 + 1, "{report}");
    soon(server).await.unwrap().unwrap();
}

#[tokio::test]
async fn d8_the_report_names_the_peer_of_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.sock");
    let server = Server::bind(&format!("unix:{}", path.display())).unwrap();
    let lifecycle = Lifecycle::on_runtime(Config::default().grace(std::time::Duration::from_millis(100)));
    let lifecycle = lifecycle.unwrap();
    let (begun, _go, handler) = support::gate("never");
    let server = tokio::spawn(server.service(tower::service_fn(handler)).run(&lifecycle));
    lifecycle.ready();
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    soon(begun.acquire()).await.unwrap().forget();
    lifecycle.stop().request_stop("in the middle of it");
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(stream);
    let report = soon(lifecycle.finished()).await;
    let peer = report.scopes[0].cut[0].peer.clone();
    assert_eq!(peer, Some(format!("process {}", std::process::id())), "{report}");
    soon(server).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_is_of_no_use_any_more_fails_the_server_and_the_others_are_drained() {
    let broken = exeunt_server::listener::Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    // tcp(7): a listening socket that is shut down listens no more, and its accept fails for good.
    rustix::net::shutdown(&broken, rustix::net::Shutdown::Both).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().also_over(broken);
    let address = server.local_address().as_socket_addr().unwrap();
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    let waits = TcpStream::connect(address).await.unwrap();
    let server = tokio::spawn(server.named("site").service(tower::service_fn(who)).run(&lifecycle));
    assert!(ask(waits).await.contains(&address.to_string()));
    soon(server).await.unwrap().unwrap_err();
    let report = soon(lifecycle.finished()).await;
    assert_eq!((&*report.failures[0].name, report.exit_status()), ("site", 1), "{report}");
}
