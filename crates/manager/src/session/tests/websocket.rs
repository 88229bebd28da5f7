//! A WebSocket on memory (rules M17 and D6).

use super::super::{Next, Session, Step};
use super::bench::{Bench, End};
use crate::Limits;
use crate::core::{Core, Stage};
use crate::error::SendError;
use crate::websocket::{Role, UpgradeError, WsOp, write};
use bytes::BytesMut;
use proptest::prelude::*;
use std::time::Duration;

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Upgrades, and says nothing.
fn silent(session: &mut Session, core: &Core, told: &str) {
    if told.starts_with("message") {
        session.ws_upgrade(core, &[], 1).unwrap();
        session.ws_opened();
    }
}

/// Upgrades, and answers each message with itself.
fn echo(session: &mut Session, core: &Core, told: &str) {
    silent(session, core, told);
    if let Some(text) = told.strip_prefix("text ") {
        _ = session.ws_send(core, WsOp::Text, text.as_bytes());
    }
}

fn opened(limits: Limits, program: fn(&mut Session, &Core, &str)) -> Bench {
    let mut bench = Bench::with_limits(limits, program);
    bench.arrives(UPGRADE);
    assert_eq!(bench.statuses(), [101]);
    assert!(bench.session.is_websocket() && bench.reads);
    bench.wire.clear();
    bench.told.clear();
    bench
}

fn plain() -> Bench {
    opened(Limits::default(), silent)
}

fn by(role: Role, op: WsOp, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    write(&mut bytes, role, op, payload);
    bytes.to_vec()
}

/// A frame of the peer's.
fn frame(op: WsOp, payload: impl AsRef<[u8]>) -> Vec<u8> {
    by(Role::Client, op, payload.as_ref())
}

/// A frame of ours.
fn ours(op: WsOp, payload: impl AsRef<[u8]>) -> Vec<u8> {
    by(Role::Server, op, payload.as_ref())
}

fn close(code: u16) -> Vec<u8> {
    frame(WsOp::Close, code.to_be_bytes())
}

fn our_close(code: u16) -> Vec<u8> {
    ours(WsOp::Close, code.to_be_bytes())
}

fn cuts(bench: &Bench) -> Vec<String> {
    let report = bench.core.account().report(Duration::ZERO);
    report.cut.iter().map(|cut| format!("{} {} {}", cut.kind, cut.name, cut.age.as_millis())).collect()
}

#[test]
fn the_peers_close_is_echoed_and_the_connection_ends() {
    for (code, payload) in [(1000, &b"\x03\xe8bye"[..]), (4999, b"\x13\x87bye"), (1005, b"")] {
        let mut bench = plain();
        bench.arrives(
            [frame(WsOp::Text, "last"), frame(WsOp::Close, payload), frame(WsOp::Text, "x")].concat(),
        );
        let reason = if payload.is_empty() { "" } else { "bye" };
        assert_eq!(bench.told, ["text last", &format!("end {code} {reason}"), "close"]);
        assert_eq!(bench.wire, ours(WsOp::Close, &payload[..payload.len().min(2)]));
        assert!(bench.lingers, "the server ends its side first (RFC 6455 §7.1.1)");
        bench.peer_ends();
        assert_eq!(bench.end, Some(End::Closed));
        assert_eq!(cuts(&bench), [""; 0]);
    }
}

#[test]
fn the_program_may_have_its_say_before_the_echo_and_close_in_its_own_way() {
    let mut bench = opened(Limits::default(), |session, core, told| {
        silent(session, core, told);
        if told.starts_with("end") {
            session.ws_send(core, WsOp::Text, b"one more").unwrap();
            session.ws_close(core, 3000, "mine").unwrap();
            assert!(matches!(session.ws_send(core, WsOp::Text, b"x"), Err(SendError::SaidClose)));
        }
    });
    bench.arrives(close(1000));
    assert_eq!(bench.wire, [ours(WsOp::Text, "one more"), ours(WsOp::Close, b"\x0b\xb8mine")].concat());
    assert!(bench.lingers);
}

#[test]
fn our_close_waits_for_the_peers_in_which_what_he_sent_before_it_is_told() {
    let mut bench = plain();
    bench.at(500).does(|session, core| session.ws_close(core, 1000, "").unwrap());
    assert_eq!((bench.wire.clone(), bench.end, bench.lingers), (our_close(1000), None, false));
    assert_eq!(bench.wakes_at(), Some(10_500));
    bench.at(600).arrives([frame(WsOp::Text, "crossed"), frame(WsOp::Ping, "?")].concat());
    assert_eq!(bench.wire, our_close(1000), "behind it comes nothing, a pong neither");
    bench.arrives(close(1000));
    assert_eq!(bench.told, ["text crossed", "ping ?", "end 1000 ", "close"]);
    assert!(bench.lingers);
}

#[test]
fn a_close_without_an_answer_has_its_time() {
    let mut bench = plain();
    bench.at(500).does(|session, core| session.ws_close(core, 1000, "").unwrap());
    // Words are none.
    bench.at(9000).arrives(frame(WsOp::Text, "words"));
    assert_eq!(bench.wakes_at(), Some(10_500));
    bench.ticks_at(10_500);
    assert_eq!(
        bench.told,
        ["text words", "error the WebSocket peer did not answer our Close in time", "close"]
    );
    assert!(bench.lingers);
    assert_eq!(cuts(&bench), [""; 0], "nobody stops");
}

#[test]
fn a_close_that_has_not_gone_is_not_late() {
    let mut bench = plain();
    bench.window = 0;
    bench.does(|session, core| session.ws_close(core, 1000, "").unwrap());
    assert_eq!(bench.wakes_at(), Some(60_000), "the peer takes nothing: that has its own limit");
    bench.window = usize::MAX;
    bench.at(20_000).does(|_, _| {});
    assert_eq!(bench.wakes_at(), Some(30_000));
}

#[test]
fn an_end_without_a_close_is_an_error() {
    let amid = &frame(WsOp::Text, "half")[..8];
    for before in [&b""[..], amid] {
        let mut bench = plain();
        bench.arrives(before).peer_ends();
        assert_eq!(bench.told, ["error the WebSocket ended without a Close (1006)", "close"]);
        assert_eq!((bench.end, bench.wire.len()), (Some(End::Closed), 0));
    }
    // Behind our Close it is a way to answer.
    let mut bench = plain();
    bench.does(|session, core| session.ws_close(core, 1000, "").unwrap()).peer_ends();
    assert_eq!((bench.told.as_slice(), bench.end), (&["close".to_owned()][..], Some(End::Closed)));
    // What waits for him is sent.
    let mut bench = plain();
    bench.window = 1;
    bench.does(|session, core| session.ws_send(core, WsOp::Text, b"answer").unwrap()).peer_ends();
    assert_eq!(bench.end, None);
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!((bench.wire.clone(), bench.end), (ours(WsOp::Text, "answer"), Some(End::Closed)));
}

#[test]
fn what_is_no_frame_is_told_answered_and_the_end() {
    let unmasked = by(Role::Server, WsOp::Text, b"x");
    let large = frame(WsOp::Binary, [0; 101]);
    let table: [(&[u8], u16, &str); 4] = [
        (&unmasked, 1002, "not masked"),
        (&frame(WsOp::Text, b"\xff"), 1007, "not UTF-8"),
        (&large, 1009, "larger than ws_message_bytes"),
        (&large[..8], 1009, "larger than ws_message_bytes"),
    ];
    for (bytes, code, word) in table {
        let mut bench = opened(Limits { ws_message_bytes: 100, ..Limits::default() }, echo);
        bench.arrives([&frame(WsOp::Text, "before"), bytes, &frame(WsOp::Text, "behind")].concat());
        assert_eq!(bench.wire, [ours(WsOp::Text, "before"), our_close(code)].concat());
        assert_eq!((bench.told[0].as_str(), bench.told.len()), ("text before", 3), "{:?}", bench.told);
        assert!(bench.told[1].starts_with("error ") && bench.told[1].contains(word), "{:?}", bench.told);
        assert!(bench.lingers);
    }
}

#[test]
fn pings_are_answered() {
    let mut bench = plain();
    bench.arrives([frame(WsOp::Ping, "a"), frame(WsOp::Pong, "b"), frame(WsOp::Ping, [b'c'; 125])].concat());
    assert_eq!(bench.wire, [ours(WsOp::Pong, "a"), ours(WsOp::Pong, [b'c'; 125])].concat());
    assert_eq!(bench.told, ["ping a", "pong b", &format!("ping {}", "c".repeat(125))]);
}

#[test]
fn a_message_that_is_begun_has_to_go_on_and_silence_has_no_limit() {
    let mut bench = plain();
    assert_eq!(bench.wakes_at(), None);
    let message = frame(WsOp::Text, "message");
    bench.at(1000).arrives(&message[..1]);
    assert_eq!(bench.wakes_at(), Some(31_000));
    bench.at(20_000).arrives(&message[1..9]);
    assert_eq!(bench.wakes_at(), Some(50_000));
    bench.at(49_000).arrives(&message[9..]);
    assert_eq!((bench.told.as_slice(), bench.wakes_at()), (&["text message".to_owned()][..], None));
    // Between two fragments, too.
    let mut fragment = frame(WsOp::Text, "frag");
    fragment[0] &= 0x7f;
    bench.at(50_000).arrives(fragment).ticks_at(80_000);
    assert_eq!(bench.wire, our_close(1008));
    assert!(bench.told[1].contains("did not come in time") && bench.lingers, "{:?}", bench.told);
}

#[test]
fn a_silent_peer_is_asked_if_the_program_wishes() {
    let limits = Limits { ws_ping: Some(Duration::from_secs(20)), ..Limits::default() };
    let mut bench = opened(limits.clone(), silent);
    assert_eq!(bench.wakes_at(), Some(20_000));
    bench.at(5000).arrives(frame(WsOp::Text, "x"));
    assert_eq!(bench.wakes_at(), Some(25_000));
    bench.ticks_at(25_000);
    assert_eq!((bench.wire.clone(), bench.wakes_at()), (ours(WsOp::Ping, ""), Some(45_000)));
    bench.at(44_000).arrives(frame(WsOp::Pong, ""));
    assert_eq!(bench.wakes_at(), Some(64_000));
    bench.ticks_at(64_000).ticks_at(84_000);
    assert_eq!(bench.wire, [ours(WsOp::Ping, ""), ours(WsOp::Ping, ""), our_close(1011)].concat());
    assert!(bench.told[2].contains("did not answer a ping") && bench.lingers, "{:?}", bench.told);
    // Whom we do not read we do not call silent.
    let mut full = opened(Limits { send_pause: 10, ..limits }, silent);
    full.window = 0;
    full.does(|session, core| session.ws_send(core, WsOp::Text, &[b'x'; 20]).unwrap());
    assert_eq!(full.wakes_at(), Some(60_000));
}

#[test]
fn who_does_not_take_what_he_is_sent_is_not_told_of_and_nothing_is_lost() {
    let mut bench = opened(Limits { send_pause: 10, ..Limits::default() }, echo);
    bench.window = 0;
    let messages: Vec<u8> = (0..5).flat_map(|index| frame(WsOp::Text, format!("message {index}"))).collect();
    bench.arrives(&messages);
    assert_eq!(bench.told, ["text message 0"], "its answer waits");
    assert!(!bench.reads && bench.session.is_full(&bench.core.limits));
    assert_eq!(bench.session.consume(10), 0, "frames are not the program's");
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!(bench.told.len(), 5, "{:?}", bench.told);
    assert!(bench.reads && bench.session.received_len() == 0);
    let echoed: Vec<u8> = (0..5).flat_map(|index| ours(WsOp::Text, format!("message {index}"))).collect();
    assert_eq!(bench.wire, echoed);
}

#[test]
fn nothing_is_told_before_it_is_open() {
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("message") {
            session.ws_upgrade(core, &[], 1).unwrap();
        }
    });
    bench.arrives([UPGRADE.as_bytes(), &frame(WsOp::Text, "early")].concat()).peer_ends();
    assert_eq!((bench.statuses(), bench.told.len(), bench.end), (vec![101], 2, None));
    bench.enters(Stage::Draining);
    assert_eq!((bench.wakes_at(), bench.statuses(), bench.told.len()), (None, vec![101], 2));
    // A read may be under way when another thread upgrades.
    let now = bench.instant(0);
    assert!(bench.session.arrived(&bench.core, now, &frame(WsOp::Text, "later")).is_none());
    assert!(bench.session.further(&bench.core).is_none());
    bench.does(|session, _| session.ws_opened());
    assert_eq!(bench.told[2..4], ["text early", "text later"]);
    assert_eq!(bench.end, Some(End::Closed));
}

#[test]
fn a_request_answered_or_not_whole_or_none_is_no_websocket() {
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("headers POST") {
            assert!(matches!(session.ws_upgrade(core, &[], 1), Err(UpgradeError::NotWhole)));
        }
    });
    bench.does(|session, core| {
        assert!(matches!(session.ws_upgrade(core, &[], 1), Err(UpgradeError::Answered)));
    });
    bench.arrives("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").arrives("hello");
    bench.does(|session, core| {
        assert!(matches!(session.ws_upgrade(core, &[], 1), Err(UpgradeError::NoUpgrade { .. })));
        assert!(matches!(session.ws_upgrade(core, &[], 1), Err(UpgradeError::Answered)));
    });
    assert_eq!(bench.statuses(), [426]);
    // Later, too, until the body is there.
    let mut bench = Bench::http(|_, _, _| {});
    bench.arrives(UPGRADE.replace("Host", "Content-Length: 1\r\nHost"));
    bench.does(|session, core| {
        assert!(matches!(session.ws_upgrade(core, &[], 1), Err(UpgradeError::NotWhole)));
    });
    bench.arrives("x").does(|session, core| _ = session.ws_upgrade(core, &[], 1).unwrap());
    assert_eq!(bench.statuses(), [101]);
    let mut raw = Bench::raw(Limits::default(), |_, _, _| {});
    raw.does(|session, core| {
        assert!(matches!(session.ws_upgrade(core, &[], 1), Err(UpgradeError::NotHttp)));
        assert!(matches!(session.ws_send(core, WsOp::Text, b""), Err(SendError::NotWebSocket)));
    });
}

#[test]
fn d6_the_drain_says_1001_and_awaits_the_answer() {
    let mut bench = opened(Limits::default(), echo);
    bench.at(1000).enters(Stage::Draining);
    assert_eq!((bench.wire.clone(), bench.end, bench.lingers), (our_close(1001), None, false));
    assert_eq!(bench.wakes_at(), Some(11_000));
    bench.at(2000).arrives([frame(WsOp::Text, "crossed"), close(1001)].concat());
    assert_eq!(bench.told, ["text crossed", "end 1001 ", "close"]);
    assert!(bench.lingers);
    assert_eq!(cuts(&bench), [""; 0]);
}

#[test]
fn d6_the_last_answer_and_1001_go_together() {
    let mut bench = opened(Limits::default(), echo);
    let now = bench.at(1000).instant(1000);
    bench.core.enter(Stage::Draining);
    _ = bench.session.enter(&bench.core, now, Stage::Draining);
    let answers = |session: &mut Session, core: &Core, step: Option<Step>| {
        let Some(Step::WsMessage(message)) = step else { panic!("a message, and not {step:?}") };
        session.ws_send(core, WsOp::Text, message.data()).unwrap();
        session.says_last(core, now);
        let sent = session.to_send().to_vec();
        session.sent(now, sent.len());
        sent
    };
    let Bench { core, session, .. } = &mut bench;
    let both = [frame(WsOp::Text, "first"), frame(WsOp::Text, "second")].concat();
    let step = session.arrived(core, now, &both);
    assert_eq!(answers(session, core, step), ours(WsOp::Text, "first"), "another waits for its answer");
    let Next::Tell(step) = session.next(core, now) else { panic!("the other") };
    let last = answers(session, core, Some(step));
    assert_eq!(last, [ours(WsOp::Text, "second"), our_close(1001)].concat());
}

#[test]
fn d6_what_was_held_back_is_answered_before_the_close() {
    let mut bench = opened(Limits { send_pause: 10, ..Limits::default() }, echo);
    bench.window = 0;
    bench.arrives([frame(WsOp::Text, "a long message"), frame(WsOp::Text, "held back")].concat());
    bench.at(1000).enters(Stage::Draining);
    assert_eq!((bench.told.len(), bench.wakes_at()), (1, Some(60_000)), "the peer has to take it first");
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    let answers = [ours(WsOp::Text, "a long message"), ours(WsOp::Text, "held back"), our_close(1001)];
    assert_eq!(bench.wire, answers.concat());
}

#[test]
fn d6_who_does_not_answer_in_the_drain_is_cut() {
    let mut bench = plain();
    bench.at(1000).enters(Stage::Draining).ticks_at(11_000);
    assert!(bench.lingers);
    assert_eq!(cuts(&bench), ["websocket /ws 11000"]);

    let mut bench = plain();
    bench.at(1000).enters(Stage::Draining).at(1500).enters(Stage::Cut);
    assert_eq!(bench.end, Some(End::Closed));
    assert_eq!(cuts(&bench), ["websocket /ws 1500"]);

    let mut bench = plain();
    bench.window = 0;
    bench.at(1000).enters(Stage::Draining).at(1500).enters(Stage::Cut);
    assert_eq!(bench.end, Some(End::Reset), "half a frame is no frame");
    assert_eq!(cuts(&bench), ["websocket /ws 1500"]);

    let mut bench = plain();
    bench.arrives(close(1000)).at(1000).enters(Stage::Draining).at(1500).enters(Stage::Cut);
    assert_eq!((bench.end, cuts(&bench).len()), (Some(End::Closed), 0), "it had parted");
}

#[test]
fn d6_closes_are_spread_and_the_deadline_ends_that() {
    let spread = Limits { ws_close_spread: Duration::from_secs(10), ..Limits::default() };
    let mut bench = opened(spread.clone(), echo);
    bench.at(1000).enters(Stage::Draining);
    assert_eq!((bench.wire.len(), bench.wakes_at()), (0, Some(7180)), "the golden part of it");
    bench.at(5000).arrives(frame(WsOp::Text, "meanwhile"));
    assert_eq!(bench.wire, ours(WsOp::Text, "meanwhile"));
    bench.wire.clear();
    bench.ticks_at(7181);
    assert_eq!(bench.wire, our_close(1001));

    let mut bench = opened(spread, echo);
    bench.at(1000).enters(Stage::Draining).at(2000).enters(Stage::Cut);
    assert_eq!(bench.wire, our_close(1001));
    assert!(bench.lingers);
    assert_eq!(cuts(&bench), ["websocket /ws 2000"]);
}

#[test]
fn d2_an_upgrade_in_the_drain_is_a_503() {
    let mut bench = Bench::http(|session, core, told| {
        if told.starts_with("message") {
            assert!(
                session
                    .ws_upgrade(core, &[("X\n", "")], 1)
                    .is_err_and(|error| { matches!(error, UpgradeError::Header(_)) })
            );
            assert!(matches!(session.ws_upgrade(core, &[], 1), Err(UpgradeError::Stopping)));
        }
    });
    bench.at(1000).enters(Stage::Draining).arrives(UPGRADE);
    assert_eq!(bench.statuses(), [503]);
    assert!(bench.lingers);
}

#[test]
fn a_drain_by_the_program_says_1000_and_tells_nothing_more() {
    let mut bench = plain();
    bench.does(|session, core| {
        session.ws_send(core, WsOp::Text, b"bye").unwrap();
        session.drain(core);
    });
    assert_eq!(bench.wire, [ours(WsOp::Text, "bye"), our_close(1000)].concat());
    assert!(bench.reads && !bench.lingers);
    bench.arrives([frame(WsOp::Text, "crossed"), close(1000)].concat());
    assert_eq!(bench.told, ["close"]);
    assert!(bench.lingers);

    let mut late = plain();
    late.does(Session::drain).ticks_at(10_000);
    assert!(late.lingers && late.told.last().is_some_and(|told| told == "close"), "{:?}", late.told);

    let mut failed = plain();
    failed.does(Session::drain).arrives(b"nonsense");
    assert!(failed.lingers);
}

#[test]
fn a_drain_finds_the_close_in_what_was_held_back() {
    let mut bench = opened(Limits { send_pause: 10, ..Limits::default() }, echo);
    bench.window = 0;
    bench.arrives([frame(WsOp::Text, "a long message"), frame(WsOp::Text, "held"), close(1000)].concat());
    assert_eq!(bench.told, ["text a long message"]);
    bench.does(Session::drain);
    bench.window = usize::MAX;
    bench.does(|_, _| {});
    assert_eq!(bench.wire, [ours(WsOp::Text, "a long message"), our_close(1000)].concat());
    assert!(bench.lingers);
}

#[test]
fn a_panic_says_1011() {
    let mut bench = plain();
    bench.does(Session::panicked);
    assert_eq!(bench.wire, our_close(1011));
    assert!(bench.lingers);
}

#[test]
fn a_close_at_once_waits_for_nothing() {
    let mut bench = plain();
    bench.does(|session, _| session.close());
    assert_eq!((bench.end, bench.wire.len()), (Some(End::Closed), 0));
    let mut bench = plain();
    bench.window = 1;
    bench.does(|session, core| {
        session.ws_send(core, WsOp::Text, b"half").unwrap();
        session.close();
        assert!(matches!(session.ws_send(core, WsOp::Text, b""), Err(SendError::Closed(_))));
    });
    assert_eq!(bench.end, Some(End::Reset));
}

#[test]
fn what_waits_to_be_sent_has_a_limit() {
    let mut bench = opened(Limits { send_bytes: 1000, ..Limits::default() }, silent);
    bench.window = 0;
    bench.does(|session, core| {
        session.ws_send(core, WsOp::Binary, &[0; 900]).unwrap();
        assert!(matches!(session.ws_send(core, WsOp::Binary, &[0; 90]), Err(SendError::Full { .. })));
        session.ws_close(core, 1000, "").unwrap();
    });
}

#[test]
fn an_idle_websocket_keeps_little() {
    let mut bench = Bench::http(echo);
    bench.arrives(UPGRADE.replace("/ws", &format!("/{}", "é".repeat(10_000))));
    for size in [10, 100_000, 1_000_000] {
        bench.arrives(frame(WsOp::Text, "x".repeat(size)));
        bench.wire.clear();
    }
    let kept = bench.session.ws_memory();
    assert!(kept <= 1536, "{kept} bytes");
}

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
        Happens::PeerEnds => {}
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
