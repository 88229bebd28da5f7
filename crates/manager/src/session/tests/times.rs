//! What takes too long. All times are given, none is waited for.

use super::bench::{Bench, End, echo, silent};
use crate::Limits;
use std::time::Duration;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";

#[test]
fn a_silent_connection_is_closed_after_the_idle_limit() {
    let mut never_used = Bench::http(echo);
    assert_eq!(never_used.wakes_at(), Some(75_000));
    never_used.ticks_at(74_999);
    assert_eq!(never_used.end, None);
    never_used.ticks_at(75_000);
    assert_eq!(never_used.end, Some(End::Closed));
    assert_eq!(never_used.wire, b"");

    let mut used = Bench::http(echo);
    used.at(1000).arrives(GET);
    assert_eq!(used.wakes_at(), Some(76_000));
    used.ticks_at_and_finds(76_000, GET.as_bytes());
    assert_eq!(used.statuses(), [200, 200], "the last look finds a request");
    assert_eq!(used.wakes_at(), Some(151_000));
}

#[test]
fn a_head_has_its_own_time_from_its_first_byte() {
    let mut bench = Bench::http(echo);
    bench.at(1000).arrives(&GET[..5]);
    for ms in [5000, 20_000, 30_999] {
        bench.at(ms).arrives("x");
    }
    assert_eq!(bench.wakes_at(), Some(31_000));
    bench.ticks_at(31_000);
    assert_eq!(bench.end, Some(End::Closed));
}

#[test]
fn a_body_that_stalls_is_answered_with_408() {
    let mut bench = Bench::http(echo);
    bench.at(1000).arrives([POST, "he"].concat());
    assert_eq!(bench.wakes_at(), Some(31_000));
    bench.at(20_000).arrives("l").ticks_at(31_000);
    assert_eq!(bench.end, None);
    assert_eq!(bench.wakes_at(), Some(50_000), "each byte gives it the time anew");
    bench.ticks_at(50_000);
    assert_eq!(bench.statuses(), [408]);
    assert_eq!(bench.told[1], "error the rest of the body did not come in time");
    assert!(bench.lingers);
}

#[test]
fn a_body_that_stalls_behind_its_answer_gets_no_second_one() {
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("headers") {
            session.reply(core, 200, &[], b"early").unwrap();
        }
    });
    bench.arrives(POST);
    assert_eq!(bench.statuses(), [200]);
    assert_eq!(bench.wakes_at(), Some(30_000), "sooner than it would be idle");
    bench.ticks_at(30_000);
    assert_eq!(bench.statuses(), [200], "408 would be taken for the answer to the next request");
    assert!(bench.lingers || bench.end.is_some());
}

#[test]
fn a_program_that_takes_too_long_is_answered_for() {
    let limits = Limits { answer: Some(Duration::from_secs(5)), ..Limits::default() };
    let mut bench = Bench::with_limits(limits.clone(), silent);
    bench.at(1000).arrives([POST, "he"].concat());
    bench.ticks_at(20_000);
    assert_eq!(bench.wire, b"", "the time of the body is not the program's");
    bench.arrives("llo");
    assert_eq!(bench.wakes_at(), Some(25_000));
    bench.ticks_at(25_000);
    assert_eq!(bench.statuses(), [408]);
    assert!(bench.lingers);
    assert!(bench.session.reply(&bench.core, 200, &[], b"late").is_err());

    let mut begun = Bench::with_limits(limits, silent);
    begun.arrives(GET).does(|session, core| {
        session.reply(core, 200, &[("Transfer-Encoding", "chunked")], b"").unwrap();
    });
    begun.ticks_at(5000).ticks_at(100_000);
    assert_eq!(begun.statuses(), [200], "a stream may last");
    assert_eq!(begun.end, None);
}

#[test]
fn by_default_a_program_may_take_its_time() {
    let mut bench = Bench::http(silent);
    bench.arrives(GET);
    assert_eq!(bench.wakes_at(), None);
}

#[test]
fn a_peer_that_takes_nothing_is_reset() {
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("message") {
            session.reply(core, 200, &[], &[b'x'; 10_000]).unwrap();
        }
    });
    bench.window = 500;
    bench.at(1000).arrives(GET);
    assert_eq!(bench.wakes_at(), Some(61_000));
    bench.window = 100;
    bench.at(40_000).does(|_, _| {}).ticks_at(61_000);
    assert_eq!(bench.end, None, "a byte taken gives it the time anew");
    assert_eq!(bench.wakes_at(), Some(100_000));
    bench.ticks_at(100_000);
    assert_eq!(bench.end, Some(End::Reset), "a torn answer must not look whole");
}

#[test]
fn a_peer_that_takes_all_has_no_time_left_over() {
    let mut bench = Bench::http(echo);
    bench.window = 10;
    bench.arrives(GET);
    assert_eq!(bench.wakes_at(), Some(60_000));
    bench.window = usize::MAX;
    bench.at(10_000).does(|_, _| {});
    assert_eq!(bench.wakes_at(), Some(85_000), "idle again");
}

#[test]
fn d7_the_linger_is_bounded_in_time() {
    let mut bench = Bench::http(echo);
    bench.at(1000).arrives(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    assert!(bench.lingers);
    assert_eq!(bench.told.last().unwrap(), "close");
    bench.at(2000).arrives("more").ticks_at(2999);
    assert_eq!(bench.end, None);
    assert_eq!(bench.wakes_at(), Some(3000));
    bench.ticks_at(3000);
    assert_eq!(bench.end, Some(End::Closed));

    let mut ended = Bench::http(echo);
    ended.arrives(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).peer_ends();
    assert_eq!(ended.end, Some(End::Closed));
    assert_eq!(ended.told.iter().filter(|told| *told == "close").count(), 1, "told once");
}
