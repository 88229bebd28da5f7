//! How large a body may be.

use crate::support::{Answer, End, House, limits, server, whole};
use exeunt_lifecycle::Config;
use exeunt_server::{BoxError, Limits, RequestBody};
use http::Request;
use http_body_util::{BodyExt as _, LengthLimitError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const DECLARED: &str = "POST / HTTP/1.1\r\nhost: t\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n";

fn ten_bytes() -> Limits {
    limits(|limits| limits.body_bytes = 10)
}

/// Reads the body, fails if that does, and says how long it was.
async fn measure(request: Request<RequestBody>) -> Result<Answer, BoxError> {
    Ok(whole(request.into_body().collect().await?.to_bytes().len().to_string()))
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_413_and_no_handler_sees_it() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let house = House::run(Config::default(), server(ten_bytes()), move |request| {
        counted.fetch_add(1, Ordering::SeqCst);
        measure(request)
    });
    for declared in ["11", "1073741824", "18446744073709551613"] {
        let mut peer = house.peer().await;
        // Nor is it asked for: a 100 would invite the body.
        peer.send(format!("{DECLARED}content-length: {declared}\r\nexpect: 100-continue\r\n\r\n")).await;
        let (head, _) = peer.response().await;
        assert!(head.starts_with("http/1.1 413") && head.contains("connection: close"), "{head}");
        peer.send("what is sent all the same does not eat the answer").await;
        assert_eq!(peer.rest().await, (vec![], End::Fin));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let mut peer = house.peer().await;
    peer.send(format!("{DECLARED}content-length: 10\r\n\r\n0123456789")).await;
    assert_eq!(peer.response().await.1, "10");
}

#[tokio::test]
async fn a_body_that_grows_too_long_fails_with_a_length_limit_and_the_answer_is_413() {
    let house = House::run(Config::default(), server(ten_bytes()), measure);
    let mut peer = house.peer().await;
    peer.send(format!("{CHUNKED}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")).await;
    assert_eq!(peer.response().await.1, "10", "so many it may have");
    peer.send(format!("{CHUNKED}5\r\n01234\r\n6\r\n567890\r\n")).await;
    let (head, _) = peer.response().await;
    assert!(head.starts_with("http/1.1 413") && head.contains("connection: close"), "{head}");
    assert_eq!(peer.rest().await, (vec![], End::Fin));
}

#[tokio::test]
async fn the_error_of_a_body_too_long_is_what_axum_looks_for() {
    let handler = |request: Request<RequestBody>| async {
        let error = request.into_body().collect().await.err().ok_or("it was taken")?;
        // axum-core downcasts the boxed error itself, and does not look for its source.
        Ok::<_, &str>(whole(if error.is::<LengthLimitError>() { "a length limit" } else { "something else" }))
    };
    let house = House::open(Config::default(), ten_bytes(), handler);
    let mut peer = house.peer().await;
    peer.send(format!("{CHUNKED}b\r\n0123456789a\r\n")).await;
    assert_eq!(peer.response().await.1, "a length limit", "and the program's own answer stands");
}

#[tokio::test]
async fn a_body_that_breaks_is_the_peers_fault_and_not_the_services() {
    let house = House::run(Config::default(), server(ten_bytes()), measure);
    let mut peer = house.peer().await;
    peer.send(format!("{CHUNKED}not a size\r\n")).await;
    let (head, _) = peer.response().await;
    assert!(head.starts_with("http/1.1 400") && head.contains("connection: close"), "{head}");
    assert_eq!(peer.rest().await, (vec![], End::Fin));
}

#[tokio::test]
async fn the_program_may_allow_a_request_more() {
    let server = server(ten_bytes()).body_limit(|method, uri| match uri.path() {
        "/videos" if method == http::Method::PUT => Some(20),
        _ => None,
    });
    let house = House::run(Config::default(), server, measure);
    for (line, length, status) in [
        ("PUT /videos", 20, "200"),
        ("PUT /videos", 21, "413"),
        ("POST /videos", 11, "413"),
        ("PUT /", 11, "413"),
    ] {
        let mut peer = house.peer().await;
        peer.send(format!("{line} HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n")).await;
        peer.send(vec![b'x'; length]).await;
        assert!(peer.response().await.0.starts_with(&format!("http/1.1 {status}")), "{line}, {length} bytes");
    }
}
