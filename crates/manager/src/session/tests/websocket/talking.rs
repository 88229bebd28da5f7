//! Opening, messages, pings, and what they may take of time and memory.

use super::super::bench::{Bench, End};
use super::{UPGRADE, echo, frame, opened, our_close, ours, plain, silent};
use crate::Limits;
use crate::core::Stage;
use crate::error::SendError;
use crate::websocket::{UpgradeError, WsOp};
use std::time::Duration;

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
