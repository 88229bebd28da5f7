//! However bytes are cut, and whatever happens in whatever order.

use super::super::super::Session;
use super::super::bench::{Bench, End};
use super::{UPGRADE, close, echo, frame, opened};
use crate::Limits;
use crate::core::Stage;
use crate::websocket::WsOp;
use proptest::prelude::*;
use std::time::Duration;

/// What is told and sent, however the bytes are cut, and however slowly the peer reads.
fn cut(bytes: &[u8], cuts: &[usize], window: usize) -> (Vec<String>, Vec<u8>, bool, Option<End>) {
    let mut bench = opened(Limits { send_pause: 100, ws_message_bytes: 1000, ..Limits::default() }, echo);
    let mut rest = bytes;
    for cut in cuts {
        let (now, later) = rest.split_at((*cut).min(rest.len()));
        if !now.is_empty() {
            bench.window = window;
            bench.arrives(now);
            bench.window = usize::MAX;
            bench.does(|_, _| {});
            rest = later;
        }
    }
    bench.arrives(rest);
    (bench.told, bench.wire, bench.lingers, bench.end)
}

fn some_frames() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        4 => "[a-zé]{0,40}".prop_map(|text| frame(WsOp::Text, text)),
        2 => prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| frame(WsOp::Binary, bytes)),
        2 => "[a-z]{0,10}".prop_map(|text| frame(WsOp::Ping, text)),
        1 => Just(frame(WsOp::Pong, "")),
        2 => Just([(0x01, "fra"), (0x89, "?"), (0x00, "gm"), (0x80, "ent")].iter().flat_map(|(first, text)| {
            let mut bytes = frame(WsOp::Text, text);
            bytes[0] = *first;
            bytes
        }).collect()),
        1 => Just(close(1000)),
        1 => Just(vec![0xff, 0xff, 0]),
        1 => Just(frame(WsOp::Binary, [0; 1001])),
    ];
    prop::collection::vec(one, 0..12).prop_map(|frames| frames.concat())
}

#[derive(Clone, Debug)]
enum Happens {
    Arrives(Vec<u8>),
    PeerEnds,
    Breaks(bool),
    More(bool),
    Window(usize),
    Says(WsOp, usize),
    SaysClose,
    Drain,
    Close,
    Panic,
    Opened,
    Tick,
    Later(u64),
    Stage(Stage),
}

fn anything() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => some_frames().prop_map(Happens::Arrives),
        3 => (some_frames(), any::<prop::sample::Index>()).prop_map(|(mut bytes, cut)| {
            bytes.truncate(cut.index(bytes.len() + 1));
            Happens::Arrives(bytes)
        }),
        1 => Just(Happens::PeerEnds),
        1 => any::<bool>().prop_map(Happens::Breaks),
        1 => any::<bool>().prop_map(Happens::More),
        2 => prop_oneof![Just(0), 1_usize..200, Just(usize::MAX)].prop_map(Happens::Window),
        3 => (prop::sample::select(vec![WsOp::Text, WsOp::Binary, WsOp::Ping]), 0_usize..126)
            .prop_map(|(op, size)| Happens::Says(op, size)),
        1 => Just(Happens::SaysClose),
        1 => Just(Happens::Drain),
        1 => Just(Happens::Close),
        1 => Just(Happens::Panic),
        2 => Just(Happens::Opened),
        4 => Just(Happens::Tick),
        3 => (0..40_000_u64).prop_map(Happens::Later),
        1 => Just(Happens::Stage(Stage::Draining)),
        1 => Just(Happens::Stage(Stage::Cut)),
    ]
}

fn happens(bench: &mut Bench, now: &mut u64, what: &Happens) {
    match what {
        Happens::Arrives(bytes) => _ = bench.arrives(bytes),
        Happens::PeerEnds if bench.reads && bench.end.is_none() => _ = bench.peer_ends(),
        Happens::Breaks(writing) if bench.end.is_none() => _ = bench.breaks(*writing),
        Happens::PeerEnds | Happens::Breaks(_) => {}
        Happens::More(more) => bench.more = *more,
        Happens::Window(window) => {
            bench.window = *window;
            bench.does(|_, _| {});
        }
        Happens::Says(op, size) => {
            _ = bench.does_if_open(|session, core| _ = session.ws_send(core, *op, &vec![b'x'; *size]));
        }
        Happens::SaysClose => _ = bench.does_if_open(|session, core| _ = session.ws_close(core, 1000, "why")),
        Happens::Drain => _ = bench.does_if_open(Session::drain),
        Happens::Close => _ = bench.does_if_open(|session, _| session.close()),
        Happens::Panic => _ = bench.does_if_open(Session::panicked),
        Happens::Opened => _ = bench.does_if_open(|session, _| session.ws_opened()),
        Happens::Tick => {
            if let (Some(at), None) = (bench.wakes_at(), bench.end) {
                // Rounded up: the spread does not end at whole milliseconds.
                *now = (*now).max(at as u64 + 1);
                bench.ticks_at(*now);
                let ahead = bench.wakes_at().is_none_or(|at| at as u64 > *now);
                assert!(bench.end.is_some() || ahead, "a tick leaves no time behind");
            }
        }
        Happens::Later(ms) => {
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

proptest! {
    #[test]
    fn any_split_of_any_frames_is_the_same(
        bytes in some_frames(),
        cuts in prop::collection::vec(1_usize..60, 0..40),
        window in prop_oneof![Just(usize::MAX), 1_usize..50],
    ) {
        prop_assert_eq!(cut(&bytes, &cuts, window), cut(&bytes, &[], usize::MAX));
    }

    #[test]
    fn any_order_is_borne(
        opens in any::<bool>(),
        what in prop::collection::vec(anything(), 0..40),
    ) {
        let limits = Limits {
            ws_ping: Some(Duration::from_secs(20)),
            ws_close_spread: Duration::from_secs(1),
            ws_message_bytes: 1000,
            send_pause: 300,
            ..Limits::default()
        };
        let mut bench = Bench::with_limits(limits, |session, core, told| {
            if told.starts_with("message") {
                session.ws_upgrade(core, &[], 1).unwrap();
            }
        });
        bench.arrives(UPGRADE);
        if opens {
            bench.does(|session, _| session.ws_opened());
        }
        let mut now = 0;
        for what in &what {
            happens(&mut bench, &mut now, what);
        }
        for stage in [Stage::Draining, Stage::Cut] {
            happens(&mut bench, &mut now, &Happens::Stage(stage));
        }
        let cut = now;
        while bench.end.is_none() {
            let at = bench.wakes_at().expect("somebody wakes it") as u64;
            prop_assert!(at <= cut + 4000, "{at} after a cut at {cut}");
            happens(&mut bench, &mut now, &Happens::Tick);
        }
        let closes = bench.told.iter().filter(|told| *told == "close").count();
        prop_assert_eq!((closes, bench.told.last().map(String::as_str)), (1, Some("close")), "{:?}", bench.told);
        prop_assert!(!bench.session.is_open() && bench.session.received_len() == 0);
    }
}
