//! Answers that are files.

use super::super::{Session, Source};
use super::bench::{Bench, End, silent};
use crate::core::{Core, Stage};
use crate::error::{AnswerError, SendError};
use std::fs::File;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n";
const CLOSE: &str = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

const LENGTH: u64 = 5000;

fn source() -> Source {
    Source::new(File::open("/dev/null").unwrap().into(), 0, LENGTH).unwrap()
}

fn serves(session: &mut Session, core: &Core) {
    let length = LENGTH.to_string();
    session.serve(core, 200, &[("Content-Length", &length)], source()).unwrap();
}

fn asked(request: &str) -> Bench {
    let mut bench = Bench::http(silent);
    bench.arrives(request);
    bench
}

/// One of whose file so much has gone.
fn begun(request: &str, went: usize) -> Bench {
    let mut bench = asked(request);
    bench.window = 0;
    bench.does(serves);
    bench.window = bench.session.to_send().len() + went;
    bench.does(|_, _| {});
    assert_eq!(files(&bench), went);
    bench
}

fn files(bench: &Bench) -> usize {
    bench.wire.iter().rev().take_while(|byte| **byte == b'f').count()
}

#[test]
fn a_file_follows_its_head_and_the_next_request_the_file() {
    for (request, length, closes) in [(GET, 5000, false), (HEAD, 0, false), (CLOSE, 5000, true)] {
        let mut bench = asked(&[request, GET].concat());
        bench.does(serves);
        assert_eq!(files(&bench), length, "{request}");
        assert!(bench.text().contains("Content-Length: 5000\r\n"), "{request}");
        assert_eq!(bench.lingers, closes, "{request}");
        assert_eq!(
            bench.told.iter().filter(|told| told.starts_with("message")).count(),
            2 - usize::from(closes)
        );
        assert!(bench.session.source().is_none());
    }
}

#[test]
fn the_next_request_waits_for_the_last_byte() {
    let mut bench = begun(&[GET, GET].concat(), 4999);
    assert_eq!(bench.told.len(), 2, "{:?}", bench.told);
    assert_eq!((bench.session.unsent_len(), bench.session.has_to_send()), (0, true));
    bench.window = 1;
    bench.does(|_, _| {});
    assert_eq!(bench.told.len(), 4, "{:?}", bench.told);
    assert!(!bench.session.has_to_send());
}

#[test]
fn nothing_else_is_an_answer_meanwhile() {
    let mut bench = begun(GET, 100);
    let (session, core) = (&mut bench.session, &bench.core);
    assert!(matches!(session.send(core, b"x"), Err(SendError::Answered)));
    assert!(matches!(session.chunk(core, b"x"), Err(AnswerError::Answered)));
    assert!(matches!(session.reply(core, 200, &[], b""), Err(AnswerError::Answered)));
    assert!(matches!(session.reply(core, 503, &[], b""), Err(AnswerError::Answered)));
    assert!(matches!(session.serve(core, 200, &[], source()), Err(AnswerError::Answered)));
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!((files(&bench), bench.statuses()), (5000, vec![200]));
    assert!(matches!(bench.session.serve(&bench.core, 200, &[], source()), Err(AnswerError::Answered)));
}

#[test]
fn what_is_no_reply_serves_nothing() {
    let mut bench = asked(GET);
    let refused = bench.session.serve(&bench.core, 200, &[("a b", "")], source());
    assert!(matches!(refused, Err(AnswerError::Reply(_))));
    assert!(!bench.session.has_to_send());
    bench.does(serves);
    assert_eq!(files(&bench), 5000);
}

#[test]
fn a_drain_delivers_the_file() {
    // Before its head has gone, and behind it.
    for (went, says_close) in [(None, true), (Some(100), false)] {
        let mut bench = match went {
            None => {
                let mut bench = asked(GET);
                bench.window = 0;
                bench.does(serves);
                bench
            }
            Some(went) => begun(GET, went),
        };
        bench.does(Session::drain);
        assert_eq!((bench.end, bench.lingers), (None, false));
        bench.window = usize::MAX;
        bench.does(|_, _| {});
        assert_eq!((files(&bench), bench.lingers), (5000, true));
        assert_eq!(bench.text().contains("Connection: close"), says_close);
    }
}

#[test]
fn a_stop_delivers_the_file_and_its_deadline_resets() {
    let mut bench = begun(GET, 100);
    bench.enters(Stage::Draining);
    assert_eq!((bench.end, bench.lingers), (None, false));
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!(files(&bench), 5000);

    let mut bench = begun(GET, 100);
    bench.enters(Stage::Draining).enters(Stage::Cut);
    assert_eq!(bench.end, Some(End::Reset));
    let report = bench.core.account().report(std::time::Duration::ZERO);
    assert_eq!(report.cut.iter().map(|cut| cut.name.as_str()).collect::<Vec<_>>(), ["GET /a"]);
}

#[test]
fn a_close_in_the_middle_is_a_reset() {
    let mut bench = begun(GET, 100);
    bench.does(|session, _| session.close());
    assert_eq!(bench.end, Some(End::Reset));
}

#[test]
fn a_handler_that_panics_behind_it_costs_the_file_nothing() {
    let mut bench = begun(GET, 100);
    bench.does(Session::panicked);
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!((files(&bench), bench.lingers, bench.statuses()), (5000, true, vec![200]));
}

#[test]
fn a_peer_that_takes_nothing_of_it_is_reset() {
    let mut bench = begun(GET, 100);
    assert_eq!(bench.wakes_at(), Some(60_000));
    bench.at(50_000).window = 100;
    bench.does(|_, _| {});
    assert_eq!(bench.wakes_at(), Some(110_000), "each byte counts");
    bench.ticks_at(109_999);
    assert_eq!(bench.end, None);
    bench.ticks_at(110_000);
    assert_eq!(bench.end, Some(End::Reset));
}

#[test]
fn a_peer_that_has_ended_its_side_may_read_as_slowly_as_others() {
    let mut bench = begun(GET, 100);
    bench.peer_ends();
    assert_eq!(bench.wakes_at(), Some(60_000), "the stall's time, not that of an answer that does not come");
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!(files(&bench), 5000);
}

#[test]
fn what_is_read_goes_through_the_buffer() {
    let mut bench = asked(GET);
    bench.window = 0;
    bench.does(serves);
    let head = bench.session.to_send().len();
    bench.session.filled(&[b'f'; 3000]);
    assert_eq!(bench.session.unsent_len(), head + 3000);
    assert_eq!(bench.session.source().map(|source| (source.from(), source.left())), Some((3000, 2000)));
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!(files(&bench), 5000);
}
