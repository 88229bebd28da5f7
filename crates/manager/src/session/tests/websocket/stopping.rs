//! What a stop makes of them (rules D2 and D6).

use super::super::super::{Next, Session, Step};
use super::super::bench::{Bench, End};
use super::{UPGRADE, close, cuts, echo, frame, opened, our_close, ours, plain};
use crate::Limits;
use crate::core::{Core, Stage};
use crate::websocket::{UpgradeError, WsOp};
use std::time::Duration;

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
        session.says_last(core, now, false);
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
fn d6_what_the_kernel_has_is_read_before_the_close() {
    let mut bench = opened(Limits::default(), echo);
    bench.more = true;
    bench.at(1000).enters(Stage::Draining).arrives(frame(WsOp::Text, "of many"));
    assert_eq!(bench.wire, ours(WsOp::Text, "of many"));
    bench.more = false;
    bench.at(1001).arrives(frame(WsOp::Text, "the last"));
    assert_eq!(
        bench.wire,
        [ours(WsOp::Text, "of many"), ours(WsOp::Text, "the last"), our_close(1001)].concat()
    );

    // One who never stops.
    let mut bench = plain();
    bench.more = true;
    bench.at(1000).enters(Stage::Draining);
    assert_eq!((bench.wire.len(), bench.wakes_at()), (0, Some(1250)));
    bench.at(1250).arrives(frame(WsOp::Text, "more"));
    assert_eq!(bench.wire, our_close(1001));
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
