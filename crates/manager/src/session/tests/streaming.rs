//! Bodies that are told as they come (M20).

use super::super::Session;
use super::bench::{Bench, End};
use crate::Limits;
use crate::core::{Core, Stage};
use crate::error::StreamError;
use crate::http::Ask;
use std::time::Instant;

const GET: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

/// Streams ten bytes at most, and answers each message.
fn stream(session: &mut Session, core: &Core, told: &str) {
    if told.starts_with("headers") {
        session.stream_body(10, None).unwrap();
        assert_eq!(session.stream_body(10, None), Err(StreamError::TooLate), "once");
    } else {
        assert_eq!(session.stream_body(10, None), Err(StreamError::TooLate), "in {told}");
    }
    if told.starts_with("message") {
        session.reply(core, 200, &[], b"").unwrap();
    }
}

/// The same, but nothing is answered.
fn stream_only(session: &mut Session, _: &Core, told: &str) {
    if told.starts_with("headers") {
        session.stream_body(10, None).unwrap();
    }
}

fn collects_three_bytes() -> Limits {
    Limits { body_bytes: 3, ..Limits::default() }
}

#[test]
fn a_body_is_told_once_however_it_comes() {
    let table = [
        post("Content-Length: 5") + "hello",
        post("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n",
        post("Transfer-Encoding: chunked") + "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: u\r\n\r\n",
    ];
    for limits in [Limits::default(), collects_three_bytes()] {
        for request in &table {
            for size in 1..request.len() + 10 {
                let stream_of_two = [request.as_str(), GET].concat();
                let mut bench = Bench::with_limits(limits.clone(), stream);
                for piece in stream_of_two.as_bytes().chunks(size) {
                    bench.arrives(piece);
                }
                let pieces: Vec<_> =
                    bench.told.iter().filter_map(|line| line.strip_prefix("body ")).collect();
                assert_eq!(pieces.concat(), "hello", "{size} {request}");
                bench.told.retain(|line| !line.starts_with("body"));
                let told = ["headers POST /", "message POST / ", "headers GET /next", "message GET /next "];
                assert_eq!(bench.told, told, "{size} {request}");
                assert_eq!(bench.statuses(), [200, 200]);
                assert_eq!(bench.session.received_len(), 0);
            }
        }
    }
}

#[test]
fn nothing_of_it_is_kept() {
    let mut bench = Bench::http(stream_only);
    bench.arrives(post("Content-Length: 10"));
    for _ in 0..9 {
        bench.arrives("x");
        assert_eq!(bench.session.received_len(), 0);
        assert!(bench.reads);
    }
}

#[test]
fn more_than_was_asked_for_is_refused() {
    // One that says so is refused before any of it is told, also if it is here already.
    for body in ["", "01234", "0123456789a"] {
        let mut bench = Bench::http(stream);
        bench.arrives(post("Content-Length: 11") + body);
        assert_eq!(bench.told[..2], ["headers POST /", "error the body is longer than it may be"], "{body}");
        assert_eq!(bench.statuses(), [413]);
        assert!(bench.text().contains("Connection: close\r\n"));
        assert!(bench.lingers);
    }
    let mut bench = Bench::http(stream);
    bench.arrives(post("Transfer-Encoding: chunked")).arrives("5\r\nhello\r\n").arrives("6\r\nworlds\r\n");
    assert_eq!(bench.told[..3], ["headers POST /", "body hello", "error the body is longer than it may be"]);
    assert_eq!(bench.statuses(), [413]);
}

#[test]
fn what_is_not_streamed_is_refused_as_ever_but_behind_its_head() {
    for body in [post("Content-Length: 4"), post("Transfer-Encoding: chunked") + "4\r\n"] {
        let mut bench = Bench::with_limits(collects_three_bytes(), super::bench::echo);
        bench.arrives(body);
        assert_eq!(bench.told[..2], ["headers POST /", "error the body is longer than it may be"]);
        assert_eq!(bench.statuses(), [413]);
    }
    // It may be answered in other words, and the client hears that nothing is read behind it.
    let mut bench = Bench::with_limits(collects_three_bytes(), |session, core, told| {
        if told.starts_with("headers") {
            session.reply(core, 401, &[], b"").unwrap();
        }
    });
    bench.arrives(post("Content-Length: 4")).arrives("abcd");
    assert_eq!(bench.statuses(), [401]);
    assert!(bench.text().contains("Connection: close\r\n"), "{}", bench.text());
}

#[test]
fn leave_is_given_once_and_only_for_what_is_wanted() {
    let mut bench = Bench::with_limits(collects_three_bytes(), stream);
    bench.arrives(post("Expect: 100-continue\r\nContent-Length: 5"));
    assert_eq!(bench.statuses(), [100]);
    bench.arrives("he").arrives("llo");
    assert_eq!(bench.statuses(), [100, 200]);
    let mut bench = Bench::http(stream);
    bench.arrives(post("Expect: 100-continue\r\nContent-Length: 11"));
    assert_eq!(bench.statuses(), [413]);
}

#[test]
fn an_answer_ends_the_telling_but_not_the_reading() {
    fn early(session: &mut Session, core: &Core, told: &str) {
        if told.starts_with("headers POST") {
            session.stream_body(10, None).unwrap();
        }
        if told.starts_with("body") || told.starts_with("message GET") {
            session.reply(core, 200, &[], told.as_bytes()).unwrap();
        }
    }
    for fields in ["Content-Length: 6", "Transfer-Encoding: chunked"] {
        let mut bench = Bench::http(early);
        let (first, rest) = match fields.contains("Length") {
            true => ("abc", "def"),
            false => ("3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"),
        };
        bench.arrives(post(fields)).arrives(first);
        assert_eq!(bench.told, ["headers POST /", "body abc"]);
        assert_eq!(bench.statuses(), [200], "at once");
        bench.arrives([rest, GET].concat());
        assert_eq!(bench.told[2..], ["headers GET /next", "message GET /next "], "{fields}");
        assert_eq!((bench.statuses(), bench.end), (vec![200, 200], None));
    }
    // In the piece that was the last, too.
    let mut bench = Bench::http(early);
    bench.arrives(post("Content-Length: 3") + "abc" + GET);
    assert_eq!(bench.told, ["headers POST /", "body abc", "headers GET /next", "message GET /next "]);
}

#[test]
fn a_body_without_bytes_is_a_message_alone() {
    for request in
        [GET.to_owned(), post("Content-Length: 0"), post("Transfer-Encoding: chunked") + "0\r\n\r\n"]
    {
        let mut bench = Bench::http(stream);
        bench.arrives(request);
        assert_eq!(bench.told.len(), 2, "{:?}", bench.told);
        assert!(bench.told[1].starts_with("message"));
    }
}

#[test]
fn a_peer_that_ends_in_the_middle_is_an_error_and_no_message() {
    for fields in ["Content-Length: 6", "Transfer-Encoding: chunked"] {
        let mut bench = Bench::http(stream_only);
        bench.arrives(post(fields)).arrives("1\r\na\r").peer_ends();
        let told = &bench.told;
        let ended = "error the peer has ended its side in the middle of the body";
        assert_eq!(told[2..], [ended, "close"], "{told:?}");
        assert_eq!(bench.end, Some(End::Closed));
    }
}

#[test]
fn a_body_that_falls_silent_is_given_up() {
    let mut bench = Bench::http(stream_only);
    bench.arrives(post("Content-Length: 6")).at(29_000).arrives("abc");
    assert_eq!(bench.wakes_at(), Some(59_000), "each byte gives it thirty seconds more");
    bench.ticks_at(58_999);
    assert!(bench.statuses().is_empty());
    bench.ticks_at(59_000);
    assert_eq!(bench.statuses(), [408]);
    assert_eq!(bench.told[2], "error the rest of the body did not come in time");
}

#[test]
fn a_drain_waits_for_the_body_and_its_deadline_cuts_it() {
    let mut bench = Bench::http(stream);
    bench.arrives(post("Content-Length: 6")).arrives("abc");
    bench.enters(Stage::Draining);
    assert_eq!((bench.end, bench.lingers), (None, false));
    bench.at(5_000).arrives("def");
    assert_eq!(bench.told, ["headers POST /", "body abc", "body def", "message POST / ", "close"]);
    assert_eq!(bench.statuses(), [200]);

    let mut bench = Bench::http(stream);
    bench.arrives(post("Content-Length: 6")).arrives("abc");
    bench.enters(Stage::Draining).enters(Stage::Cut);
    assert_eq!(bench.statuses(), [503]);
    assert_eq!(bench.told, ["headers POST /", "body abc", "close"]);
}

#[test]
fn who_drains_in_the_middle_is_told_no_more() {
    let mut bench = Bench::http(|session, core, told| {
        stream_only(session, core, told);
        if told.starts_with("body") {
            session.drain(core);
        }
    });
    bench.arrives(post("Content-Length: 6")).arrives("abc").arrives("def");
    assert_eq!(bench.told, ["headers POST /", "body abc", "close"]);
    assert_eq!(bench.statuses(), [503]);
    let mut bench = Bench::http(stream_only);
    bench.arrives(post("Content-Length: 6")).arrives("abc").does(Session::panicked);
    assert_eq!(bench.statuses(), [500]);
}

#[test]
fn only_http_has_bodies() {
    let mut bench = Bench::raw(Limits::default(), super::bench::silent);
    assert_eq!(bench.session.stream_body(1, None), Err(StreamError::NotHttp));
    bench.session.close();
    assert!(matches!(bench.session.stream_body(1, None), Err(StreamError::Closed(_))));
    let mut bench = Bench::http(super::bench::silent);
    assert_eq!(bench.session.stream_body(1, None), Err(StreamError::TooLate), "nothing is asked");
    bench.arrives(GET);
    assert_eq!(bench.session.stream_body(1, None), Err(StreamError::TooLate), "it was told already");
}

#[test]
fn a_pause_holds_the_peer_back_and_stops_his_clock() {
    fn pause(session: &mut Session, core: &Core, told: &str) {
        stream(session, core, told);
        if told.starts_with("body") {
            session.pause_body(true, Instant::now());
        }
    }
    let mut bench = Bench::http(pause);
    bench.arrives(post("Content-Length: 6")).arrives("abc");
    assert!(!bench.reads);
    assert_eq!(bench.wakes_at(), None, "the peer is not late");
    let at = bench.instant(100_000);
    bench.at(100_000).does(|session, _| session.pause_body(false, at));
    assert!(bench.reads);
    assert_eq!(bench.wakes_at(), Some(130_000), "he has his time anew");
    bench.arrives("d");
    assert!(!bench.reads);
    bench.does(|session, _| session.pause_body(false, at)).arrives("ef");
    assert_eq!(bench.told[1..], ["body abc", "body d", "body ef", "message POST / "]);
    assert_eq!(bench.statuses(), [200]);
    assert!(bench.reads, "a pause is over with its body");

    // An answer ends it, and so does the deadline.
    let mut bench = Bench::http(pause);
    bench.arrives(post("Content-Length: 6")).arrives("abc");
    bench.does(|session, core| session.reply(core, 200, &[], b"").unwrap());
    assert!(bench.reads);
    assert_eq!(bench.wakes_at(), Some(30_000), "his time runs again");
    let mut bench = Bench::http(pause);
    bench.arrives(post("Content-Length: 6")).arrives("abc").enters(Stage::Draining).enters(Stage::Cut);
    assert_eq!((bench.statuses(), bench.lingers), (vec![503], true));

    // What was in the buffer when the head was told waits as well.
    let mut bench = Bench::http(|session, core, told| {
        stream(session, core, told);
        session.pause_body(told.starts_with("headers"), Instant::now());
    });
    bench.arrives(post("Content-Length: 6") + "abc");
    assert_eq!((&bench.told[..], bench.reads), (&["headers POST /".to_owned()][..], false));
}

#[test]
fn a_pause_holds_a_server_back_too() {
    fn pause(session: &mut Session, _: &Core, told: &str) {
        if told.starts_with("head") {
            session.stream_body(10, None).unwrap();
        }
        if told.starts_with("body") {
            session.pause_body(true, Instant::now());
        }
    }
    for (head, to_end) in [("Content-Length: 6\r\n", false), ("", true)] {
        let mut bench = Bench::client(Limits::default(), pause);
        let ask = Ask { method: "GET", uri: "/", headers: &[], body: b"" };
        bench.does(|session, core| session.request(core, ask).unwrap());
        bench.arrives(format!("HTTP/1.1 200 OK\r\n{head}\r\nabc"));
        assert_eq!(bench.told, ["head 200", "body abc"]);
        assert_eq!((bench.reads, bench.wakes_at()), (false, None));
        let at = bench.instant(100_000);
        bench.at(100_000).does(|session, _| session.pause_body(false, at));
        assert_eq!((bench.reads, bench.wakes_at()), (true, Some(130_000)));
        bench.arrives("def");
        if to_end {
            bench.peer_ends();
            assert_eq!(bench.told.len(), 3, "the end comes behind the pause");
            bench.does(|session, _| session.pause_body(false, at));
        }
        assert_eq!(bench.told[2..4], ["body def", "response 200 "]);
    }
}
