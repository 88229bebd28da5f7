//! Which request is answered, and how a cut answer is named.

use super::super::Session;
use super::bench::{Bench, End, silent};
use crate::core::{Core, Stage};
use std::num::NonZeroU64;
use std::time::Duration;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n";
const STREAMS: &[(&str, &str)] = &[("Transfer-Encoding", "chunked")];

fn number(number: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(number)
}

/// Whether handles of no request, and of the first three, may answer.
fn may_answer(session: &Session) -> [bool; 4] {
    [0, 1, 2, 3].map(|of| !session.has_answered(number(of)))
}

#[test]
fn a_handle_of_a_request_answers_that_one_alone() {
    let mut bench = Bench::http(silent);
    assert_eq!(may_answer(&bench.session), [true, false, false, false]);
    bench.arrives([GET, GET].concat());
    assert_eq!(may_answer(&bench.session), [true, true, false, false]);
    bench.does(|session, core| session.reply(core, 200, STREAMS, b"one").unwrap());
    assert_eq!(may_answer(&bench.session), [true, true, false, false], "it goes on");
    bench.does(|session, core| session.chunk(core, b"").unwrap());
    assert_eq!(may_answer(&bench.session), [true, false, true, false], "the second is asked");
    bench.does(|session, core| session.reply(core, 200, &[], b"two").unwrap());
    assert_eq!(may_answer(&bench.session), [true, false, false, false], "nothing is");
    bench.arrives(GET);
    assert_eq!(may_answer(&bench.session), [true, false, false, true]);
}

#[test]
fn behind_an_upgrade_every_handle_speaks_the_new_protocol() {
    let mut bench = Bench::http(silent);
    bench.arrives(GET).does(|session, core| session.reply(core, 101, &[], b"").unwrap());
    assert_eq!(may_answer(&bench.session), [true; 4]);
}

#[test]
fn what_head_leaves_out_may_come_in_pieces_until_the_next_request() {
    let mut bench = Bench::http(silent);
    bench.arrives(HEAD).does(|session, core| {
        session.send(core, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").unwrap();
        session.send(core, b"bo").unwrap();
    });
    assert!(!bench.session.has_answered(number(1)));
    bench.does(|session, core| {
        session.send(core, b"dy").unwrap();
        session.chunk(core, b"more").unwrap();
    });
    assert_eq!(bench.text(), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    bench.arrives(GET).does(|session, core| session.reply(core, 200, &[], b"").unwrap());
    assert!(bench.session.has_answered(number(1)));
    assert!(bench.session.send(&bench.core, b"late").is_err());
}

#[test]
fn an_answer_that_says_nothing_of_101_in_its_head_switches_nothing() {
    let mut bench = Bench::http(silent);
    bench.arrives(GET).does(|session, core| {
        session.send(core, b"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n").unwrap();
        session.send(core, b"HTTP/1.1 101 Switching Protocols\r\n\r\n..").unwrap();
    });
    bench.arrives(GET);
    assert_eq!(bench.told.len(), 4, "the next request is told");

    let mut early = Bench::http(silent);
    early.arrives(GET).does(|session, core| {
        let words = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n";
        session.send(core, words).unwrap();
    });
    early.arrives("bytes");
    assert_eq!(early.session.received(9), b"bytes");
}

#[test]
fn a_tunnel_begins_behind_a_2xx_to_connect() {
    let connect = "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n";
    type Answer = fn(&mut Session, &Core);
    let table: [(Answer, bool); 3] = [
        (|session, core| session.reply(core, 200, &[], b"lost").unwrap(), true),
        (|session, core| session.send(core, b"HTTP/1.1 200 OK\r\n\r\n").unwrap(), true),
        (|session, core| session.reply(core, 501, &[], b"no").unwrap(), false),
    ];
    for (answer, tunnel) in table {
        let mut bench = Bench::http(silent);
        bench.arrives(connect).does(answer);
        assert_eq!(bench.text().contains("Content-Length"), !tunnel, "{}", bench.text());
        assert!(bench.text().ends_with(if tunnel { "\r\n\r\n" } else { "no" }));
        bench.arrives(GET);
        assert_eq!(bench.session.http(), !tunnel);
        assert_eq!(bench.told.len(), if tunnel { 2 } else { 4 });
    }
}

#[test]
fn a_part_of_a_head_counts_as_unsent() {
    let mut bench = Bench::http(silent);
    bench.arrives(GET).does(|session, core| {
        session.send(core, b"HTTP/1.1 200 OK\r\n").unwrap();
        assert_eq!((session.unsent_len(), session.unsent(8)), (17, b"HTTP/1.1".to_vec()));
    });
    assert_eq!((bench.wire.len(), bench.session.unsent_len()), (0, 17));
}

#[test]
fn a_drain_behind_an_answer_is_announced_by_it() {
    type Answer = fn(&mut Session, &Core);
    let table: [(&str, Answer); 4] = [
        ("a reply", |session, core| session.reply(core, 200, &[], b"hi").unwrap()),
        ("a stream", |session, core| session.reply(core, 200, STREAMS, b"hi").unwrap()),
        ("raw words", |session, core| {
            let words = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
            session.send(core, words).unwrap();
        }),
        ("one that says so", |session, core| {
            session.reply(core, 200, &[("Connection", "close")], b"hi").unwrap();
        }),
    ];
    for (name, answer) in table {
        let mut bench = Bench::http(silent);
        bench.arrives(GET).does(|session, core| {
            answer(session, core);
            session.drain(core);
            session.drain(core);
        });
        let text = bench.text();
        assert_eq!(text.matches("Connection: close\r\n").count(), 1, "{name}: {text}");
        assert!(text.contains("hi"), "{name}: {text}");
        assert!(bench.lingers, "{name}");
    }
    let mut gone = Bench::http(silent);
    gone.window = 10;
    gone.arrives(GET).does(|session, core| session.reply(core, 200, &[], b"hi").unwrap());
    gone.does(Session::drain);
    gone.window = usize::MAX;
    gone.does(|_, _| {});
    assert!(!gone.text().contains("Connection: close"), "what has gone is not said again: {}", gone.text());
    assert!(gone.text().ends_with("Content-Length: 2\r\n\r\nhi") && gone.lingers);
}

#[test]
fn a_close_lets_no_part_look_whole() {
    type Answer = fn(&mut Session, &Core);
    let whole: Answer = |session, core| session.reply(core, 200, &[], b"hello").unwrap();
    let stream: Answer = |session, core| session.reply(core, 200, STREAMS, b"hello").unwrap();
    let own: Answer = |session, core| session.send(core, b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
    let old = "GET /a HTTP/1.0\r\n\r\n";
    let table = [
        (GET, whole, usize::MAX, End::Closed),
        (GET, whole, 20, End::Reset),
        (GET, stream, usize::MAX, End::Reset),
        (old, stream, usize::MAX, End::Reset),
        (GET, own, usize::MAX, End::Reset),
    ];
    for (request, answer, window, end) in table {
        let mut bench = Bench::http(silent);
        bench.window = window;
        bench.arrives(request).does(answer);
        assert_eq!(bench.session.is_cut_short(), end == End::Reset, "{}", bench.text());
        bench.does(|session, _| session.close());
        assert_eq!(bench.end, Some(end), "{}", bench.text());
    }
}

#[test]
fn d8_whatever_is_cut_is_named() {
    let early = |session: &mut Session, core: &Core, told: &str| {
        if told.starts_with("headers") {
            session.reply(core, 200, &[], b"early").unwrap();
        }
    };
    let large =
        format!("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n{}", "x".repeat(9999));
    let whole = |session: &mut Session, core: &Core, told: &str| {
        if told.starts_with("message") {
            session.reply(core, 200, &[], b"hi").unwrap();
        }
    };
    type Program = fn(&mut Session, &Core, &str);
    let table: [(&str, Program, &str); 4] = [
        ("GET /slow?x HTTP/1.1\r\nHost: a\r\n\r\n", silent, "GET /slow"),
        ("GET /unread HTTP/1.1\r\nHost: a\r\n\r\n", whole, "GET /unread"),
        (&large, whole, "POST /large"),
        ("PUT /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", early, "PUT /body"),
    ];
    for (request, program, name) in table {
        let mut bench = Bench::http(program);
        bench.window = 0;
        bench.arrives(request).enters(Stage::Draining).enters(Stage::Cut);
        let report = bench.core.account().report(Duration::ZERO);
        let names: Vec<_> = report.cut.iter().map(|cut| cut.name.as_str()).collect();
        assert_eq!(names, [name]);
    }
}
