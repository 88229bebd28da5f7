//! L4 of groups that close before the stop, one test a rule: 5 s for a group, the last of them for its components.

use super::Effect::{AbandonClose, CancelStart, Close, Cut, Enter, Exit, Skip, Tell, WakeAt};
use super::Input::{
    AtExit, Busy, BusyIn, CloseGroup, Closed, GroupOpened, Idle, Ready, Started, Starting, Stop, Tick,
};
use super::Phase::{Closing, Draining, LameDuck, Stopped};
use super::Verdict::{Clean, Cut as CutShort, Failed, Forced};
use super::Wish::Call;
use super::by_hand::{at, check, last};
use super::{ComponentId, GroupId, Input, Late, Limits, Machine, Origin, ScopeId};
use std::time::Duration;

/// In the first group, then one in the root whose number is that group's, one in the group within, one in the group
/// beside, and one to come.
const A: ComponentId = ComponentId(0);
const ROOT: ComponentId = ComponentId(1);
const B: ComponentId = ComponentId(2);
const BESIDE: ComponentId = ComponentId(3);
const NEW: ComponentId = ComponentId(4);

const FIRST: GroupId = GroupId(1);
const WITHIN: GroupId = GroupId(2);
const ASIDE: GroupId = GroupId(3);

const WORK: ScopeId = ScopeId(0);
const OTHER: ScopeId = ScopeId(1);

const DRAIN: u64 = 4_000;
const HARD: u64 = 5_000;
/// The stop's.
const GRACE: u64 = 10_000;

fn starting(component: ComponentId, group: GroupId) -> Input {
    Starting { component, group, start: Duration::from_secs(60), close: None }
}

fn closed(component: ComponentId) -> Input {
    Closed { component, well: true }
}

fn close(group: GroupId) -> Input {
    CloseGroup { group, within: Duration::from_millis(HARD) }
}

fn busy(scope: ScopeId, group: GroupId) -> Input {
    BusyIn { scope, group }
}

fn opened(group: GroupId, parent: GroupId) -> Input {
    GroupOpened { group, parent }
}

/// A program that is ready, with a component in each group.
fn machine() -> Machine {
    let limits = Limits {
        grace: Duration::from_millis(GRACE),
        lame_duck: Duration::ZERO,
        lame_duck_quiet: Duration::ZERO,
        max_attempts: 1,
        hard_limit: Duration::from_millis(GRACE),
    };
    let mut machine = Machine::new(limits, at(0));
    let groups = [(FIRST, GroupId::ROOT), (WITHIN, FIRST), (ASIDE, GroupId::ROOT)];
    last(&mut machine, groups.map(|(group, parent)| (0, opened(group, parent))));
    for (component, group) in [(A, FIRST), (ROOT, GroupId::ROOT), (B, WITHIN), (BESIDE, ASIDE)] {
        last(&mut machine, [(0, starting(component, group)), (0, Started(component))]);
    }
    last(&mut machine, [(0, Ready)]);
    machine
}

fn open(machine: &Machine) -> [bool; 4] {
    [GroupId::ROOT, FIRST, WITHIN, ASIDE].map(|group| machine.is_open(group))
}

fn over(machine: &Machine) -> [bool; 3] {
    [FIRST, WITHIN, ASIDE].map(|group| machine.is_over(group))
}

#[test]
fn an_idle_group_closes_at_once_and_alone_those_within_first() {
    let mut machine = machine();
    last(&mut machine, [(0, AtExit { component: NEW, close: None })]);
    assert_eq!(machine.members(FIRST), [B, A]);
    let within = [FIRST, ASIDE].map(|group| machine.groups_within(group).into_iter().collect::<Vec<_>>());
    assert_eq!(within, [vec![FIRST, WITHIN], vec![ASIDE]]);
    let begun = [Close(B, at(HARD / 2)), WakeAt(at(HARD / 2))];
    check(&mut machine, &[(0, close(FIRST), &begun), (50, close(FIRST), &[]), (50, close(WITHIN), &[])]);
    assert_eq!((open(&machine), over(&machine)), ([true, false, false, true], [false; 3]));
    check(&mut machine, &[(100, closed(B), &[Close(A, at(HARD)), WakeAt(at(HARD))]), (200, closed(A), &[])]);
    assert_eq!((open(&machine), over(&machine)), ([true, false, false, true], [true, true, false]));
    assert_eq!(
        (machine.members(FIRST), machine.members(ASIDE), machine.wake_at()),
        (vec![], vec![BESIDE], None)
    );

    let stop = last(&mut machine, [(300, Stop(Call))]);
    assert_eq!(
        stop[..4],
        [Enter(LameDuck), Enter(Draining), Enter(Closing), Close(NEW, at(300 + GRACE / 2))]
    );
    last(&mut machine, [(300, closed(NEW)), (300, closed(BESIDE))]);
    check(&mut machine, &[(300, closed(ROOT), &[Enter(Stopped), Exit(Clean)])]);
}

#[test]
fn what_would_begin_in_a_group_that_closes_or_is_closed_is_refused() {
    let mut machine = machine();
    last(&mut machine, [(0, close(FIRST)), (0, closed(B))]);
    for _ in 0..2 {
        for group in [FIRST, WITHIN, GroupId(9)] {
            last(&mut machine, [(0, starting(NEW, group))]);
            assert!(!machine.has(NEW), "in {group:?}");
        }
        last(&mut machine, [(0, opened(GroupId(5), FIRST)), (0, starting(NEW, GroupId(5)))]);
        assert!(!machine.is_open(GroupId(5)) && machine.is_over(GroupId(5)) && !machine.has(NEW));
        assert_eq!(last(&mut machine, [(0, busy(WORK, WITHIN))]), [Cut(WORK)]);
        last(&mut machine, [(0, Idle(WORK)), (0, closed(A))]);
    }
    last(&mut machine, [(0, opened(GroupId(9), GroupId(8)))]);
    assert!(!machine.is_open(GroupId(9)), "in one that there never was");
    last(&mut machine, [(0, opened(GroupId(5), ASIDE)), (0, starting(NEW, GroupId(5)))]);
    assert_eq!(machine.members(ASIDE), [NEW, BESIDE]);
}

#[test]
fn the_root_closes_with_the_program_and_in_closing_each_group_in_its_turn() {
    let mut machine = machine();
    check(&mut machine, &[(0, close(GroupId::ROOT), &[])]);
    assert_eq!(open(&machine), [true; 4]);
    assert!(last(&mut machine, [(0, Stop(Call))]).contains(&Close(BESIDE, at(GRACE / 2))));
    check(&mut machine, &[(1, close(FIRST), &[])]);
    assert_eq!(over(&machine), [false; 3]);
    last(&mut machine, [(2, closed(BESIDE)), (2, closed(B))]);
    assert_eq!(over(&machine), [false, true, true]);
    last(&mut machine, [(2, closed(A))]);
    assert_eq!(over(&machine), [true; 3]);
}

#[test]
fn the_work_of_the_group_is_told_and_awaited() {
    let mut machine = machine();
    last(&mut machine, [(0, busy(WORK, WITHIN)), (0, busy(OTHER, ASIDE)), (0, Busy(ScopeId(2)))]);
    let told = [Tell(WORK), WakeAt(at(100 + DRAIN))];
    let late = ScopeId(3);
    check(&mut machine, &[(100, close(FIRST), &told), (200, busy(late, FIRST), &[Tell(late)])]);
    check(&mut machine, &[(300, Idle(WORK), &[])]);
    let closes = Close(B, at(400 + (100 + HARD - 400) / 2));
    assert_eq!(last(&mut machine, [(400, Idle(late))])[..1], [closes]);
}

#[test]
fn who_was_told_by_a_group_within_is_not_told_again_and_who_left_is_not_told() {
    let mut machine = machine();
    last(
        &mut machine,
        [(0, busy(OTHER, FIRST)), (0, Idle(OTHER)), (0, Busy(OTHER)), (0, busy(WORK, WITHIN))],
    );
    check(&mut machine, &[(0, close(WITHIN), &[Tell(WORK), WakeAt(at(DRAIN))]), (10, close(FIRST), &[])]);
    // Each has its own deadline, and being cut is said once.
    let cut = [Cut(WORK), WakeAt(at(DRAIN + (HARD - DRAIN) / 4))];
    check(&mut machine, &[(DRAIN - 1, Tick, &[])]);
    assert_eq!(last(&mut machine, [(DRAIN, Tick)]), [cut[0], WakeAt(at(DRAIN + 10))]);
    assert_eq!(last(&mut machine, [(DRAIN + 10, Tick)]), [WakeAt(at(DRAIN + 10 + (HARD - DRAIN) / 4))]);
}

#[test]
fn at_its_drain_deadline_work_is_cut_and_starts_are_given_up() {
    let mut machine = machine();
    last(&mut machine, [(0, busy(WORK, WITHIN)), (0, starting(NEW, WITHIN)), (0, close(FIRST))]);
    let unwind = DRAIN + (HARD - DRAIN) / 4;
    let cut = [Cut(WORK), CancelStart(NEW, Late::Group), WakeAt(at(unwind))];
    check(
        &mut machine,
        &[(DRAIN - 1, Tick, &[]), (DRAIN, Tick, &cut), (DRAIN, busy(OTHER, FIRST), &[Cut(OTHER)])],
    );
    let half = unwind + (HARD - unwind) / 2;
    check(&mut machine, &[(unwind, Tick, &[Close(B, at(half)), WakeAt(at(half))])]);
    check(
        &mut machine,
        &[(half, Tick, &[AbandonClose(B, Late::Timeout), Close(A, at(HARD)), WakeAt(at(HARD))])],
    );
    check(&mut machine, &[(HARD, Tick, &[AbandonClose(A, Late::Timeout)])]);
    assert_eq!(over(&machine), [true, true, false]);
}

#[test]
fn a_start_holds_the_group_up() {
    let mut machine = machine();
    last(&mut machine, [(0, starting(NEW, FIRST))]);
    check(&mut machine, &[(0, close(FIRST), &[WakeAt(at(DRAIN))])]);
    assert_eq!(last(&mut machine, [(100, Started(NEW))])[..1], [Close(B, at(100 + (HARD - 100) / 2))]);
}

#[test]
fn a_group_without_components_waits_for_its_work_to_the_last() {
    let mut machine = machine();
    last(&mut machine, [(0, opened(GroupId(5), GroupId::ROOT)), (0, busy(WORK, GroupId(5)))]);
    check(&mut machine, &[(0, close(GroupId(5)), &[Tell(WORK), WakeAt(at(DRAIN))])]);
    check(&mut machine, &[(DRAIN, Tick, &[Cut(WORK), WakeAt(at(HARD))]), (HARD, Tick, &[])]);
    assert!(machine.is_over(GroupId(5)));
}

#[test]
fn what_is_left_at_its_hard_deadline_is_skipped() {
    let mut machine = machine();
    last(&mut machine, [(0, close(FIRST))]);
    check(&mut machine, &[(HARD / 2 - 1, Tick, &[])]);
    // Its close is over at the very deadline, and is in time.
    let mut in_time = machine.clone();
    assert_eq!(last(&mut in_time, [(HARD / 2, closed(B))])[..1], [Close(A, at(HARD))]);

    let slow = ComponentId(5);
    let start =
        Starting { component: slow, group: ASIDE, start: Duration::from_secs(1), close: Some(Duration::MAX) };
    let mut machine = self::machine();
    last(&mut machine, [(0, start), (0, Started(slow)), (0, close(ASIDE))]);
    check(&mut machine, &[(HARD, closed(slow), &[Skip(BESIDE)])]);
    assert_eq!(over(&machine), [false, false, true]);
    last(&mut machine, [(HARD, Stop(Call)), (HARD, closed(B)), (HARD, closed(A))]);
    check(&mut machine, &[(HARD, closed(ROOT), &[Enter(Stopped), Exit(CutShort)])]);
}

#[test]
fn a_close_that_fails_or_comes_too_late() {
    let mut machine = machine();
    let failed = Closed { component: BESIDE, well: false };
    last(&mut machine, [(0, close(ASIDE)), (0, failed)]);
    assert!(machine.is_over(ASIDE));
    last(&mut machine, [(0, close(WITHIN))]);
    check(&mut machine, &[(HARD, Tick, &[AbandonClose(B, Late::Timeout)]), (HARD, closed(B), &[])]);
    last(&mut machine, [(HARD, Stop(Call)), (HARD, closed(A))]);
    check(&mut machine, &[(HARD, closed(ROOT), &[Enter(Stopped), Exit(Failed)])]);
}

#[test]
fn a_group_takes_over_what_closes_within_it_and_nothing_else() {
    let mut machine = machine();
    check(&mut machine, &[(0, close(WITHIN), &[Close(B, at(HARD)), WakeAt(at(HARD))])]);
    check(&mut machine, &[(10, close(ASIDE), &[Close(BESIDE, at(HARD + 10))]), (20, close(FIRST), &[])]);
    let mut late = machine.clone();
    check(&mut machine, &[(30, closed(B), &[Close(A, at(HARD + 20)), WakeAt(at(HARD + 10))])]);
    check(&mut machine, &[(40, closed(BESIDE), &[WakeAt(at(HARD + 20))]), (50, closed(A), &[])]);
    assert_eq!(over(&machine), [true; 3]);

    let next = [AbandonClose(B, Late::Timeout), Close(A, at(HARD + 20)), WakeAt(at(HARD + 10))];
    check(&mut late, &[(HARD, Tick, &next)]);
}

#[test]
fn the_stop_takes_over_what_closes() {
    let mut machine = machine();
    last(&mut machine, [(0, close(FIRST)), (0, close(ASIDE))]);
    let begun = [Enter(LameDuck), Enter(Draining), Enter(Closing)];
    check(&mut machine, &[(100, Stop(Call), &begun)]);
    assert_eq!((machine.wake_at(), over(&machine)), (Some(at(HARD / 2)), [false; 3]));
    let mut late = machine.clone();
    let mut forced = machine.clone();
    check(&mut machine, &[(200, closed(BESIDE), &[])]);
    assert_eq!(over(&machine), [false, false, true]);
    let left = 100 + GRACE - 200;
    assert_eq!(last(&mut machine, [(200, closed(B))])[..1], [Close(A, at(200 + left / 2))]);

    assert_eq!(last(&mut late, [(HARD / 2, Tick)])[..1], [AbandonClose(B, Late::Timeout)]);
    assert_eq!(last(&mut late, [(HARD, Tick)])[..1], [AbandonClose(BESIDE, Late::Timeout)]);

    let signal = Input::Signal { signal: 2, origin: Origin::Other, at: at(200) };
    let ends = [
        AbandonClose(BESIDE, Late::Stop),
        AbandonClose(B, Late::Stop),
        Skip(A),
        Skip(ROOT),
        Enter(Stopped),
        Exit(Forced { signal: 2 }),
    ];
    check(&mut forced, &[(200, signal, &ends)]);
    assert_eq!(over(&forced), [true; 3]);
}

#[test]
fn the_stops_hard_deadline_is_over_all() {
    let mut machine = machine();
    let long = CloseGroup { group: ASIDE, within: Duration::from_secs(60) };
    last(&mut machine, [(0, long), (0, Stop(Call))]);
    assert_eq!(machine.wake_at(), Some(at(5_000)), "who holds up is told");
    last(&mut machine, [(5_000, Tick)]);
    assert_eq!(machine.wake_at(), Some(at(GRACE)));
    let effects = last(&mut machine, [(GRACE, Tick)]);
    let over =
        [AbandonClose(BESIDE, Late::Timeout), Skip(B), Skip(A), Skip(ROOT), Enter(Stopped), Exit(Failed)];
    assert_eq!(effects, over);
}
