//! Answers out, in all the ways in which a program may give them.

use super::super::Session;
use super::bench::{Bench, silent};
use crate::core::Core;
use crate::error::{AnswerError, SendError};
use exeunt_lifecycle::{Config, Lifecycle};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n";
const OLD: &str = "GET /a HTTP/1.0\r\n\r\n";
const OLD_HEAD: &str = "HEAD /a HTTP/1.0\r\n\r\n";
const CLOSE: &str = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const STREAMS: &[(&str, &str)] = &[("Transfer-Encoding", "chunked")];

fn body(bench: &Bench) -> String {
    bench.text().split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap()
}

fn asked(request: &str) -> Bench {
    let mut bench = Bench::http(silent);
    bench.arrives(request);
    bench
}

fn streams(session: &mut Session, core: &Core) {
    session.reply(core, 200, STREAMS, b"").unwrap();
    for piece in [&b"one"[..], b"two", b""] {
        session.chunk(core, piece).unwrap();
    }
}

#[test]
fn replies_follow_the_request() {
    let table = [
        (GET, "hello", false),
        (HEAD, "", false),
        (OLD, "hello", true),
        (OLD_HEAD, "", true),
        (CLOSE, "hello", true),
    ];
    for (request, expected, closes) in table {
        let mut bench = asked(request);
        bench.does(|session, core| session.reply(core, 200, &[], b"hello").unwrap());
        assert_eq!(body(&bench), expected, "{request}");
        assert!(bench.text().contains("Content-Length: 5\r\n"), "{request}");
        assert_eq!(bench.lingers, closes, "{request}");
        assert_eq!(bench.text().contains("Connection: close\r\n"), closes, "{request}");
    }
}

#[test]
fn chunks_follow_the_request() {
    let table = [
        (GET, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", false),
        (HEAD, "", false),
        (OLD, "onetwo", true),
        (OLD_HEAD, "", true),
        (CLOSE, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", true),
    ];
    for (request, expected, closes) in table {
        let mut bench = asked(request);
        bench.does(streams);
        assert_eq!(body(&bench), expected, "{request}");
        assert_eq!(bench.lingers, closes, "{request}");
        let after = bench.session.chunk(&bench.core, b"more");
        assert!(after.is_err(), "{request}");
    }
}

#[test]
fn a_stream_holds_back_the_next_request() {
    let mut bench = asked(&[GET, GET].concat());
    bench.does(|session, core| session.reply(core, 200, STREAMS, b"first").unwrap());
    assert_eq!(bench.told.len(), 2);
    bench.does(|session, core| session.chunk(core, b"").unwrap());
    assert_eq!(bench.told.len(), 4);
    assert_eq!(body(&bench), "5\r\nfirst\r\n0\r\n\r\n");
}

#[test]
fn events_begin_their_own_answer() {
    let mut bench = asked(GET);
    bench.does(|session, core| session.sse(core, "tick", "one\ntwo").unwrap());
    bench.does(|session, core| session.sse(core, "", "three").unwrap());
    let text = bench.text();
    assert!(text.contains("Content-Type: text/event-stream\r\n"), "{text}");
    assert!(text.contains("event: tick\ndata: one\ndata: two\n\n"), "{text}");
    assert!(text.contains("data: three\n\n"), "{text}");
    assert_eq!(bench.statuses(), [200]);
    let wrong = bench.session.sse(&bench.core, "a\nb", "");
    assert!(matches!(wrong, Err(AnswerError::Reply(_))));
    bench.does(|session, core| session.chunk(core, b"").unwrap()).arrives(GET);
    assert_eq!(bench.told.len(), 4, "the stream is over");
}

#[test]
fn events_behind_a_head_in_the_programs_own_words_have_the_frames_that_it_says() {
    for (head, event) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "data: one\n\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "b\r\ndata: one\n\n\r\n"),
    ] {
        let mut bench = asked(GET);
        bench.does(|session, core| {
            session.send(core, head.as_bytes()).unwrap();
            session.sse(core, "", "one").unwrap();
        });
        assert_eq!(body(&bench), event);
    }
}

#[test]
fn answers_in_the_programs_own_words_are_followed() {
    let table = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", false),
        ("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", true),
    ];
    for (answer, closes) in table {
        for size in [1, 7, 1000] {
            let mut bench = asked(&[GET, GET].concat());
            for piece in answer.as_bytes().chunks(size) {
                bench.does(|session, core| session.send(core, piece).unwrap());
            }
            assert_eq!(bench.text(), answer, "{size} bytes at a time");
            assert_eq!(bench.lingers, closes, "{answer}");
            assert_eq!(
                bench.told.len(),
                if closes { 3 } else { 4 },
                "{answer}: the next is told, or the end"
            );
        }
    }
}

#[test]
fn chunks_may_go_on_with_raw_words() {
    let mut bench = asked(GET);
    bench.does(|session, core| {
        session.send(core, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        session.chunk(core, b"hi").unwrap();
        session.chunk(core, b"").unwrap();
    });
    assert_eq!(body(&bench), "2\r\nhi\r\n0\r\n\r\n");
    bench.arrives(GET);
    assert_eq!(bench.told.len(), 4);
}

#[test]
fn a_second_answer_is_refused_and_leaves_no_byte() {
    let mut bench = asked(GET);
    bench.does(|session, core| {
        session.reply(core, 200, &[], b"one").unwrap();
        let before = session.unsent_len();
        assert!(matches!(session.reply(core, 200, &[], b"two"), Err(AnswerError::Answered)));
        assert!(matches!(session.reply(core, 500, &[], b"two"), Err(AnswerError::Answered)));
        assert!(matches!(session.chunk(core, b"two"), Err(AnswerError::Answered)));
        assert!(matches!(session.sse(core, "", "two"), Err(AnswerError::Answered)));
        assert!(matches!(session.send(core, b"two"), Err(SendError::Answered)));
        assert_eq!(session.unsent_len(), before);
    });
    assert_eq!(bench.statuses(), [200]);
    assert_eq!(body(&bench), "one");
    let late = bench.session.reply(&bench.core, 200, &[], b"late");
    assert!(matches!(late, Err(AnswerError::Answered)), "nothing is asked any more");
    let late = bench.session.send(&bench.core, b"late");
    assert!(matches!(late, Err(SendError::Answered)), "it would be taken for the next answer");
    assert_eq!(bench.session.unsent_len(), 0);
}

#[test]
fn what_does_not_fit_the_answer_that_was_begun_is_refused() {
    let mut bench = asked(GET);
    let chunk = bench.session.chunk(&bench.core, b"x");
    assert!(matches!(chunk, Err(AnswerError::NotChunked)));
    bench.does(|session, core| session.reply(core, 200, STREAMS, b"").unwrap());
    let reply = bench.session.reply(&bench.core, 200, &[], b"x");
    assert!(matches!(reply, Err(AnswerError::Answered)));
}

#[test]
fn an_answer_that_is_none_leaves_the_request_unanswered() {
    let mut bench = asked(GET);
    bench.does(|session, core| {
        for (name, value) in [("X", "a\r\nY: b"), ("X\r\n", "a"), ("X", "\0")] {
            assert!(matches!(session.reply(core, 200, &[(name, value)], b""), Err(AnswerError::Reply(_))));
        }
        assert_eq!(session.unsent_len(), 0);
        session.reply(core, 200, &[], b"").unwrap();
    });
    assert_eq!(bench.statuses(), [200]);
}

#[test]
fn interim_answers_come_before_the_answer() {
    let mut bench = asked(GET);
    bench.does(|session, core| session.reply(core, 103, &[("Link", "</a>")], b"").unwrap());
    bench.does(|session, core| session.reply(core, 200, &[], b"hi").unwrap());
    assert_eq!(bench.statuses(), [103, 200]);
    assert_eq!(bench.end, None);

    let mut unasked = Bench::http(silent);
    unasked.does(|session, core| assert!(session.reply(core, 103, &[], b"").is_err()));
    assert_eq!(unasked.wire, b"", "there is nothing that it could precede");
}

#[test]
fn an_answer_may_come_where_nothing_was_asked() {
    let mut fresh = Bench::http(silent);
    fresh.does(|session, core| session.reply(core, 503, &[], b"later").unwrap());
    assert_eq!((fresh.statuses(), body(&fresh).as_str()), (vec![503], "later"));
    assert!(fresh.text().contains("Connection: close\r\n"));
    assert!(fresh.lingers);

    let mut early = Bench::http(silent);
    early.does(|session, core| session.reply(core, 200, &[], b"welcome").unwrap());
    assert_eq!(
        (early.statuses(), early.lingers),
        (vec![200], true),
        "nobody can take it for a second answer"
    );

    let mut kept = asked(GET);
    kept.does(|session, core| session.reply(core, 200, &[], b"one").unwrap());
    kept.does(|session, core| session.reply(core, 503, &[], b"bye").unwrap());
    assert_eq!(kept.statuses(), [200, 503]);
    assert!(kept.lingers);

    for status in [200, 302, 400, 404, 500, 502] {
        let mut kept = asked(GET);
        kept.does(|session, core| session.reply(core, 200, &[], b"one").unwrap());
        let second = kept.session.reply(&kept.core, status, &[], b"two");
        assert!(matches!(second, Err(AnswerError::Answered)), "{status} may be a second answer");
        assert_eq!(kept.session.unsent_len(), 0);
    }
}

#[test]
fn another_protocol_begins_behind_101() {
    let upgrade = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let mut bench = asked(&[upgrade, "first"].concat());
    bench.does(|session, core| {
        session.reply(core, 101, &[("Upgrade", "x"), ("Connection", "Upgrade")], b"").unwrap();
    });
    assert_eq!(bench.statuses(), [101]);
    assert!(!bench.text().contains("Content-Length"));
    assert!(!bench.session.http());
    assert_eq!(bench.session.received(100), b"first");
    bench.arrives("second");
    assert_eq!(bench.session.received(100), b"firstsecond");
    bench.does(|session, core| session.send(core, b"frame").unwrap());
    assert!(bench.text().ends_with("\r\n\r\nframe"));
    assert_eq!(bench.told.len(), 2, "no request is looked for in it");

    let mut own_words = asked(upgrade);
    own_words.does(|session, core| {
        session.send(core, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").unwrap();
    });
    own_words.arrives("frame");
    assert_eq!(own_words.session.consume(100), 5);
}

#[test]
fn the_work_that_another_protocol_ends_is_dropped_by_whoever_had_the_lock() {
    const CONNECT: &str = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let mut server = Bench::http(silent);
    server.core.count_in(Some(lifecycle.scope("server")));
    server.arrives(CONNECT);
    server.does(|session, core| session.reply(core, 200, &[], b"").unwrap());
    let mut client = Bench::client(crate::Limits::default(), silent);
    client.core.count_in(Some(lifecycle.scope("client")));
    client.does(|session, core| session.send(core, CONNECT.as_bytes()).unwrap());
    client.arrives("HTTP/1.1 200 OK\r\n\r\n");
    // With a body, so that another request could be written behind it.
    const UPGRADE: &str =
        "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\na";
    let mut pipelined = Bench::client(crate::Limits::default(), silent);
    pipelined.core.count_in(Some(lifecycle.scope("pipelined")));
    pipelined.does(|session, core| session.send(core, [UPGRADE, GET].concat().as_bytes()).unwrap());
    pipelined.arrives("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
    for mut bench in [server, client, pipelined] {
        bench.arrives("raw");
        assert_eq!(bench.session.consume(9), 3, "it is the program's");
        assert!(
            bench.session.take_over().is_some(),
            "who is told that nothing is left may ask the connection"
        );
        assert!(bench.session.take_over().is_none());
    }
}

#[test]
fn what_head_does_not_want_is_left_out_of_raw_words() {
    let mut bench = asked(HEAD);
    bench.does(|session, core| {
        session.send(core, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
    });
    assert_eq!(body(&bench), "");
    assert_eq!(bench.end, None);
}

#[test]
fn what_is_too_much_is_not_taken() {
    let limits = crate::Limits { send_bytes: 1000, ..crate::Limits::default() };
    let mut bench = Bench::with_limits(limits, silent);
    bench.window = 0;
    bench.arrives(GET);
    bench.does(|session, core| {
        let too_much = session.reply(core, 200, &[], &[b'x'; 1001]);
        assert!(matches!(too_much, Err(AnswerError::Send(SendError::Full { more: 1001, limit: 1000, .. }))));
        session.reply(core, 200, &[], &[b'x'; 900]).unwrap();
    });
}
