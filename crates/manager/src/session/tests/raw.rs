//! Connections whose bytes are the program's own.

use super::super::{Next, Session, Tick};
use super::bench::{Bench, End, silent};
use crate::Limits;
use crate::core::Stage;
use crate::error::AnswerError;
use std::time::Duration;

fn small() -> Limits {
    Limits { receive_bytes: 100, send_pause: 100, ..Limits::default() }
}

#[test]
fn what_is_not_consumed_stops_the_reading() {
    let mut bench = Bench::raw(small(), silent);
    bench.arrives([b'x'; 60]);
    assert!(bench.reads);
    bench.arrives([b'y'; 60]);
    assert!(!bench.reads);
    assert!(bench.session.is_full(&bench.core.limits));
    assert_eq!(bench.session.received(70), [[b'x'; 60].as_slice(), &[b'y'; 10]].concat());
    bench.does(|session, _| assert_eq!(session.consume(60), 60));
    assert!(bench.reads);
    assert_eq!(bench.session.received_len(), 60);
    bench.does(|session, _| assert_eq!(session.consume(1000), 60, "what there is"));
}

#[test]
fn what_is_not_taken_stops_the_reading() {
    let mut bench = Bench::raw(small(), silent);
    bench.window = 0;
    bench.does(|session, core| session.send(core, &[b'x'; 100]).unwrap());
    assert!(!bench.reads);
    bench.window = 50;
    bench.does(|_, _| {});
    assert!(bench.reads);
    assert_eq!(bench.wire.len(), 50);
}

#[test]
fn http_words_are_not_spoken() {
    let mut bench = Bench::raw(Limits::default(), silent);
    bench.does(|session, core| {
        assert!(matches!(session.reply(core, 200, &[], b""), Err(AnswerError::NotHttp)));
        assert!(matches!(session.chunk(core, b"x"), Err(AnswerError::NotHttp)));
        assert!(matches!(session.sse(core, "", "x"), Err(AnswerError::NotHttp)));
        assert_eq!(session.unsent_len(), 0);
    });
}

#[test]
fn a_drain_delivers_what_is_pending_and_lingers() {
    let mut bench = Bench::raw(Limits::default(), silent);
    bench.window = 3;
    bench.does(|session, core| {
        session.send(core, b"pending").unwrap();
        session.drain(core);
    });
    assert!(bench.session.is_draining());
    assert!(!bench.reads && bench.end.is_none());
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!(bench.wire, b"pending");
    assert!(bench.lingers);
    assert_eq!(bench.wakes_at(), Some(2000));
    bench.ticks_at(2000);
    assert_eq!(bench.end, Some(End::Closed));
}

#[test]
fn a_limit_of_nothing_is_one_byte() {
    let limits = Limits { receive_bytes: 0, send_pause: 0, ..Limits::default() };
    let mut bench = Bench::raw(limits.clone(), silent);
    assert!(bench.reads);
    bench.arrives("x");
    assert!(!bench.reads);
    bench.does(|session, _| _ = session.consume(1));
    assert!(bench.reads);
    let mut web = Bench::with_limits(Limits { head_bytes: 0, ..limits }, silent);
    assert!(web.reads);
    web.arrives("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(web.statuses().len(), 1, "a head that is too large");
}

#[test]
fn a_close_waits_for_nothing() {
    let mut bench = Bench::raw(Limits::default(), silent);
    bench.window = 3;
    bench.does(|session, core| {
        session.send(core, b"pending").unwrap();
        session.drain(core);
        session.close();
        assert!(session.send(core, b"more").is_err());
    });
    assert_eq!(bench.end, Some(End::Reset));
    assert_eq!(bench.told, ["close"]);
}

#[test]
fn who_ends_his_side_gets_what_is_pending() {
    let mut bench = Bench::raw(Limits::default(), silent);
    bench.window = 3;
    bench.does(|session, core| session.send(core, b"pending").unwrap()).peer_ends();
    assert_eq!(bench.end, None);
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!(bench.wire, b"pending");
    assert_eq!(bench.end, Some(End::Closed));
}

#[test]
fn d5_a_silent_stream_ends_in_the_drain_and_a_busy_one_does_not() {
    let mut bench = Bench::raw(Limits::default(), silent);
    assert_eq!(bench.wakes_at(), None, "in service it may be silent for ever");
    bench.at(1000).enters(Stage::Draining);
    assert_eq!(bench.wakes_at(), Some(1250));
    bench.at(1200).arrives("still here");
    bench.ticks_at(1250);
    assert_eq!(bench.end, None);
    assert_eq!(bench.wakes_at(), Some(1450));
    bench.ticks_at_and_finds(1450, b"and here");
    assert_eq!(bench.end, None);
    bench.ticks_at(1700);
    assert!(bench.end.is_some() || bench.lingers);
}

#[test]
fn d8_the_deadline_cuts_it_and_says_so() {
    for (window, end) in [(usize::MAX, End::Closed), (3, End::Reset)] {
        let mut bench = Bench::raw(Limits::default(), silent);
        bench.window = window;
        bench.does(|session, core| session.send(core, b"pending").unwrap());
        bench.at(500).enters(Stage::Draining).at(700).enters(Stage::Cut);
        assert_eq!(bench.end, Some(end));
        let report = bench.core.account().report(Duration::ZERO);
        assert_eq!(report.cut_count, 1);
        assert_eq!((report.cut[0].kind, report.cut[0].age), ("connection", Duration::from_millis(700)));
    }
}

#[test]
fn what_another_protocol_begins_in_the_drain_ends_in_it() {
    let mut bench = Bench::http(|session: &mut Session, core, told| {
        if told.starts_with("message") {
            session.reply(core, 101, &[], b"").unwrap();
        }
    });
    bench.at(1000).enters(Stage::Draining);
    bench.at(1100).arrives("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert!(!bench.session.http());
    assert_eq!(bench.wakes_at(), Some(1350), "silent for the grace, and no deadline needed");
}

#[test]
fn what_is_written_between_the_judgement_and_the_look_is_sent() {
    let mut bench = Bench::raw(Limits::default(), silent);
    bench.at(1).enters(Stage::Draining);
    let at = std::time::Instant::now() + Duration::from_millis(500);
    assert!(matches!(bench.session.tick(&bench.core, at), Tick::LastLook));
    bench.session.send(&bench.core, b"late").unwrap();
    assert!(matches!(bench.session.nothing_there(at), Next::Read));
    bench.session.sent(at, 4);
    assert!(matches!(bench.session.nothing_there(at), Next::Close));
}
