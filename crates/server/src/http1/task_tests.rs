//! The task over memory, in paused time: what the drain machine says is what hyper does.

use super::*;
use crate::RequestBody;
use crate::common::{Common, Settings};
use crate::peer::Peer;
use exeunt_drain::Input;
use exeunt_lifecycle::{Config, Lifecycle};
use http_body_util::{BodyExt as _, Full};
use std::convert::Infallible;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::time::Instant;

#[path = "task_upgrade_tests.rs"]
mod upgrades;
#[path = "task_waits_tests.rs"]
mod waits;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

/// A stream in memory, with a queue that the runtime does not know of: what has reached the kernel, and not yet epoll.
struct Memory {
    stream: DuplexStream,
    kernel: Arc<Mutex<Vec<u8>>>,
}

impl Transport for Memory {
    fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = std::mem::take(&mut *self.kernel.lock().unwrap_or_else(PoisonError::into_inner));
        if bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write_now(&self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn reset_on_close(&self) {}
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Memory {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection that is served in a task of its own.
struct Bench {
    peer: DuplexStream,
    kernel: Arc<Mutex<Vec<u8>>>,
    exchange: Arc<Exchange>,
    task: tokio::task::JoinHandle<()>,
    lifecycle: Lifecycle,
    begun: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::serving(tower::service_fn(|_: http::Request<RequestBody>| async {
            Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::from("hello")))
        }))
    }

    fn serving<S, B>(service: S) -> Self
    where
        S: HttpService<B>,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let common = Arc::new(Common::new(Settings::default(), lifecycle.scope("http")));
        let (peer, stream) = tokio::io::duplex(1 << 16);
        let kernel = Arc::new(Mutex::new(Vec::new()));
        let exchange = Arc::new(Exchange::new(common, Peer::nobody()));
        let memory = Memory { stream, kernel: Arc::clone(&kernel) };
        let served = serve(memory, service, Arc::clone(&exchange));
        let task = tokio::spawn(async { assert!(served.await.is_none(), "HTTP/1") });
        Self { peer, kernel, exchange, task, lifecycle, begun: Instant::now() }
    }

    /// Time, as the runtime's paused clock has it, since the bench was made.
    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert_ne!(self.peer.read_buf(&mut answer).await.unwrap(), 0, "ended: {answer:?}");
        }
        String::from_utf8(answer).unwrap()
    }

    /// Reads to the end; answers when that was.
    async fn end(&mut self) -> Duration {
        let mut rest = Vec::new();
        self.peer.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
        self.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn d5_a_silent_connection_ends_when_its_grace_does() {
    let mut bench = Bench::new();
    bench.peer.write_all(GET).await.unwrap();
    bench.answer().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    bench.exchange.intervene(Input::Draining);
    assert_eq!(bench.end().await.as_millis(), 5250);
    bench.task.await.unwrap();
    assert_eq!(bench.begun.elapsed().as_millis(), 5250, "nothing is owed: it does not linger");
}

#[tokio::test(start_paused = true)]
async fn d5_an_empty_line_is_silence() {
    let mut bench = Bench::new();
    bench.exchange.intervene(Input::Draining);
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Before a request line it is no request (RFC 9112 §2.2); a peer that sends one after the other would never end.
    bench.peer.write_all(b"\r\n").await.unwrap();
    assert_eq!(bench.end().await.as_millis(), 250);
}

#[tokio::test(start_paused = true)]
async fn d5_the_last_look_goes_past_the_runtime_to_the_kernel() {
    let mut bench = Bench::new();
    bench.lifecycle.stop().request_stop("the test wants it");
    bench.exchange.intervene(Input::Draining);
    bench.kernel.lock().unwrap().extend_from_slice(GET);
    let answer = bench.answer().await;
    assert_eq!(bench.elapsed().as_millis(), 250);
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn d7_a_peer_that_stays_is_waited_for_two_seconds_and_no_longer() {
    let mut bench = Bench::new();
    bench.exchange.intervene(Input::Draining);
    bench.peer.write_all(GET).await.unwrap();
    bench.answer().await;
    assert_eq!(bench.end().await.as_millis(), 0, "the write side is shut down at once");
    bench.peer.write_all(b"and yet more").await.unwrap();
    bench.task.await.unwrap();
    assert_eq!(bench.begun.elapsed().as_millis(), 2000);
}

#[tokio::test(start_paused = true)]
async fn d7_a_peer_that_leaves_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.exchange.intervene(Input::Draining);
    bench.peer.write_all(GET).await.unwrap();
    bench.answer().await;
    bench.peer.shutdown().await.unwrap();
    bench.task.await.unwrap();
    assert_eq!(bench.begun.elapsed().as_millis(), 0);
}

#[tokio::test(start_paused = true)]
async fn d9_in_service_a_head_has_thirty_seconds_and_silence_seventy_five() {
    let mut bench = Bench::new();
    bench.peer.write_all(b"GET / HT").await.unwrap();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        bench.peer.write_all(b"T").await.unwrap();
    }
    assert_eq!(bench.end().await.as_secs(), 30, "a trickle does not renew it");

    let mut bench = Bench::new();
    tokio::time::sleep(Duration::from_secs(10)).await;
    bench.peer.write_all(GET).await.unwrap();
    bench.answer().await;
    assert_eq!(bench.end().await.as_secs(), 85);
}

#[tokio::test(start_paused = true)]
async fn d5_a_body_behind_its_response_is_not_taken_for_silence() {
    let (sender, whole) = tokio::sync::oneshot::channel();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let mut bench = Bench::serving(tower::service_fn(move |request: http::Request<RequestBody>| {
        let sender = sender.lock().unwrap().take().unwrap();
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut length = 0;
            // Not to its end: hyper tells that only with the next request, once the response is done.
            while length < 10 {
                length += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
            }
            sender.send(length).unwrap();
            std::future::pending::<()>().await;
        });
        async { Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::from("hello"))) }
    }));
    bench.peer.write_all(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n12345").await.unwrap();
    bench.answer().await;
    bench.exchange.intervene(Input::Draining);
    tokio::time::sleep(Duration::from_secs(40)).await;
    bench.peer.write_all(b"678").await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    bench.peer.write_all(b"90").await.unwrap();
    assert_eq!(whole.await.unwrap(), 10);
    assert_eq!(bench.end().await.as_millis(), 80_250, "and now it is silent");
}
