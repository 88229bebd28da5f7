//! Clients that have ended their side: they still read, or they are gone.

use super::bench::{Bench, End, silent};
use crate::Limits;
use crate::core::Stage;
use std::time::Duration;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const STREAMS: &[(&str, &str)] = &[("Transfer-Encoding", "chunked")];

fn ended_at(ms: u64) -> Bench {
    let limits = Limits { half_closed: Duration::from_secs(7), ..Limits::default() };
    let mut bench = Bench::with_limits(limits, silent);
    bench.at(ms).arrives(GET).peer_ends();
    bench
}

#[test]
fn an_answer_that_comes_in_time_is_sent() {
    let mut bench = ended_at(1000);
    assert_eq!(bench.wakes_at(), Some(8000), "so long and no longer");
    bench.ticks_at(7999).at(7999).does(|session, core| session.reply(core, 200, &[], b"late").unwrap());
    assert_eq!(bench.statuses(), [200]);
    assert_eq!(bench.end, Some(End::Closed));
}

#[test]
fn who_may_have_gone_is_asked_once_if_that_is_wished() {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let limits = Limits { probe_half_closed: true, ..Limits::default() };
    let mut bench = Bench::with_limits(limits.clone(), silent);
    bench.arrives(GET).peer_ends().at(1000).does(|_, _| {});
    assert_eq!((bench.wire.as_slice(), bench.end), (CONTINUE, None));
    bench.does(|session, core| session.reply(core, 200, &[], b"here").unwrap());
    assert!(bench.wire[CONTINUE.len()..].starts_with(b"HTTP/1.1 200 "));
    assert_eq!(bench.end, Some(End::Closed));
    let mut gone = Bench::with_limits(limits.clone(), silent);
    gone.arrives(GET).peer_ends().breaks(true);
    assert_eq!(gone.told.last().map(String::as_str), Some("close"));
    // Nobody is asked who has his answer, who has not, and knows no interim answers, or whose program does not wish it.
    let mut begun = Bench::with_limits(limits.clone(), silent);
    begun.arrives(GET).does(|session, core| session.reply(core, 200, STREAMS, b"one").unwrap()).peer_ends();
    let mut old = Bench::with_limits(limits, silent);
    old.arrives("GET /a HTTP/1.0\r\n\r\n").peer_ends();
    for bench in [begun, old, ended_at(0)] {
        assert!(!bench.wire.windows(4).any(|bytes| bytes == b" 100"), "{:?}", bench.wire);
    }
}

#[test]
fn one_that_never_comes_is_408_in_the_programs_place() {
    for draining in [false, true] {
        let mut bench = ended_at(1000);
        if draining {
            bench.at(2000).enters(Stage::Draining);
        }
        assert_eq!((bench.wakes_at(), bench.end), (Some(8000), None), "draining: {draining}");
        bench.ticks_at(8000);
        assert_eq!((bench.statuses(), bench.end), (vec![408], Some(End::Closed)));
        assert_eq!(bench.told.last().map(String::as_str), Some("close"));
    }
}

#[test]
fn a_stream_has_that_long_after_each_of_its_pieces() {
    let mut bench = ended_at(1000);
    bench.at(2000).does(|session, core| session.reply(core, 200, STREAMS, b"one").unwrap());
    assert_eq!(bench.wakes_at(), Some(9000));
    bench.at(8000).does(|session, core| session.chunk(core, b"two").unwrap());
    assert_eq!((bench.wakes_at(), bench.end), (Some(15_000), None));
    bench.ticks_at(15_000);
    assert_eq!(bench.end, Some(End::Reset), "it is not whole, and must not look so");
    assert_eq!(bench.told.last().map(String::as_str), Some("close"));
}

#[test]
fn a_stream_that_ends_in_time_is_whole() {
    let mut bench = ended_at(1000);
    bench.does(|session, core| session.sse(core, "", "one").unwrap());
    bench.at(7000).does(|session, core| session.chunk(core, b"").unwrap());
    assert_eq!(bench.end, Some(End::Closed));
}

#[test]
fn what_waits_for_a_slow_reader_has_its_own_time() {
    let mut bench = ended_at(1000);
    bench.window = 50;
    bench.at(2000).does(|session, core| session.reply(core, 200, STREAMS, &[b'x'; 100]).unwrap());
    assert_eq!(bench.wakes_at(), Some(62_000), "write_stall");
}

#[test]
fn the_cut_comes_first() {
    let mut bench = ended_at(1000);
    bench.at(2000).enters(Stage::Draining);
    bench.at(3000).enters(Stage::Cut);
    assert_eq!((bench.statuses(), bench.end), (vec![503], Some(End::Closed)));
    assert_eq!(bench.core.account().report(Duration::ZERO).cut_count, 1);
}

#[test]
fn a_stream_begun_before_its_body_was_there_is_reset() {
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("headers") {
            session.reply(core, 200, STREAMS, b"one").unwrap();
        }
    });
    bench.arrives("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").peer_ends();
    assert_eq!(bench.end, Some(End::Reset));
}
