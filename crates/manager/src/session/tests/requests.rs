//! Requests in, whole or in pieces.

use super::bench::{Bench, End, echo, silent};
use std::iter::repeat_n;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: u\r\n\r\n";

#[test]
fn a_request_is_told_once_however_it_comes() {
    let table = [
        (GET, vec!["headers GET /a", "message GET /a "]),
        (POST, vec!["headers POST /b", "message POST /b hello"]),
        (CHUNKED, vec!["headers POST /c", "message POST /c hello"]),
    ];
    for (request, told) in table {
        let mut whole = Bench::http(echo);
        whole.arrives(request);
        assert_eq!(whole.told, told, "whole");
        assert_eq!(whole.statuses(), [200]);
        let mut trickled = Bench::http(echo);
        for byte in request.as_bytes() {
            trickled.arrives([*byte]);
        }
        assert_eq!(trickled.told, told, "byte by byte");
        assert_eq!(trickled.statuses(), [200]);
        assert_eq!(trickled.session.received_len(), 0, "nothing of it is kept");
    }
}

#[test]
fn what_is_pipelined_is_held_back_until_the_answer() {
    let mut bench = Bench::http(silent);
    bench.arrives([GET, POST, CHUNKED].concat());
    assert_eq!(bench.told, ["headers GET /a", "message GET /a "]);
    assert!(bench.reads, "there is room for more");
    bench.does(|session, core| session.reply(core, 200, &[], b"one").unwrap());
    assert_eq!(bench.told[2..], ["headers POST /b", "message POST /b hello"]);
    bench.does(|session, core| session.reply(core, 201, &[], b"two").unwrap());
    assert_eq!(bench.told[4..], ["headers POST /c", "message POST /c hello"]);
    bench.does(|session, core| session.reply(core, 202, &[], b"three").unwrap());
    assert_eq!(bench.statuses(), [200, 201, 202]);
    assert_eq!(bench.end, None);
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut bench = Bench::http(silent);
    bench.arrives(GET);
    for piece in repeat_n("x".repeat(1000), 200) {
        bench.arrives(piece);
    }
    assert!(bench.session.received_len() < 70_000, "{}", bench.session.received_len());
    assert!(!bench.reads);
    assert!(bench.session.is_full(&bench.core.limits));
}

#[test]
fn an_answer_in_the_headers_is_the_answer() {
    fn early(session: &mut super::super::Session, core: &crate::core::Core, told: &str) {
        if told.starts_with("headers") {
            session.reply(core, 403, &[], b"no").unwrap();
        }
    }
    let mut whole = Bench::http(early);
    whole.arrives([POST, GET].concat());
    assert_eq!(whole.told, ["headers POST /b", "headers GET /a"], "no message");
    assert_eq!(whole.statuses(), [403, 403]);

    let mut slow = Bench::http(early);
    slow.arrives(&POST[..POST.len() - 3]);
    assert_eq!(slow.statuses(), [403], "the rest of the body is not waited for");
    slow.arrives(&POST[POST.len() - 3..]).arrives(GET);
    assert_eq!(slow.told, ["headers POST /b", "headers GET /a"], "its body is read over");
    assert_eq!(slow.end, None);
}

#[test]
fn a_client_that_waits_for_leave_gets_it_once() {
    let expects = POST.replace("Content-Length", "Expect: 100-continue\r\nContent-Length");
    let (head, body) = expects.split_at(expects.len() - 5);
    let mut bench = Bench::http(echo);
    bench.arrives(head);
    assert_eq!(bench.text(), "HTTP/1.1 100 Continue\r\n\r\n");
    bench.arrives(&body[..2]).arrives(&body[2..]);
    assert_eq!(bench.statuses(), [100, 200]);

    let mut whole = Bench::http(echo);
    whole.arrives(&expects);
    assert_eq!(whole.statuses(), [200], "the body was there already");
}

#[test]
fn a_client_that_gets_an_answer_instead_of_leave_gets_the_end_too() {
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("headers") {
            session.reply(core, 417, &[], b"").unwrap();
        }
    });
    bench.arrives(head);
    assert_eq!(bench.statuses(), [417]);
    assert!(bench.text().contains("Connection: close\r\n"), "nobody knows whether the body comes");
    assert!(bench.lingers);
}

#[test]
fn leave_that_the_program_gave_is_not_given_again() {
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("headers") {
            session.reply(core, 100, &[], b"").unwrap();
        }
    });
    bench.arrives(head);
    assert_eq!(bench.statuses(), [100]);
}

#[test]
fn who_ends_his_side_is_answered_all_the_same() {
    let mut bench = Bench::http(silent);
    bench.arrives([GET, GET].concat()).peer_ends();
    assert_eq!(bench.end, None);
    bench.does(|session, core| session.reply(core, 200, &[], b"one").unwrap());
    assert_eq!(bench.told.len(), 4, "the second is told");
    bench.does(|session, core| session.reply(core, 200, &[], b"two").unwrap());
    assert_eq!(bench.statuses(), [200, 200]);
    assert_eq!(bench.told.last().unwrap(), "close");
    assert_eq!(bench.peer_ends().end, Some(End::Closed), "the linger finds his end at once");
}

#[test]
fn who_ends_his_side_behind_a_body_gets_the_whole_of_a_stream_that_began_before() {
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("headers") {
            session.reply(core, 200, &[("Transfer-Encoding", "chunked")], b"early").unwrap();
        }
    });
    bench.arrives(&POST[..POST.len() - 2]).arrives(&POST[POST.len() - 2..]).peer_ends();
    assert_eq!((bench.end, bench.lingers), (None, false));
    bench.does(|session, core| {
        session.chunk(core, b"late").unwrap();
        session.chunk(core, b"").unwrap();
    });
    assert!(bench.text().ends_with("5\r\nearly\r\n4\r\nlate\r\n0\r\n\r\n"));
}

#[test]
fn an_end_in_the_middle_of_a_request_is_the_end() {
    for request in [GET, POST, CHUNKED] {
        for cut in [1, request.len() / 2, request.len() - 1] {
            let mut bench = Bench::http(echo);
            bench.arrives(&request[..cut]).peer_ends();
            assert_eq!(bench.end, Some(End::Closed), "{cut} of {request:?}");
            assert_eq!(bench.wire, b"", "{cut} of {request:?}");
            assert!(!bench.told.iter().any(|told| told.starts_with("message")));
        }
    }
}
