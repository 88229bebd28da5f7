//! Requests that two servers in a row could read in two ways (RFC 9112 §11.2).

use crate::support::{Answer, End, House, Peer, patient, server, whole};
use exeunt_lifecycle::Config;
use exeunt_server::{BoxError, RequestBody};
use http::Request;
use http_body_util::BodyExt as _;

/// Says what it took for the request and its body.
async fn echo(request: Request<RequestBody>) -> Result<Answer, BoxError> {
    let line = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await?.to_bytes();
    Ok(whole(format!("{line} {}", String::from_utf8_lossy(&body))))
}

/// Behind each of them stands a request that must not be answered.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n";

async fn answers(peer: &mut Peer, request: &str) -> String {
    peer.send(format!("{request}{SMUGGLED}")).await;
    let (bytes, end) = peer.rest().await;
    assert_eq!(end, End::Fin, "{request:?}");
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("HTTP/1.").count(), 1, "{request:?} has one answer: {text}");
    assert!(!text.contains("/smuggled"), "{request:?}: {text}");
    text
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_answered() {
    let house = House::run(Config::default(), server(patient()), echo);
    let table = [
        (
            "lengths that differ",
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
            "400",
        ),
        ("a list of lengths", "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5, 5\r\n\r\nabcde", "400"),
        ("a length with a sign", "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: +5\r\n\r\nabcde", "400"),
        ("a length in hexadecimal", "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 0x5\r\n\r\nabcde", "400"),
        ("an empty length", "POST / HTTP/1.1\r\nhost: t\r\ncontent-length:\r\n\r\nabcde", "400"),
        (
            "a length beyond 64 bits",
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 18446744073709551617\r\n\r\n",
            "400",
        ),
        (
            "chunked twice",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "chunked twice in one line",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "chunked behind another line",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: cow\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "chunked before another",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\ntransfer-encoding: cow\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "chunked that is not the last",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "chunked behind another coding",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "501",
        ),
        (
            "a coding that looks like chunked",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a coding in quotes",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a vertical tab before the coding",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a coding in HTTP/1.0",
            "POST / HTTP/1.0\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        ("a blank before the colon", "POST / HTTP/1.1\r\nhost: t\r\ncontent-length : 5\r\n\r\nabcde", "400"),
        (
            "a blank before a coding's colon",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a folded line",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        ("a folded first line", "GET / HTTP/1.1\r\n host: t\r\n\r\n", "400"),
        ("a bare CR in a value", "GET / HTTP/1.1\r\nhost: t\r\na: b\rcontent-length: 5\r\n\r\n", "400"),
        ("a bare CR for a line's end", "GET / HTTP/1.1\rhost: t\r\r", "400"),
        ("NUL in a value", "GET / HTTP/1.1\r\nhost: t\r\na: b\0c\r\n\r\n", "400"),
        ("a field without a colon", "GET / HTTP/1.1\r\nhost: t\r\nabc\r\n\r\n", "400"),
        ("a field without a name", "GET / HTTP/1.1\r\nhost: t\r\n: abc\r\n\r\n", "400"),
        ("no host", "GET / HTTP/1.1\r\na: b\r\n\r\n", "400"),
        ("two hosts", "GET / HTTP/1.1\r\nhost: t\r\nhost: t\r\n\r\n", "400"),
        ("two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nhost: t\r\nhost: u\r\n\r\n", "400"),
        ("a host that is none", "GET / HTTP/1.1\r\nhost: t/../u\r\n\r\n", "400"),
        ("a host with a user", "GET / HTTP/1.1\r\nhost: u@t\r\n\r\n", "400"),
        ("a target without a path", "GET t:80 HTTP/1.1\r\nhost: t\r\n\r\n", "400"),
        ("a star for another method than OPTIONS", "GET * HTTP/1.1\r\nhost: t\r\n\r\n", "400"),
        ("CONNECT to a path", "CONNECT / HTTP/1.1\r\nhost: t\r\n\r\n", "400"),
        ("a blank in the target", "GET /a b HTTP/1.1\r\nhost: t\r\n\r\n", "400"),
        ("a version that is none", "GET / HTTP/1.9\r\nhost: t\r\n\r\n", "400"),
        ("no version", "GET /\r\nhost: t\r\n\r\n", "400"),
        (
            "a chunk's size with a sign",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a chunk's size in 0x",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a chunk's size beyond 64 bits",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
            "400",
        ),
        (
            "no chunk's size",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a chunk longer than it says",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcdef\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a bare LF behind a chunk's size",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5\nabcde\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a bare LF in a chunk's extension",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5;a\nabcde\r\n0\r\n\r\n",
            "400",
        ),
        (
            "a bare LF behind a chunk",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\n0\r\n\r\n",
            "400",
        ),
        (
            "a trailer that is no field",
            "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n0\r\na b\r\n\r\n",
            "400",
        ),
    ];
    for (name, request, status) in table {
        let text = answers(&mut house.peer().await, request).await;
        assert_eq!(text.get(9..12), Some(status), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_length_beside_a_coding_does_not_count_and_the_connection_ends_behind_it() {
    let house = House::run(Config::default(), server(patient()), echo);
    // RFC 9112 §6.3: a server may take it by its coding alone, and has to close behind the response.
    for (first, second) in [
        ("content-length: 40", "transfer-encoding: chunked"),
        ("transfer-encoding: chunked", "content-length: 40"),
        ("transfer-encoding: chunked", "content-length: 4\r\ncontent-length: 5"),
    ] {
        let request =
            format!("POST /a HTTP/1.1\r\nhost: t\r\n{first}\r\n{second}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let text = answers(&mut house.peer().await, &request).await;
        assert!(text.contains("connection: close") && text.ends_with("POST /a abc"), "{text}");
    }
}

#[tokio::test]
async fn what_is_odd_and_has_one_reading_is_served() {
    let house = House::run(Config::default(), server(patient()), echo);
    let table = [
        (
            "equal lengths count once (RFC 9110 §8.6)",
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
            "POST / abc",
        ),
        ("a bare LF ends a line (RFC 9112 §2.2)", "GET /lf HTTP/1.1\nhost: t\n\n", "GET /lf "),
        (
            "empty lines before a request (§2.2)",
            "\r\n\r\nGET /late HTTP/1.1\r\nhost: t\r\n\r\n",
            "GET /late ",
        ),
        (
            "a coding in capitals",
            "POST / HTTP/1.1\r\nhost: t\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
            "POST / abc",
        ),
        ("an absolute target", "GET http://t:80/a HTTP/1.1\r\nhost: t\r\n\r\n", "GET http://t:80/a "),
        ("an empty host", "GET /e HTTP/1.1\r\nhost:\r\n\r\n", "GET /e "),
        ("OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nhost: t\r\n\r\n", "OPTIONS * "),
        ("an IPv6 host", "GET /6 HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", "GET /6 "),
    ];
    let mut peer = house.peer().await;
    for (name, request, body) in table {
        peer.send(request).await;
        let (head, answer) = peer.response().await;
        assert!(head.starts_with("http/1.1 200"), "{name}: {head}");
        assert_eq!(answer, body, "{name}");
    }
}
