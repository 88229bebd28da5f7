//! Whatever happens in whatever order.

use super::super::Session;
use super::bench::{Bench, silent};
use crate::Limits;
use crate::core::{Core, Stage};
use crate::http::Ask;
use proptest::prelude::*;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) enum Happens {
    Arrives(&'static str),
    PeerEnds,
    Window(usize),
    Reply(u16),
    Streams,
    Chunk(&'static str),
    Sends(&'static str),
    Event,
    Consumes,
    Pauses(bool),
    Drain,
    Close,
    Panic,
    Asks(&'static str),
    Breaks {
        writing: bool,
    },
    /// The time of its deadline comes.
    Tick {
        finds: &'static str,
    },
    /// Time goes by.
    Later(u64),
    Stage(Stage),
}

pub(super) fn anything() -> impl Strategy<Value = Happens> {
    let bytes = prop_oneof![
        Just("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Just("HEAD /h HTTP/1.0\r\n\r\n"),
        Just("GET /b HTTP/1.1\r\nHo"),
        Just("st: a\r\n\r\n"),
        Just("POST /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
        Just("hello"),
        Just("PUT /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        Just("0\r\n\r\n"),
        Just("GET /e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /f"),
        Just("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        Just("HEAD /g HTTP/1.1\r\nHost: a\r\n\r\n"),
        Just("nonsense\r\n\r\n"),
    ];
    let raw = prop_oneof![
        Just("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        Just("HTTP/1.1 200 OK\r\nConte"),
        Just("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        Just("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        Just("words"),
    ];
    let happens = prop_oneof![
        6 => bytes.prop_map(Happens::Arrives),
        1 => Just(Happens::PeerEnds),
        2 => prop_oneof![Just(0), 1_usize..200, Just(usize::MAX)].prop_map(Happens::Window),
        4 => prop::sample::select(vec![100, 101, 103, 200, 204, 304, 404, 408, 503]).prop_map(Happens::Reply),
        2 => Just(Happens::Streams),
        2 => prop_oneof![Just("piece"), Just("")].prop_map(Happens::Chunk),
        2 => raw.prop_map(Happens::Sends),
        1 => Just(Happens::Event),
        1 => Just(Happens::Consumes),
        1 => any::<bool>().prop_map(Happens::Pauses),
        1 => Just(Happens::Drain),
        1 => Just(Happens::Panic),
    ];
    let ends = prop_oneof![
        1 => Just(Happens::Close),
        8 => prop_oneof![Just(""), Just("GET /found HTTP/1.1\r\nHost: a\r\n\r\n")]
            .prop_map(|finds| Happens::Tick { finds }),
        4 => (0..40_000_u64).prop_map(Happens::Later),
        1 => Just(Happens::Stage(Stage::Draining)),
        1 => Just(Happens::Stage(Stage::Cut)),
    ];
    prop_oneof![3 => happens, 1 => ends]
}

/// The same for a client.
fn anything_of_a_client() -> impl Strategy<Value = Happens> {
    let bytes = prop_oneof![
        4 => Just("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        2 => Just("HTTP/1.1 200 OK\r\nConte"),
        2 => Just("nt-Length: 5\r\n\r\n"),
        2 => Just("hello"),
        1 => Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        1 => Just("0\r\n\r\n"),
        1 => Just("HTTP/1.1 200 OK\r\n\r\n"),
        1 => Just("HTTP/1.1 100 Continue\r\n\r\n"),
        1 => Just("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        1 => Just("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
        1 => Just("nonsense\r\n\r\n"),
    ];
    let raw = prop_oneof![
        Just("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Just("HEAD /h HTTP/1.1\r\nHo"),
        Just("st: a\r\n\r\n"),
        Just("POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"),
        Just("hello"),
        Just("PUT /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Just("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        Just("GET /u HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
        Just("words\r\n\r\n"),
    ];
    let happens = prop_oneof![
        8 => bytes.prop_map(Happens::Arrives),
        1 => Just(Happens::PeerEnds),
        2 => prop_oneof![Just(0), 1_usize..200, Just(usize::MAX)].prop_map(Happens::Window),
        6 => prop::sample::select(vec!["GET", "HEAD", "POST"]).prop_map(Happens::Asks),
        4 => raw.prop_map(Happens::Sends),
        2 => prop_oneof![Just("piece"), Just("")].prop_map(Happens::Chunk),
        1 => any::<bool>().prop_map(|writing| Happens::Breaks { writing }),
        1 => any::<bool>().prop_map(Happens::Pauses),
        1 => Just(Happens::Consumes),
    ];
    let ends = prop_oneof![
        1 => Just(Happens::Drain),
        1 => Just(Happens::Close),
        1 => Just(Happens::Panic),
        8 => prop_oneof![Just(""), Just("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]
            .prop_map(|finds| Happens::Tick { finds }),
        4 => (0..40_000_u64).prop_map(Happens::Later),
        1 => Just(Happens::Stage(Stage::Draining)),
        1 => Just(Happens::Stage(Stage::Cut)),
    ];
    prop_oneof![4 => happens, 1 => ends]
}

pub(super) fn limits() -> Limits {
    let twenty = Some(Duration::from_secs(20));
    Limits { answer: twenty, response: twenty, receive_bytes: 50, send_pause: 300, ..Limits::default() }
}

pub(super) fn happens(bench: &mut Bench, now: &mut u64, what: &Happens) {
    match what {
        Happens::Arrives(text) => _ = bench.arrives(text),
        Happens::PeerEnds if bench.reads && bench.end.is_none() => _ = bench.peer_ends(),
        Happens::Breaks { writing } if bench.end.is_none() => _ = bench.breaks(*writing),
        Happens::PeerEnds | Happens::Breaks { .. } => {}
        Happens::Window(window) => {
            bench.window = *window;
            bench.does(|_, _| {});
        }
        Happens::Reply(status) => {
            _ = bench.does_if_open(|session, core| _ = session.reply(core, *status, &[], b"body"));
        }
        Happens::Streams => {
            let chunked = [("Transfer-Encoding", "chunked")];
            bench.does_if_open(|session, core| _ = session.reply(core, 200, &chunked, b""));
        }
        Happens::Chunk(text) => {
            _ = bench.does_if_open(|session, core| _ = session.chunk(core, text.as_bytes()));
        }
        Happens::Sends(text) => {
            _ = bench.does_if_open(|session, core| _ = session.send(core, text.as_bytes()));
        }
        Happens::Event => _ = bench.does_if_open(|session, core| _ = session.sse(core, "", "data")),
        Happens::Consumes => _ = bench.does_if_open(|session, _| _ = session.consume(30)),
        Happens::Pauses(paused) => {
            let at = bench.instant(*now);
            _ = bench.does_if_open(|session, _| session.pause_body(*paused, at));
        }
        Happens::Drain => _ = bench.does_if_open(Session::drain),
        Happens::Close => _ = bench.does_if_open(|session, _| session.close()),
        Happens::Asks(method) => {
            let ask = Ask { method, uri: "/", headers: &[], body: b"" };
            _ = bench.does_if_open(|session, core| _ = session.request(core, ask));
        }
        Happens::Panic => _ = bench.does_if_open(Session::panicked),
        Happens::Tick { finds } => {
            if let (Some(at), None) = (bench.wakes_at(), bench.end) {
                *now = (*now).max(at as u64);
                bench.ticks_at_and_finds(*now, finds.as_bytes());
                let ahead = |bench: &Bench| bench.wakes_at().is_none_or(|at| at as u64 > *now);
                if !finds.is_empty() && !ahead(bench) {
                    // What a look has found may call for another, which finds no more.
                    bench.ticks_at(*now);
                }
                assert!(bench.end.is_some() || ahead(bench), "a tick leaves no time behind");
            }
        }
        Happens::Later(ms) => {
            // Not past its deadline: that is never overlooked.
            let most = bench.wakes_at().map_or(u64::MAX, |at| at as u64);
            *now = (*now + ms).min(most.max(*now));
            bench.at(*now);
        }
        Happens::Stage(stage) => {
            if bench.core.stage() < *stage && bench.end.is_none() {
                bench.enters(*stage);
            }
        }
    }
}

fn one_life(mut bench: Bench, what: &[Happens]) {
    let mut now = 0;
    for what in what {
        happens(&mut bench, &mut now, what);
    }
    ends(bench, now);
}

/// However it has gone so far.
pub(super) fn ends(mut bench: Bench, mut now: u64) {
    // The stop: after its deadline, ticks alone bring the end, in the time that a peer has to take its 503.
    for stage in [Stage::Draining, Stage::Cut] {
        happens(&mut bench, &mut now, &Happens::Stage(stage));
    }
    let cut = now;
    while bench.end.is_none() {
        let at = bench.wakes_at().expect("somebody wakes it") as u64;
        assert!(at <= cut + 4000, "{at} after a cut at {cut}");
        happens(&mut bench, &mut now, &Happens::Tick { finds: "" });
    }
    let closes = bench.told.iter().filter(|told| *told == "close").count();
    assert_eq!((closes, bench.told.last().map(String::as_str)), (1, Some("close")), "{:?}", bench.told);
    assert!(!bench.session.is_open() && bench.session.received_len() == 0);
}

/// Has each body told as it comes, five bytes of it at most.
fn streams(session: &mut Session, _: &Core, told: &str) {
    if told.starts_with("head") {
        session.stream_body(5, None).ok();
    }
}

proptest! {
    #[test]
    fn any_order_is_borne_by_http(what in prop::collection::vec(anything(), 0..40)) {
        one_life(Bench::with_limits(limits(), silent), &what);
    }

    #[test]
    fn any_order_is_borne_by_streams(what in prop::collection::vec(anything(), 0..40)) {
        one_life(Bench::with_limits(Limits { body_bytes: 3, ..limits() }, streams), &what);
    }

    #[test]
    fn any_order_is_borne_by_a_client(what in prop::collection::vec(anything_of_a_client(), 0..40)) {
        one_life(Bench::client(limits(), silent), &what);
        one_life(Bench::client(limits(), streams), &what);
    }

    #[test]
    fn any_order_is_borne_by_bytes(what in prop::collection::vec(anything(), 0..40)) {
        one_life(Bench::raw(limits(), silent), &what);
    }
}
