//! The closing handshake, and other ends.

use super::super::super::Session;
use super::super::bench::End;
use super::{by, close, cuts, echo, frame, opened, our_close, ours, plain, silent};
use crate::Limits;
use crate::core::Core;
use crate::error::SendError;
use crate::websocket::{Role, WsOp};

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
    // Nobody is left to be sent anything.
    let mut bench = plain();
    bench.window = 1;
    bench.does(|session, core| session.ws_send(core, WsOp::Text, b"answer").unwrap()).breaks(true);
    assert_eq!(bench.told, ["error the WebSocket broke without a Close (1006)", "close"]);
    assert_eq!(bench.end, Some(End::Closed));
    let mut bench = plain();
    bench.does(|session, core| session.ws_close(core, 1000, "").unwrap()).breaks(false);
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
fn nothing_is_said_to_whom_it_broke_with_though_the_program_wants_the_end() {
    let drains = |session: &mut Session, core: &Core, told: &str| {
        silent(session, core, told);
        if told.starts_with("error") {
            session.drain(core);
            assert!(matches!(session.ws_send(core, WsOp::Text, b"x"), Err(SendError::SaidClose)));
        }
    };
    let mut bench = opened(Limits::default(), drains);
    bench.window = 0;
    bench.does(|session, core| session.ws_send(core, WsOp::Text, b"answer").unwrap()).breaks(true);
    assert_eq!((bench.told.last().map(String::as_str), bench.end), (Some("close"), Some(End::Closed)));
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
