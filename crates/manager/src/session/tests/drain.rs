//! The stop, on one HTTP connection (rules D2, D4, D5, D7, D8), and `drain` and `close` by the program.

use super::super::Session;
use super::bench::{Bench, End, echo, silent};
use crate::core::{Core, Stage};
use std::time::Duration;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const CLOSE: &str = "Connection: close\r\n";

fn replies(session: &mut Session, core: &Core) {
    session.reply(core, 200, &[], b"hi").unwrap();
}

#[test]
fn d2_an_answer_in_the_drain_says_that_it_is_the_last() {
    type Answer = fn(&mut Session, &Core);
    let table: [(&str, Answer); 4] = [
        ("a reply", replies),
        ("a stream", |session, core| {
            session.reply(core, 200, &[("Transfer-Encoding", "chunked")], b"hi").unwrap();
            session.chunk(core, b"").unwrap();
        }),
        ("events", |session, core| {
            session.sse(core, "", "hi").unwrap();
            session.chunk(core, b"").unwrap();
        }),
        ("raw words", |session, core| {
            session.send(core, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        }),
    ];
    for (name, answer) in table {
        let mut bench = Bench::http(silent);
        bench.arrives([GET, GET].concat()).enters(Stage::Draining).does(answer);
        assert!(bench.text().contains(CLOSE), "{name}");
        assert!(bench.text().contains("hi"), "{name}");
        assert!(bench.lingers, "{name}");
        assert_eq!(bench.told.len(), 3, "{name}: what is pipelined behind it is not told (RFC 9112 §9.6)");
    }
}

#[test]
fn d2_an_answer_begun_before_the_drain_keeps_its_word_and_the_next_does_not_begin() {
    let mut bench = Bench::http(silent);
    bench.arrives(GET).does(|session, core| {
        session.reply(core, 200, &[("Transfer-Encoding", "chunked")], b"hi").unwrap();
    });
    bench.at(100).enters(Stage::Draining);
    assert_eq!(bench.end, None);
    bench.at(200).does(|session, core| session.chunk(core, b"").unwrap());
    assert!(!bench.text().contains(CLOSE));
    assert_eq!(bench.end, None, "no close was said: a request that is on its way is answered (D4)");
    bench.at(300).arrives(GET).does(replies);
    assert!(bench.text().contains(CLOSE));
    assert!(bench.lingers);
}

#[test]
fn d4_what_arrives_before_we_have_said_close_is_answered() {
    let mut bench = Bench::http(echo);
    bench.at(1000).enters(Stage::Draining);
    bench.at(1200).arrives(GET);
    assert_eq!(bench.statuses(), [200]);
    assert!(bench.text().contains(CLOSE));
    assert!(bench.lingers, "D7: it must arrive");
}

#[test]
fn d5_silence_is_counted_from_the_drain_and_the_last_byte() {
    let mut bench = Bench::http(echo);
    bench.at(900).arrives(GET).at(1000).enters(Stage::Draining);
    assert_eq!(bench.wakes_at(), Some(1250));
    bench.ticks_at(1250);
    assert_eq!(bench.end, Some(End::Closed), "nothing is owed: no linger");

    let mut found = Bench::http(echo);
    found.at(1000).enters(Stage::Draining).ticks_at_and_finds(1250, GET.as_bytes());
    assert_eq!(found.statuses(), [200]);
    assert!(found.lingers);
}

#[test]
fn d5_a_head_and_a_body_keep_their_own_times() {
    let mut head = Bench::http(echo);
    head.at(1000).arrives(&GET[..9]).at(2000).enters(Stage::Draining);
    assert_eq!(head.wakes_at(), Some(31_000));
    head.at(3000).arrives(&GET[9..]);
    assert_eq!(head.statuses(), [200]);

    let mut body = Bench::http(echo);
    body.at(1000).arrives(&POST[..POST.len() - 1]).at(2000).enters(Stage::Draining);
    assert_eq!(body.wakes_at(), Some(31_000));
    body.at(20_000).arrives("o");
    assert_eq!(body.statuses(), [200]);
}

#[test]
fn d8_the_deadline_answers_503_or_resets_or_closes() {
    let mut owed = Bench::http(silent);
    owed.at(1000).arrives([GET, GET].concat()).enters(Stage::Draining).at(1500).enters(Stage::Cut);
    assert_eq!(owed.statuses(), [503]);
    assert!(owed.text().contains(CLOSE) && owed.lingers);
    let report = owed.core.account().report(Duration::ZERO);
    assert_eq!(report.cut_count, 1);
    assert_eq!(report.cut[0].name, "GET /a");
    assert_eq!((report.cut[0].kind, report.cut[0].age), ("request", Duration::from_millis(500)));

    let mut torn = Bench::http(silent);
    torn.arrives(GET).does(|session, core| {
        session.reply(core, 200, &[("Transfer-Encoding", "chunked")], b"hi").unwrap();
    });
    torn.enters(Stage::Draining).enters(Stage::Cut);
    assert_eq!(torn.end, Some(End::Reset));
    assert_eq!(torn.core.account().report(Duration::ZERO).cut_count, 1);

    let mut idle = Bench::http(silent);
    idle.enters(Stage::Draining).enters(Stage::Cut);
    assert_eq!((idle.end, idle.wire.len()), (Some(End::Closed), 0));
    assert_eq!(idle.core.account().report(Duration::ZERO).cut_count, 0, "it had asked nothing");

    let mut body = Bench::http(silent);
    body.arrives(&POST[..POST.len() - 1]).enters(Stage::Draining).enters(Stage::Cut);
    assert_eq!(body.statuses(), [503]);
    assert_eq!(body.core.account().report(Duration::ZERO).cut_count, 1);

    let mut held = Bench::http(silent);
    held.arrives(GET).does(|session, core| session.send(core, b"HTTP/1.1 200 OK\r\nCont").unwrap());
    held.enters(Stage::Draining).enters(Stage::Cut);
    assert_eq!((held.end, held.wire.len()), (Some(End::Reset), 0), "half a head helps nobody");
}

#[test]
fn d8_a_peer_that_does_not_take_its_503_is_reset() {
    let mut bench = Bench::http(silent);
    bench.arrives(GET);
    bench.window = 0;
    bench.enters(Stage::Draining).at(1000).enters(Stage::Cut);
    assert_eq!(bench.wakes_at(), Some(3000));
    bench.ticks_at(3000);
    assert_eq!(bench.end, Some(End::Reset));
}

#[test]
fn d8_what_the_peer_has_not_read_is_cut() {
    let mut bench = Bench::http(echo);
    bench.window = 10;
    bench.arrives(GET).enters(Stage::Draining).enters(Stage::Cut);
    assert_eq!(bench.end, Some(End::Reset));
    assert_eq!(bench.core.account().report(Duration::ZERO).cut_count, 1);
}

#[test]
fn a_drain_by_the_program_delivers_and_reads_no_more() {
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("message") {
            session.reply(core, 200, &[], b"goodbye").unwrap();
            session.drain(core);
            assert!(session.is_draining());
        }
    });
    bench.arrives([GET, GET].concat());
    assert_eq!(bench.statuses(), [200]);
    assert!(bench.text().ends_with("goodbye"));
    assert!(bench.lingers);
    assert_eq!(bench.told, ["headers GET /a", "message GET /a ", "close"]);
}

#[test]
fn a_drain_before_the_answer_in_the_same_handler_does_not_eat_it() {
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("message") {
            session.drain(core);
            session.reply(core, 200, &[], b"goodbye").unwrap();
        }
    });
    bench.arrives(GET);
    assert_eq!(bench.statuses(), [200]);
    assert!(bench.text().contains(CLOSE), "what we do, we say");
    assert!(bench.lingers);
}

#[test]
fn a_drain_in_each_state() {
    type Before = fn(&mut Bench);
    let table: [(&str, Before, &[u16]); 6] = [
        ("fresh", |_| {}, &[]),
        ("part of a head", |bench| _ = bench.arrives(&GET[..9]), &[]),
        ("part of a body", |bench| _ = bench.arrives(&POST[..POST.len() - 1]), &[503]),
        ("owed", |bench| _ = bench.arrives([GET, GET].concat()), &[503]),
        ("kept", |bench| _ = bench.arrives(GET).does(replies), &[200]),
        ("half closed", |bench| _ = bench.arrives(GET).peer_ends(), &[503]),
    ];
    for (name, before, statuses) in table {
        let mut drained = Bench::http(silent);
        before(&mut drained);
        drained.does(Session::drain).does(Session::drain);
        assert_eq!(drained.statuses(), statuses, "{name}");
        assert!(drained.lingers || drained.end == Some(End::Closed), "{name}");
        assert_eq!(drained.told.iter().filter(|told| *told == "close").count(), 1, "{name}");

        let mut closed = Bench::http(silent);
        before(&mut closed);
        let sent = closed.wire.len();
        closed.does(|session, _| session.close());
        assert_eq!((closed.end, closed.wire.len()), (Some(End::Closed), sent), "{name}");
        assert_eq!(closed.told.last().unwrap(), "close", "{name}");
        assert!(closed.session.reply(&closed.core, 200, &[], b"").is_err(), "{name}");
    }
}

#[test]
fn a_drain_lets_out_what_was_held_back() {
    let mut bench = Bench::http(silent);
    bench.arrives(GET).does(|session, core| {
        session.send(core, b"HTTP/1.1 200 OK\r\nContent-Le").unwrap();
        session.drain(core);
    });
    assert_eq!(bench.text(), "HTTP/1.1 200 OK\r\nContent-Le", "what is pending is delivered");
    assert!(bench.lingers);
}

#[test]
fn no_request_is_found_after_a_drain_whose_answer_the_peer_does_not_take() {
    let mut bench = Bench::http(silent);
    bench.arrives(GET);
    bench.window = 5;
    bench.does(|session, core| {
        session.reply(core, 200, &[], b"hi").unwrap();
        session.drain(core);
    });
    let told = bench.told.len();
    for ms in [30_000, 59_999] {
        bench.ticks_at_and_finds(ms, GET.as_bytes());
    }
    assert_eq!(bench.told.len(), told);
    bench.ticks_at(60_000);
    assert_eq!(bench.end, Some(End::Reset));
}

#[test]
fn a_panic_is_answered_with_500_or_a_reset() {
    let mut owed = Bench::http(silent);
    owed.arrives(GET).does(Session::panicked);
    assert_eq!(owed.statuses(), [500]);
    assert!(owed.text().contains(CLOSE) && owed.lingers);

    let mut answered = Bench::http(silent);
    answered.arrives(GET).does(|session, core| {
        replies(session, core);
        session.panicked(core);
    });
    assert_eq!(answered.statuses(), [200], "it has its answer");
    assert!(answered.lingers);

    let mut torn = Bench::http(silent);
    torn.arrives(GET).does(|session, core| {
        session.reply(core, 200, &[("Transfer-Encoding", "chunked")], b"hi").unwrap();
        session.panicked(core);
    });
    assert_eq!(torn.end, Some(End::Reset));

    let mut raw = Bench::raw(crate::Limits::default(), silent);
    raw.does(Session::panicked);
    assert_eq!(raw.end, Some(End::Reset));
}
