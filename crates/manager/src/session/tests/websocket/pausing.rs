//! Holding back a peer who says more than the program takes.

use super::{close, frame, opened, our_close, plain, silent};
use crate::Limits;
use crate::core::{Core, Stage};
use crate::session::Session;
use crate::session::tests::bench::Bench;
use crate::websocket::WsOp;
use std::time::{Duration, Instant};

fn pause(bench: &mut Bench, paused: bool, at: u64) {
    let now = bench.instant(at);
    bench.at(at).does(|session, _| session.pause_messages(paused, now));
}

/// Wants no more behind `enough`.
fn pauses(session: &mut Session, core: &Core, told: &str) {
    silent(session, core, told);
    if told == "text enough" {
        session.pause_messages(true, Instant::now());
    }
}

fn having_enough(behind: &[Vec<u8>]) -> Bench {
    let mut bench = opened(Limits::default(), pauses);
    bench.arrives([frame(WsOp::Text, "enough"), behind.concat()].concat());
    assert_eq!(bench.told, ["text enough"]);
    bench
}

#[test]
fn who_is_paused_is_not_read_and_not_told_of_and_nothing_is_lost() {
    let mut bench = having_enough(&[frame(WsOp::Text, "a"), frame(WsOp::Ping, "b"), frame(WsOp::Text, "c")]);
    assert!(!bench.reads && bench.session.is_full(&bench.core.limits));
    assert!(bench.wire.is_empty(), "no pong");
    pause(&mut bench, false, 1000);
    assert_eq!(bench.told[1..], ["text a", "ping b", "text c"]);
    assert!(bench.reads && !bench.session.is_full(&bench.core.limits));
}

#[test]
fn his_time_does_not_run_meanwhile_and_begins_anew() {
    let limits = Limits { ws_ping: Some(Duration::from_secs(20)), ..Limits::default() };
    let mut bench = opened(limits, silent);
    bench.at(1000).arrives(&frame(WsOp::Text, "message")[..4]);
    assert_eq!(bench.wakes_at(), Some(21_000));
    pause(&mut bench, true, 2000);
    assert_eq!(bench.wakes_at(), None);
    pause(&mut bench, false, 100_000);
    assert_eq!(bench.wakes_at(), Some(120_000));
    // A second time says nothing new.
    pause(&mut bench, false, 110_000);
    assert_eq!(bench.wakes_at(), Some(120_000));
}

#[test]
fn our_close_ends_the_pause() {
    let mut bench = plain();
    pause(&mut bench, true, 0);
    bench.does(|session, core| session.ws_close(core, 1000, "").unwrap());
    assert!(bench.reads);
    pause(&mut bench, true, 10);
    assert!(bench.reads, "his has to be heard");
    bench.arrives([frame(WsOp::Text, "last"), close(1000)].concat());
    assert_eq!((bench.wire.clone(), bench.lingers), (our_close(1000), true));
    assert_eq!(bench.told[0], "text last");
}

#[test]
fn a_drain_says_close_when_nothing_waits_any_more_and_its_deadline_cuts() {
    for resumes in [true, false] {
        let mut bench = having_enough(&[frame(WsOp::Text, "waits")]);
        bench.at(1000).enters(Stage::Draining);
        assert!(bench.wire.is_empty() && bench.told.len() == 1);
        if resumes {
            pause(&mut bench, false, 2000);
            assert_eq!(bench.told[1], "text waits");
        } else {
            bench.at(3000).enters(Stage::Cut);
            assert!(super::cuts(&bench)[0].starts_with("websocket "));
        }
        assert_eq!(bench.wire, our_close(1001));
    }
    let mut bench = having_enough(&[]);
    bench.enters(Stage::Draining);
    assert_eq!((bench.wire.clone(), bench.reads), (our_close(1001), true), "nothing waits");
    bench.arrives(close(1001));
    assert!(bench.lingers);
}
