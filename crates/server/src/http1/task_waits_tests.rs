//! Who keeps whom waiting, and for how long (D9).

use super::*;
use http::{Request, Response};

const POST: &[u8] = b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n";

type Ours = Response<Full<Bytes>>;

fn hello() -> Ours {
    Response::new("hello".into())
}

/// Reads the body to its end.
async fn consume(request: Request<RequestBody>) -> Result<Ours, BoxError> {
    request.into_body().collect().await?;
    Ok(hello())
}

/// Answers with more than any buffer takes.
async fn large(_: Request<RequestBody>) -> Result<Ours, Infallible> {
    Ok(Response::new(Full::from(vec![7; 300_000])))
}

/// Reads to the end, and has read this.
async fn rest(bench: &mut Bench) -> String {
    let mut rest = Vec::new();
    bench.peer.read_to_end(&mut rest).await.unwrap();
    String::from_utf8(rest).unwrap()
}

#[tokio::test(start_paused = true)]
async fn d9_a_body_that_stalls_is_408_and_one_that_comes_is_not() {
    let mut bench = Bench::serving(tower::service_fn(consume));
    bench.peer.write_all(POST).await.unwrap();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(29)).await;
        bench.peer.write_all(b"ten bytes.").await.unwrap();
    }
    let answer = rest(&mut bench).await;
    assert_eq!(bench.elapsed().as_millis(), 5 * 29_000 + 30_010, "and a second look");
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn d9_a_handler_that_does_not_read_is_not_the_peers_fault() {
    let mut bench = Bench::serving(tower::service_fn(|request: Request<RequestBody>| async {
        tokio::time::sleep(Duration::from_secs(200)).await;
        consume(request).await
    }));
    bench.peer.write_all(POST).await.unwrap();
    // More than the pipe takes: the rest goes when the handler reads.
    bench.peer.write_all(&[7; 100_000]).await.unwrap();
    bench.answer().await;
    assert_eq!(bench.elapsed().as_secs(), 200);
}

#[tokio::test(start_paused = true)]
async fn d9_an_answer_that_does_not_come_is_503_and_its_handler_is_dropped() {
    struct Tell(Arc<Mutex<bool>>);
    impl Drop for Tell {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = true;
        }
    }
    let dropped = Arc::new(Mutex::new(false));
    let tell = Arc::clone(&dropped);
    let mut bench = Bench::serving(tower::service_fn(move |_: Request<RequestBody>| {
        let tell = Tell(Arc::clone(&tell));
        async move {
            let _tell = tell;
            std::future::pending::<Result<Ours, Infallible>>().await
        }
    }));
    // The clock has been wound up by a silence, and rings in between.
    tokio::time::sleep(Duration::from_secs(70)).await;
    bench.peer.write_all(GET).await.unwrap();
    let answer = rest(&mut bench).await;
    assert_eq!(bench.elapsed().as_millis(), 370_010);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection: close"), "{answer}");
    assert!(*dropped.lock().unwrap());
    bench.lifecycle.stop().request_stop("the test wants it");
    bench.task.await.unwrap();
    drop(bench.exchange);
    let report = bench.lifecycle.finished().await;
    assert_eq!(report.exit_status(), 0, "nothing was cut by a stop: {report}");
}

#[tokio::test(start_paused = true)]
async fn d9_a_body_earns_its_handler_time() {
    let mut bench = Bench::serving(tower::service_fn(consume));
    bench.peer.write_all(POST).await.unwrap();
    // 100 KB at 4 KB in 20 s take longer than five minutes, and earn 4 s each.
    for _ in 0..18 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        bench.peer.write_all(&[7; 4000]).await.unwrap();
    }
    bench.peer.write_all(&[7; 28_000]).await.unwrap();
    bench.answer().await;
    assert_eq!(bench.elapsed().as_secs(), 360);

    let mut bench = Bench::serving(tower::service_fn(consume));
    bench.peer.write_all(POST).await.unwrap();
    // A trickle earns next to nothing.
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        bench.peer.write_all(b"x").await.unwrap();
    }
    assert!(rest(&mut bench).await.starts_with("HTTP/1.1 503"));
    assert_eq!(bench.elapsed().as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn d9_a_peer_that_does_not_read_is_given_up_and_one_that_reads_slowly_is_not() {
    let mut bench = Bench::serving(tower::service_fn(large));
    bench.peer.write_all(GET).await.unwrap();
    let mut buffer = vec![0; 30_000];
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(59)).await;
        bench.peer.read_exact(&mut buffer).await.unwrap();
    }
    bench.task.await.unwrap();
    assert_eq!(bench.begun.elapsed().as_millis(), 5 * 59_000 + 60_010);
    assert!(bench.exchange.is_ordered(order::RESET), "it must not look whole");
    bench.lifecycle.stop().request_stop("the test wants it");
    drop(bench.exchange);
    let report = bench.lifecycle.finished().await;
    assert_eq!(report.exit_status(), 0, "in service it is the peer's affair alone: {report}");
}

#[tokio::test(start_paused = true)]
async fn d9_what_a_drain_loses_by_a_peer_is_in_the_report() {
    let mut bench = Bench::serving(tower::service_fn(large));
    bench.peer.write_all(GET).await.unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    bench.lifecycle.stop().request_stop("the test wants it");
    bench.task.await.unwrap();
    assert_eq!(bench.begun.elapsed().as_millis(), 60_010);
    let report = bench.lifecycle.finished().await;
    assert_eq!(report.scopes[0].cut[0].name, "GET /", "{report}");
}

#[tokio::test(start_paused = true)]
async fn d9_a_body_that_stalls_behind_the_responses_head_resets_it() {
    let mut bench = Bench::serving(tower::service_fn(|request: Request<RequestBody>| async {
        // The response waits for the request's body, and has begun.
        let body = request.into_body();
        Ok::<_, Infallible>(Response::new(body))
    }));
    bench.peer.write_all(POST).await.unwrap();
    bench.peer.write_all(b"ten bytes.").await.unwrap();
    let answer = rest(&mut bench).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ten bytes."), "{answer}");
    assert_eq!(bench.elapsed().as_millis(), 30_010);
    assert!(bench.exchange.is_ordered(order::RESET));
}

#[tokio::test(start_paused = true)]
async fn d9_what_comes_between_the_looks_is_taken() {
    let mut bench = Bench::serving(tower::service_fn(consume));
    bench.peer.write_all(POST).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30_005)).await;
    bench.peer.write_all(&[7; 100_000]).await.unwrap();
    bench.answer().await;
    assert_eq!(bench.elapsed().as_millis(), 30_005);
}
