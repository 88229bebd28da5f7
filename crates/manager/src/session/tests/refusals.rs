//! What is no request, or too much of one.

use super::bench::{Bench, End, echo, silent};
use crate::Limits;

#[test]
fn each_refusal_has_its_status_and_ends_the_connection() {
    let head = |line: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
    let table = [
        (400, "nonsense\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (400, head("Content-Length: 1\r\nContent-Length: 2")),
        (400, head("Content-Length: -1")),
        (400, head("Content-Length: 5\r\nTransfer-Encoding: chunked")),
        (400, [head("Transfer-Encoding: chunked"), "x\r\n".to_owned()].concat()),
        (413, head("Content-Length: 8388609")),
        (413, [head("Transfer-Encoding: chunked"), "800001\r\n".to_owned()].concat()),
        (414, format!("GET /{} HTTP/1.1\r\n", "x".repeat(70_000))),
        (431, head(&format!("X: {}", "y".repeat(70_000)))),
        (431, head(&"X: y\r\n".repeat(1100))),
        (501, head("Transfer-Encoding: gzip, chunked")),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned()),
    ];
    for (status, request) in table {
        for size in [1000, usize::MAX] {
            let mut bench = Bench::http(echo);
            for piece in request.as_bytes().chunks(size) {
                bench.arrives(piece);
            }
            let begin: String = request.chars().take(60).collect();
            assert_eq!(bench.statuses(), [status], "{begin:?}");
            assert!(bench.text().contains("Connection: close\r\n"), "{begin:?}");
            assert!(bench.lingers, "{begin:?}");
            assert_eq!(bench.told.iter().filter(|told| told.starts_with("error")).count(), 1, "{begin:?}");
            assert!(!bench.told.iter().any(|told| told.starts_with("message")), "{begin:?}");
        }
    }
}

#[test]
fn what_is_behind_a_request_is_refused_behind_its_answer() {
    let mut bench = Bench::http(silent);
    bench.arrives("GET /a HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n");
    assert_eq!(bench.wire, b"", "the answer goes before it");
    bench.does(|session, core| session.reply(core, 200, &[], b"hi").unwrap());
    assert_eq!(bench.statuses(), [200, 400]);
    assert!(bench.lingers);
}

#[test]
fn a_body_that_is_none_behind_its_answer_gets_no_second_one() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for behind in ["nonsense\r\n", "800001\r\n"] {
        let mut bench = Bench::http(|session, core, told| {
            if told.starts_with("headers") {
                session.reply(core, 200, &[], b"early").unwrap();
            }
        });
        bench.arrives(head);
        assert_eq!(bench.statuses(), [200]);
        bench.arrives(behind);
        assert_eq!(bench.statuses(), [200], "one request, one answer");
        assert!(bench.lingers, "where the next would begin is unknown");
    }
}

#[test]
fn a_body_that_is_none_beside_a_stream_ends_behind_the_stream() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("headers") {
            session.reply(core, 200, &[("Transfer-Encoding", "chunked")], b"").unwrap();
        }
    });
    bench.arrives(head).arrives("nonsense\r\n");
    assert_eq!((bench.end, bench.reads), (None, false));
    bench.does(|session, core| {
        session.chunk(core, b"all").unwrap();
        session.chunk(core, b"").unwrap();
    });
    assert!(bench.text().ends_with("3\r\nall\r\n0\r\n\r\n"));
    assert!(bench.lingers);
}

#[test]
fn a_refused_peer_is_not_read_while_its_answer_waits() {
    let mut bench = Bench::http(echo);
    bench.window = 0;
    bench.arrives("nonsense\r\n\r\n");
    assert!(!bench.reads && !bench.lingers);
    assert_eq!(bench.session.received_len(), 0);
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!(bench.statuses(), [400]);
    assert!(bench.lingers);
}

#[test]
fn a_refused_peer_that_goes_on_is_not_read_for_long() {
    let mut bench = Bench::http(echo);
    bench.arrives("nonsense\r\n\r\n");
    let mut sent = 0;
    while bench.end.is_none() && sent < 10_000_000 {
        bench.arrives([0; 1000]);
        sent += 1000;
    }
    assert_eq!(bench.end, Some(End::Closed));
    assert!(sent <= Limits::default().drain.linger_bytes + 1000, "{sent}");
    assert_eq!(bench.session.received_len(), 0);
}
