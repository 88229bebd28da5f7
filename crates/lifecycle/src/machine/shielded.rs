//! One test a rule, for shields.

use super::Effect::{Cut, EndShield, Enter, Exit, Extend, HeldUp, Tell, WakeAt};
use super::Input::{
    Busy, Looked, Ready, ShieldEnded, ShieldRenewed, ShieldTaken, Started, Starting, Stop, Tick,
};
use super::Phase::{Closing, Draining, Stopped};
use super::ShieldKind::{Standing, Work};
use super::Verdict::{Clean, Forced};
use super::Wish::Call;
use super::by_hand::{self, at, check, last, ms};
use super::observed::drive;
use super::{ComponentId, Ended, GroupId, Input, Machine, Origin, ScopeId, ShieldId};

const A: ComponentId = ComponentId(0);
const WORK: ScopeId = ScopeId(0);
const S: ShieldId = ShieldId(0);
const T: ShieldId = ShieldId(1);

/// Short of the first notice to who holds up, which has a test of its own.
const GRACE: u64 = 4_500;
const DRAIN: u64 = 3_600;
const RESERVE: u64 = GRACE - DRAIN;
const LIMIT: u64 = 30_000;

fn force(time: u64) -> (u64, Input) {
    (time, Input::Signal { signal: 15, origin: Origin::Other, at: at(time) })
}

fn machine() -> Machine {
    by_hand::machine(GRACE, 0, 1, LIMIT)
}

#[test]
fn l6_a_live_shield_holds_closing_and_cuts_off_and_moves_both_deadlines() {
    let mut machine = machine();
    last(&mut machine, [(0, Ready), (0, Busy(WORK))]);
    let until = 10_000;
    let begun = drive(&mut machine, at(0), Stop(Call), &[(S, at(until))]);
    let told = [Extend(at(until + RESERVE)), Enter(Draining), Tell(WORK), WakeAt(at(5_000))];
    assert_eq!(begun[2..], told);
    assert_eq!(machine.drain_deadline(), Some(at(until)));
    check(&mut machine, &[(5_000, Tick, &[HeldUp, WakeAt(at(until))]), (until - 1, Tick, &[])]);
    let effects = last(&mut machine, [(until, Tick)]);
    assert_eq!(effects[..3], [EndShield(S, Ended::Expired), Enter(Closing), Cut(WORK)]);
    assert_eq!(machine.hard_deadline(), Some(at(until + RESERVE)));
}

#[test]
fn l6_when_the_shield_ends_sooner_the_drain_deadline_is_now() {
    let mut machine = machine();
    last(&mut machine, [(0, Ready), (0, Busy(WORK))]);
    drive(&mut machine, at(0), Stop(Call), &[(S, at(20_000)), (T, at(15_000))]);
    assert_eq!(last(&mut machine, [(4_000, ShieldEnded(S))]), []);
    assert_eq!(machine.drain_deadline(), Some(at(15_000)));
    let effects = last(&mut machine, [(4_600, ShieldEnded(T))]);
    assert_eq!(effects[..2], [Enter(Closing), Cut(WORK)]);
    assert_eq!(machine.hard_deadline(), Some(at(4_600 + RESERVE)));
    // Before the grace's own drain deadline, that one stays.
    let mut machine = self::machine();
    last(&mut machine, [(0, Ready), (0, Busy(WORK))]);
    drive(&mut machine, at(0), Stop(Call), &[(S, at(20_000))]);
    last(&mut machine, [(100, ShieldEnded(S))]);
    assert_eq!((machine.drain_deadline(), machine.hard_deadline()), (Some(at(DRAIN)), Some(at(GRACE))));
}

#[test]
fn l6_nothing_passes_the_hard_limit() {
    let mut machine = machine();
    drive(&mut machine, at(0), Stop(Call), &[(S, at(80_000))]);
    assert_eq!((machine.drain_deadline(), machine.hard_deadline()), (Some(at(LIMIT)), Some(at(LIMIT))));
    let mut machine = self::machine();
    drive(&mut machine, at(0), Stop(Call), &[(S, at(1_000))]);
    let renewed = last(&mut machine, [(900, ShieldRenewed { shield: S, until: at(80_000) })]);
    assert_eq!(renewed[0], Extend(at(LIMIT)));
    assert_eq!(machine.drain_deadline(), Some(at(LIMIT)));
}

#[test]
fn l6_a_budget_that_had_run_out_before_holds_nothing_off() {
    let mut machine = machine();
    last(&mut machine, [(500, Ready)]);
    let effects = drive(&mut machine, at(600), Stop(Call), &[(S, at(550))]);
    let over = [EndShield(S, Ended::Expired), Enter(Draining), Enter(Closing), Enter(Stopped), Exit(Clean)];
    assert_eq!(effects[1..], over);
}

#[test]
fn l6_a_forced_end_overrides_every_shield() {
    let mut machine = machine();
    drive(&mut machine, at(0), Stop(Call), &[(S, at(80_000))]);
    let forced = [Enter(Closing), EndShield(S, Ended::Forced), Enter(Stopped), Exit(Forced { signal: 15 })];
    assert_eq!(last(&mut machine, [force(1)]), forced);
}

#[test]
fn l8_after_the_stop_request_shields_are_for_counted_work_until_the_drain_deadline() {
    let mut machine = machine();
    last(&mut machine, [(0, Busy(WORK)), (0, Stop(Call))]);
    let taken = |shield, kind| ShieldTaken { shield, kind, until: at(80_000) };
    last(&mut machine, [(1, taken(S, Standing)), (1, taken(T, Work))]);
    assert!(!machine.is_shielded_by(S) && machine.is_shielded_by(T));
    last(&mut machine, [(2, ShieldRenewed { shield: T, until: at(80_000) })]);
    assert_eq!(machine.drain_deadline(), Some(at(DRAIN)));
    let effects = last(&mut machine, [(DRAIN, Tick)]);
    assert_eq!(effects[..3], [EndShield(T, Ended::Expired), Enter(Closing), Cut(WORK)]);
    last(&mut machine, [(DRAIN, taken(ShieldId(2), Work))]);
    assert!(!machine.is_shielded_by(ShieldId(2)));
    // Before the stop, and beside the question for them, they are nothing to the machine.
    let mut machine = self::machine();
    last(&mut machine, [(0, taken(S, Standing)), (0, taken(T, Work)), (0, Looked)]);
    assert!(!machine.is_shielded_by(S) && !machine.is_shielded_by(T));
}

#[test]
fn l8_what_is_refused_leaves_no_trace() {
    let taken = |shield, kind, until| ShieldTaken { shield, kind, until: at(until) };
    let mut draining = machine();
    last(&mut draining, [(0, Busy(WORK)), (0, Stop(Call))]);
    assert_eq!(last(&mut draining, [(1, taken(S, Standing, 0))]), []);
    assert_eq!(last(&mut draining, [(1, taken(T, Work, 1))]), []);
    assert!(!draining.is_shielded_by(S) && !draining.is_shielded_by(T));
    // In Closing, though the drain deadline has not come.
    let mut closing = machine();
    last(
        &mut closing,
        [(0, Starting { component: A, group: GroupId::ROOT, start: ms(1), close: None }), (0, Started(A))],
    );
    last(&mut closing, [(0, Stop(Call)), (1, taken(S, Work, 100))]);
    assert!(!closing.is_shielded_by(S));
}

#[test]
fn l6_a_shield_that_runs_out_late_leaves_the_close_reserve() {
    let mut machine = machine();
    last(&mut machine, [(0, Ready), (0, Busy(WORK))]);
    drive(&mut machine, at(0), Stop(Call), &[(S, at(10_000))]);
    assert_eq!(last(&mut machine, [(10_500, Tick)])[..1], [HeldUp]);
    assert!(machine.is_shielded_by(S));
    let effects = last(&mut machine, [(10_600, Tick)]);
    assert!(effects.starts_with(&[EndShield(S, Ended::Expired)]), "{effects:?}");
    assert!(effects.contains(&Cut(WORK)), "{effects:?}");
    assert_eq!(machine.hard_deadline(), Some(at(10_600 + RESERVE)));
}
