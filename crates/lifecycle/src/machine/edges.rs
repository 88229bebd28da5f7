//! What comes at the very moment of a deadline: what ends is in time, what begins is too late.

use super::Effect::{Close, Enter, Exit, WakeAt};
use super::Input::{AtExit, Busy, Idle, Looked, Ready, ShieldTaken, Started, Starting, Stop, Tick};
use super::Phase::{Closing, Draining, LameDuck, Stopped};
use super::Verdict::{Clean, Failed};
use super::Wish::Call;
use super::by_hand::{self, at, last};
use super::{ComponentId, GroupId, Input, Machine, ScopeId, ShieldId, ShieldKind};
use std::time::Duration;

const A: ComponentId = ComponentId(0);
const B: ComponentId = ComponentId(1);
const WORK: ScopeId = ScopeId(0);
const S: ShieldId = ShieldId(0);

const DRAIN: u64 = 3_600;
const HARD: u64 = 4_500;
const LAME_DUCK: u64 = 1_000;
const START: u64 = 500;

fn machine(lame_duck: u64) -> Machine {
    by_hand::machine(HARD, lame_duck, 3, 30_000)
}

fn starting(component: ComponentId) -> Input {
    Starting { component, group: GroupId::ROOT, start: Duration::from_millis(START), close: None }
}

fn shield(kind: ShieldKind) -> Input {
    ShieldTaken { shield: S, kind, until: at(2_000) }
}

#[test]
fn work_that_ends_at_the_drain_deadline_is_finished() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(WORK)), (0, Stop(Call))]);
    assert_eq!(last(&mut machine, [(DRAIN, Idle(WORK))]), [Enter(Closing), Enter(Stopped), Exit(Clean)]);
}

#[test]
fn what_has_started_at_its_timeout_has_started() {
    let mut machine = machine(0);
    last(&mut machine, [(0, starting(A)), (START, Started(A)), (START, Tick)]);
    assert!(machine.has(A));
    assert_eq!(machine.requested(), None);
}

#[test]
fn a_start_that_begins_as_another_runs_out_of_time_is_refused() {
    let mut machine = machine(0);
    last(&mut machine, [(0, starting(A))]);
    let effects = last(&mut machine, [(START, starting(B))]);
    assert!(effects.ends_with(&[Enter(Closing), Enter(Stopped), Exit(Failed)]), "{effects:?}");
    assert!(!machine.has(B));
}

#[test]
fn exit_work_that_comes_as_components_begin_to_close_is_refused() {
    let mut machine = machine(0);
    last(&mut machine, [(0, starting(A)), (0, Started(A)), (0, Busy(WORK)), (0, Stop(Call)), (DRAIN, Tick)]);
    let unwound = DRAIN + (HARD - DRAIN) / 4;
    let effects = last(&mut machine, [(unwound, AtExit { component: B, close: None })]);
    assert_eq!(effects, [Close(A, at(HARD)), WakeAt(at(HARD))]);
    assert!(!machine.has(B));
}

#[test]
fn a_shield_that_comes_as_the_lame_duck_is_over_and_nothing_else_is_left_is_refused() {
    let mut machine = machine(LAME_DUCK);
    last(&mut machine, [(0, Ready), (0, Stop(Call))]);
    let over = [Enter(Draining), Enter(Closing), Enter(Stopped), Exit(Clean)];
    assert_eq!(last(&mut machine, [(LAME_DUCK, shield(ShieldKind::Work))]), over);
    assert!(!machine.is_shielded_by(S));
}

#[test]
fn a_shield_of_before_the_stop_is_named_as_the_machine_asks_and_no_later() {
    let mut machine = machine(LAME_DUCK);
    last(&mut machine, [(0, Ready)]);
    assert_eq!(machine.apply(at(0), Stop(Call))[..1], [Enter(LameDuck)]);
    assert_eq!(machine.wake_at(), None, "how long the lame duck lasts is not known yet");
    machine.apply(at(0), Looked);
    assert_eq!(machine.wake_at(), Some(at(LAME_DUCK)));
    machine.apply(at(1), shield(ShieldKind::Standing));
    assert!(!machine.is_shielded_by(S));
}
