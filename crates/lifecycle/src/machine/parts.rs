//! One test a rule, for components and exit work.

use super::Effect::{AbandonClose, CancelStart, Close, Cut, Enter, Exit, HeldUp, Skip, Tell, WakeAt};
use super::Input::{
    Abandoned, AtExit, Busy, Closed, GroupOpened, Idle, Ready, StartDropped, StartFailed, Started, Starting,
    Stop, Tick,
};
use super::Phase::{Closing, Draining, LameDuck, Running, Stopped};
use super::Verdict::{Clean, Cut as CutShort, Failed, Forced};
use super::Wish::Call;
use super::by_hand::{self, at, check, last, ms};
use super::{ComponentId, GroupId, Input, Late, Limits, Machine, Origin, ScopeId};

const A: ComponentId = ComponentId(0);
const B: ComponentId = ComponentId(1);
const C: ComponentId = ComponentId(2);
const D: ComponentId = ComponentId(3);
const WORK: ScopeId = ScopeId(0);

/// Short of the first notice to who holds up, which has a test of its own.
const GRACE: u64 = 4_500;
const DRAIN: u64 = 3_600;
const RESERVE: u64 = GRACE - DRAIN;
const LIMIT: u64 = 30_000;

fn machine() -> Machine {
    by_hand::machine(GRACE, 0, 1, LIMIT)
}

fn starting(component: ComponentId) -> Input {
    Starting { component, group: GroupId::ROOT, start: ms(60_000), close: None }
}

fn closed(component: ComponentId) -> Input {
    Closed { component, well: true }
}

fn force(time: u64) -> (u64, Input) {
    (time, Input::Signal { signal: 15, origin: Origin::Other, at: at(time) })
}

/// A machine with these started, in this order.
fn with(components: &[ComponentId]) -> Machine {
    let mut machine = machine();
    last(&mut machine, components.iter().flat_map(|id| [(0, starting(*id)), (0, Started(*id))]));
    last(&mut machine, [(0, Ready)]);
    machine
}

/// The order in which everything closes, if each closes at once.
fn order(machine: &mut Machine) -> Vec<ComponentId> {
    let mut effects = last(machine, [(0, Stop(Call))]);
    let mut order = Vec::new();
    while let Some(next) = effects.iter().find_map(|effect| match effect {
        Close(component, _) => Some(*component),
        _ => None,
    }) {
        order.push(next);
        effects = last(machine, [(0, closed(next))]);
    }
    assert_eq!(effects.last(), Some(&Exit(Clean)));
    order
}

#[test]
fn l3_a_stop_lets_a_start_finish_and_starts_nothing_further() {
    let mut machine = with(&[A]);
    last(&mut machine, [(0, starting(B))]);
    check(&mut machine, &[(0, Stop(Call), &[Enter(LameDuck), Enter(Draining), WakeAt(at(DRAIN))])]);
    check(&mut machine, &[(1, starting(C), &[])]);
    assert!(!machine.has(C));
    let left = GRACE - 100;
    let closing = [Enter(Closing), Close(B, at(100 + left / 2)), WakeAt(at(100 + left / 2))];
    check(&mut machine, &[(100, Started(B), &closing)]);
    check(&mut machine, &[(200, closed(B), &[Close(A, at(GRACE)), WakeAt(at(GRACE))])]);
    check(&mut machine, &[(300, closed(A), &[Enter(Stopped), Exit(Clean)])]);
}

#[test]
fn l3_a_start_has_its_timeout_and_then_is_the_cause_of_a_stop() {
    let mut machine = with(&[A]);
    check(&mut machine, &[(0, starting(B), &[WakeAt(at(60_000))]), (59_999, Tick, &[])]);
    let effects = last(&mut machine, [(60_000, Tick)]);
    let begun = [CancelStart(B, Late::Timeout), Enter(LameDuck), Enter(Draining), Enter(Closing)];
    assert!(effects.starts_with(&begun), "{effects:?}");
    check(&mut machine, &[(60_001, Started(B), &[]), (60_001, closed(A), &[Enter(Stopped), Exit(Failed)])]);
}

#[test]
fn l3_at_the_drain_deadline_a_start_is_given_up() {
    let mut machine = with(&[A]);
    last(&mut machine, [(0, starting(B)), (0, Stop(Call))]);
    assert_eq!(last(&mut machine, [(DRAIN - 1, Tick)]), []);
    let effects = last(&mut machine, [(DRAIN, Tick)]);
    assert_eq!(effects[..3], [Enter(Closing), CancelStart(B, Late::Stop), Close(A, at(GRACE))]);
    assert_eq!(last(&mut machine, [(DRAIN, closed(A))]).last(), Some(&Exit(Failed)));
}

#[test]
fn l3_a_start_that_fails_or_is_dropped() {
    let mut failed = machine();
    last(&mut failed, [(0, starting(A)), (0, starting(B)), (0, Started(A))]);
    let effects = last(&mut failed, [(0, StartFailed(B))]);
    assert_eq!(effects[..3], [Enter(Running), Enter(LameDuck), Enter(Draining)]);
    assert!(effects.contains(&Close(A, at(GRACE))));
    assert_eq!(last(&mut failed, [(0, closed(A))]).last(), Some(&Exit(Failed)));

    let mut dropped = machine();
    last(&mut dropped, [(0, starting(A))]);
    check(&mut dropped, &[(0, StartDropped(A), &[]), (0, StartFailed(A), &[])]);
    assert_eq!(last(&mut dropped, [(0, Stop(Call))]).last(), Some(&Exit(Clean)));
    // What has started can neither fail to start nor be dropped.
    let mut machine = with(&[A]);
    check(&mut machine, &[(0, StartFailed(A), &[]), (0, StartDropped(A), &[])]);
    assert_eq!(order(&mut machine), [A]);
}

#[test]
fn l4_the_order_of_closing() {
    assert_eq!(order(&mut with(&[A, B, C])), [C, B, A]);
    // The one whose start began first, though it ended last.
    let mut machine = machine();
    last(&mut machine, [(0, starting(A)), (0, starting(B)), (0, Started(B)), (0, Started(A))]);
    assert_eq!(order(&mut machine), [B, A]);
    // A group in a group, and one beside it.
    let groups: [(_, &[ComponentId]); 3] =
        [((1, 0, 2), &[C, B, D, A]), ((1, 1, 2), &[C, B, D, A]), ((2, 0, 1), &[B, C, D, A])];
    for ((first, _, second), expected) in groups {
        let mut machine = with(&[A]);
        last(
            &mut machine,
            [(1, 0), (2, 0)]
                .map(|(group, parent)| (0, GroupOpened { group: GroupId(group), parent: GroupId(parent) })),
        );
        for (component, group) in [(B, first), (C, second), (D, 0)] {
            let group = GroupId(group);
            last(&mut machine, [(0, Starting { component, group, start: ms(1), close: None })]);
            last(&mut machine, [(0, Started(component))]);
        }
        assert_eq!(order(&mut machine), expected, "B in {first}, C in {second}");
    }
}

/// Minutes, if each input or each close looked at all of them.
#[test]
fn l4_programs_may_have_many_components() {
    const MANY: usize = 50_000;
    let mut machine = machine();
    let opened = GroupOpened { group: GroupId(1), parent: GroupId::ROOT };
    last(&mut machine, [(0, opened)]);
    for id in 0..MANY {
        let (component, group) = (ComponentId(id), GroupId(id % 2));
        last(&mut machine, [(0, Starting { component, group, start: ms(1), close: None })]);
        last(&mut machine, [(0, Started(component))]);
    }
    // What is in the group, and then what is beside it.
    let expected = (0..MANY).rev().filter(|id| id % 2 == 1).chain((0..MANY).rev().filter(|id| id % 2 == 0));
    assert!(order(&mut machine).into_iter().eq(expected.map(ComponentId)));
}

#[test]
fn l4_a_group_within_closes_before_the_group_around_it() {
    let mut machine = with(&[A]);
    let opened = [(1, 0), (2, 1)]
        .map(|(group, parent)| GroupOpened { group: GroupId(group), parent: GroupId(parent) });
    last(&mut machine, opened.map(|input| (0, input)));
    for (component, group) in [(B, 2), (C, 1), (D, 0)] {
        let group = GroupId(group);
        last(&mut machine, [(0, Starting { component, group, start: ms(1), close: None })]);
        last(&mut machine, [(0, Started(component))]);
    }
    assert_eq!(order(&mut machine), [B, C, D, A]);
}

#[test]
fn l4_one_that_runs_out_of_time_is_given_up_once_and_the_next_closes() {
    let mut machine = machine();
    last(&mut machine, [(0, starting(A)), (0, Started(A))]);
    let b = Starting { component: B, group: GroupId::ROOT, start: ms(1), close: Some(ms(500)) };
    last(&mut machine, [(0, b), (0, Started(B))]);
    assert!(last(&mut machine, [(0, Stop(Call))]).contains(&Close(B, at(500))));
    assert_eq!(last(&mut machine, [(499, Tick)]), []);
    let next = [AbandonClose(B, Late::Timeout), Close(A, at(GRACE)), WakeAt(at(GRACE))];
    check(&mut machine, &[(500, Tick, &next), (501, closed(B), &[])]);
    check(&mut machine, &[(502, closed(A), &[Enter(Stopped), Exit(Failed)])]);
}

#[test]
fn l4_a_timeout_goes_no_further_than_what_is_left() {
    let mut machine = machine();
    let a = Starting { component: A, group: GroupId::ROOT, start: ms(1), close: Some(ms(60_000)) };
    last(&mut machine, [(0, a), (0, Started(A)), (0, starting(B)), (0, Started(B))]);
    last(&mut machine, [(0, Stop(Call))]);
    check(
        &mut machine,
        &[(10, Closed { component: B, well: false }, &[Close(A, at(GRACE)), WakeAt(at(GRACE))])],
    );
    let over = [AbandonClose(A, Late::Timeout), Enter(Stopped), Exit(Failed)];
    check(&mut machine, &[(GRACE, Tick, &over)]);
}

#[test]
fn l4_at_the_hard_deadline_the_rest_is_skipped() {
    let mut machine = machine();
    let b = Starting { component: B, group: GroupId::ROOT, start: ms(1), close: Some(ms(60_000)) };
    last(&mut machine, [(0, starting(A)), (0, Started(A)), (0, b), (0, Started(B)), (0, Stop(Call))]);
    let over = [AbandonClose(B, Late::Timeout), Skip(A), Enter(Stopped), Exit(Failed)];
    check(&mut machine, &[(GRACE, Tick, &over)]);
}

#[test]
fn l5_components_wait_for_what_was_cut_to_unwind_a_quarter_of_the_time() {
    let unwind = DRAIN + RESERVE / 4;
    let mut waits = with(&[A]);
    last(&mut waits, [(0, Busy(WORK)), (0, Stop(Call))]);
    check(&mut waits, &[(DRAIN, Tick, &[Enter(Closing), Cut(WORK), WakeAt(at(unwind))])]);
    let mut unwinds = waits.clone();
    check(&mut unwinds, &[(DRAIN + 1, Idle(WORK), &[Close(A, at(GRACE)), WakeAt(at(GRACE))])]);
    check(&mut waits, &[(unwind - 1, Tick, &[]), (unwind, Tick, &[Close(A, at(GRACE)), WakeAt(at(GRACE))])]);
    // It is still waited for when everything is closed.
    check(&mut waits, &[(unwind, closed(A), &[]), (GRACE, Tick, &[Enter(Stopped), Exit(CutShort)])]);
}

#[test]
fn l5_what_did_not_unwind_in_its_time_is_not_given_a_pass_later() {
    let mut machine = with(&[A, B]);
    let unwind = DRAIN + RESERVE / 4;
    last(&mut machine, [(0, Busy(WORK)), (0, Stop(Call)), (DRAIN, Tick), (unwind, Tick)]);
    check(&mut machine, &[(unwind + 200, closed(B), &[Close(A, at(GRACE)), WakeAt(at(GRACE))])]);
}

#[test]
fn l8_exit_work_comes_before_the_components_the_latest_first() {
    let mut machine = with(&[A]);
    let exit = |component| AtExit { component, close: None };
    last(&mut machine, [(0, exit(B)), (0, exit(C))]);
    let effects = last(&mut machine, [(0, Stop(Call))]);
    assert!(effects.contains(&Close(C, at(GRACE / 2))), "{effects:?}");
    // More of it is taken until a component closes.
    assert_eq!(last(&mut machine, [(0, exit(D))]), []);
    assert!(last(&mut machine, [(0, closed(C))]).contains(&Close(D, at(GRACE / 2))));
    assert!(last(&mut machine, [(0, closed(D))]).contains(&Close(B, at(GRACE / 2))));
    assert!(last(&mut machine, [(0, closed(B))]).contains(&Close(A, at(GRACE))));
    let late = ComponentId(9);
    assert_eq!(last(&mut machine, [(0, exit(late))]), []);
    assert!(!machine.has(late));
}

#[test]
fn l9_a_forced_end_skips_components_and_gives_exit_work_a_second() {
    let mut machine = with(&[A, B]);
    let exit = AtExit { component: C, close: None };
    last(&mut machine, [(0, exit), (0, starting(D)), (0, Busy(WORK))]);
    let forced = [
        Enter(LameDuck),
        Enter(Draining),
        Tell(WORK),
        Enter(Closing),
        Cut(WORK),
        CancelStart(D, Late::Stop),
        Skip(B),
        Skip(A),
        Close(C, at(1_100)),
        WakeAt(at(1_100)),
    ];
    assert_eq!(last(&mut machine, [force(100)]), forced);
    let mut done = machine.clone();
    let end = [Enter(Stopped), Exit(Forced { signal: 15 })];
    check(&mut done, &[(200, closed(C), &end)]);
    assert_eq!(last(&mut machine, [(1_099, Tick)]), []);
    let over = [AbandonClose(C, Late::Timeout), end[0], end[1]];
    check(&mut machine, &[(1_100, Tick, &over)]);
}

#[test]
fn l9_a_forced_end_goes_on_without_what_is_closing() {
    let mut machine = with(&[A, B]);
    last(&mut machine, [(0, Stop(Call))]);
    let forced = [AbandonClose(B, Late::Stop), Skip(A), Enter(Stopped), Exit(Forced { signal: 15 })];
    assert_eq!(last(&mut machine, [force(1)]), forced);
}

#[test]
fn a_dropped_lifecycle_closes_nothing() {
    let mut machine = with(&[A, B]);
    last(&mut machine, [(0, AtExit { component: C, close: None }), (0, Stop(Call))]);
    let over = [AbandonClose(C, Late::Stop), Skip(B), Skip(A), Enter(Stopped), Exit(CutShort)];
    assert_eq!(last(&mut machine, [(1, Abandoned)]), over);
}

#[test]
fn l15_who_holds_up_is_told_after_5_s_and_then_every_10() {
    let limits = Limits {
        grace: ms(60_000),
        lame_duck: ms(6_000),
        lame_duck_quiet: ms(0),
        max_attempts: 1,
        hard_limit: ms(0),
    };
    let mut machine = Machine::new(limits, at(0));
    last(&mut machine, [(0, Ready), (0, Busy(WORK)), (0, Stop(Call))]);
    // Nobody is held up in a lame duck.
    check(&mut machine, &[(5_000, Tick, &[])]);
    check(&mut machine, &[(6_000, Tick, &[Enter(Draining), Tell(WORK), WakeAt(at(15_000))])]);
    check(&mut machine, &[(15_000, Tick, &[HeldUp, WakeAt(at(25_000))]), (24_999, Tick, &[])]);
    // One that comes late is told once.
    check(&mut machine, &[(44_000, Tick, &[HeldUp, WakeAt(at(45_000))])]);
    check(&mut machine, &[(45_000, Tick, &[HeldUp, WakeAt(at(55_000))])]);
}
