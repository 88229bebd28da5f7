//! Connections that are the program's, in paused time (rules D6 to D8).

use super::*;
use exeunt_lifecycle::Report;
use http::StatusCode;
use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

const ASK: &[u8] = b"GET /chat HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";
const GRANTED: &[u8] = b"HTTP/1.1 101 ";
/// What fits into the stream, and how long the head of an answer is whose length has five digits.
const STREAM: usize = 1 << 16;
const HEAD: usize = 79;

/// Grants `/chat`, and answers everything else with as many bytes as its path says. The program's ends come by the channel.
fn bench() -> (Bench, mpsc::UnboundedReceiver<OnUpgrade>) {
    let (hand, ends) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |mut request: http::Request<RequestBody>| {
        let mut response = http::Response::new(Full::<Bytes>::default());
        if request.uri().path() == "/chat" {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            hand.send(hyper::upgrade::on(&mut request)).unwrap();
        } else {
            let length = request.uri().path()[1..].parse().unwrap();
            *response.body_mut() = vec![b'x'; length].into();
        }
        async { Ok::<_, Infallible>(response) }
    });
    (Bench::serving(service), ends)
}

/// Upgraded: the bench, whose peer has read the 101, and the program's end.
async fn upgraded() -> (Bench, TokioIo<Upgraded>) {
    let (mut bench, mut ends) = bench();
    bench.peer.write_all(ASK).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        bench.peer.read_buf(&mut head).await.unwrap();
    }
    assert!(head.starts_with(GRANTED), "{}", head.escape_ascii());
    let program = ends.recv().await.unwrap().await.unwrap();
    (bench, TokioIo::new(program))
}

/// The report of a stop that cuts whatever is left.
async fn report(bench: Bench) -> Report {
    let Bench { lifecycle, exchange, task, .. } = bench;
    lifecycle.stop().request_stop("the test wants it");
    exchange.intervene(Input::Cut);
    task.await.unwrap();
    drop(exchange);
    lifecycle.finished().await
}

#[tokio::test(start_paused = true)]
async fn d6_how_long_an_upgraded_connection_is_silent_is_the_programs_to_say() {
    let (mut bench, mut program) = upgraded().await;
    sleep(Duration::from_secs(86_400)).await;
    bench.exchange.intervene(Input::Draining);
    sleep(Duration::from_secs(86_400)).await;
    bench.peer.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    program.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    assert!(!bench.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn d7_a_peer_that_stays_when_the_program_is_done_has_the_time_of_a_linger() {
    let (mut bench, mut program) = upgraded().await;
    program.write_all(b"bye").await.unwrap();
    drop(program);
    let begun = Instant::now();
    let mut rest = Vec::new();
    bench.peer.read_to_end(&mut rest).await.unwrap();
    assert_eq!((&rest[..], begun.elapsed()), (&b"bye"[..], Duration::ZERO), "its side is ended at once");
    bench.peer.write_all(b"and you?").await.unwrap();
    bench.task.await.unwrap();
    assert_eq!(begun.elapsed().as_millis(), 2000);
}

#[tokio::test(start_paused = true)]
async fn d7_a_program_may_end_its_side_and_read_on() {
    let (mut bench, mut program) = upgraded().await;
    program.shutdown().await.unwrap();
    assert_eq!(bench.peer.read(&mut [0; 8]).await.unwrap(), 0);
    sleep(Duration::from_secs(60)).await;
    bench.peer.write_all(b"late").await.unwrap();
    let mut heard = [0; 4];
    program.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"late");
}

#[tokio::test(start_paused = true)]
async fn d8_a_program_is_woken_by_the_cut_whatever_it_waits_for() {
    let (bench, program) = upgraded().await;
    let (mut reads, mut writes) = tokio::io::split(program);
    let reader = tokio::spawn(async move { reads.read(&mut [0; 8]).await });
    // Until the peer takes no more.
    let writer = tokio::spawn(async move { writes.write_all(&vec![0; 1 << 20]).await });
    sleep(Duration::from_secs(1)).await;
    assert!(!reader.is_finished() && !writer.is_finished());
    let report = timeout(Duration::from_secs(60), report(bench)).await.expect("nobody was woken");
    assert_eq!(reader.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(writer.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    let cut = &report.scopes[0].cut[0];
    assert_eq!((&*cut.name, cut.kind, cut.age.as_secs()), ("GET /chat", "upgrade", 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_told_though_its_peer_has_no_room_for_it_yet() {
    // The answer before fills the stream, to within these many bytes.
    for room in [0, 1, 50, 200] {
        let (mut bench, mut ends) = bench();
        let large = STREAM - HEAD - room;
        let get = format!("GET /{large} HTTP/1.1\r\nhost: test\r\n\r\n");
        bench.peer.write_all(&[get.as_bytes(), ASK].concat()).await.unwrap();
        let waiting = ends.recv().await.unwrap();
        sleep(Duration::from_millis(10)).await;
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            assert_ne!(bench.peer.read_buf(&mut read).await.unwrap(), 0, "{}", read.escape_ascii());
        }
        let head = read.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(head, HEAD, "{}", read[..head].escape_ascii());
        assert!(read.windows(GRANTED.len()).any(|window| window == GRANTED), "{room}");
        assert_eq!(read.iter().filter(|byte| **byte == b'x').count(), large);
        let mut program = TokioIo::new(waiting.await.unwrap());
        program.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        bench.peer.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello", "{room}");
    }
}
