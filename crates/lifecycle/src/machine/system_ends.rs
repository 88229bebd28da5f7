//! L2 where the system gives no more than 4.5 s.

use super::by_hand::at;
use super::{
    Effect, Ended, Input, Limits, Machine, Origin, Phase, ScopeId, ShieldId, ShieldKind, Time, Verdict,
};
use std::time::Duration;

const WORK: ScopeId = ScopeId(0);
const SHIELD: ShieldId = ShieldId(0);

/// A program that is ready and has work to do; 25 s of grace.
fn busy(lame_duck: u64) -> Machine {
    let limits = Limits {
        grace: Duration::from_secs(25),
        lame_duck: Duration::from_secs(lame_duck),
        lame_duck_quiet: Duration::ZERO,
        max_attempts: 3,
        hard_limit: Duration::from_secs(90),
    };
    let mut machine = Machine::new(limits, at(0));
    machine.apply(at(0), Input::Ready);
    machine.apply(at(0), Input::Busy(WORK));
    machine
}

/// The same after a stop request, with a shield that holds it up until then.
fn shielded(until: Time) -> Machine {
    let mut machine = busy(0);
    machine.apply(at(0), Input::Stop(super::Wish::Call));
    machine.apply(at(0), Input::ShieldTaken { shield: SHIELD, kind: ShieldKind::Standing, until });
    machine.apply(at(0), Input::Looked);
    machine
}

/// The event at `ms`, noticed a little later.
fn closed(machine: &mut Machine, ms: u64) {
    machine.apply(at(ms + 5), Input::Signal { signal: 15, origin: Origin::Other, at: at(ms) });
    machine.apply(at(ms + 5), Input::Looked);
    machine.apply(at(ms + 5), Input::SystemEnds { at: at(ms) });
}

fn deadlines(machine: &Machine) -> (Option<Time>, Option<Time>) {
    (machine.drain_deadline(), machine.hard_deadline())
}

#[test]
fn l2_the_deadlines_come_within_4_5_s_and_a_lame_duck_is_over() {
    let mut machine = busy(10);
    closed(&mut machine, 1_000);
    assert_eq!(machine.log().iter().last(), Some((Phase::Draining, at(1_005))));
    assert_eq!(deadlines(&machine), (Some(at(4_600)), Some(at(5_500))));
    assert_eq!(machine.apply(at(4_599), Input::Tick), []);
    let effects = machine.apply(at(4_600), Input::Tick);
    assert!(effects.starts_with(&[Effect::Enter(Phase::Closing), Effect::Cut(WORK)]), "{effects:?}");
    let effects = machine.apply(at(5_500), Input::Tick);
    assert!(effects.ends_with(&[Effect::Enter(Phase::Stopped), Effect::Exit(Verdict::Cut)]), "{effects:?}");
    assert_eq!(machine.last_moment(), Some(at(5_500)));
}

#[test]
fn l2_a_shorter_grace_stays() {
    let limits = Limits {
        grace: Duration::from_secs(1),
        lame_duck: Duration::ZERO,
        lame_duck_quiet: Duration::ZERO,
        max_attempts: 3,
        hard_limit: Duration::from_secs(1),
    };
    let mut machine = Machine::new(limits, at(0));
    machine.apply(at(0), Input::Busy(WORK));
    closed(&mut machine, 0);
    assert_eq!(deadlines(&machine), (Some(at(800)), Some(at(1_000))));
}

#[test]
fn l2_it_brings_the_end_of_a_stop_nearer_and_never_moves_it_away() {
    let mut machine = busy(0);
    machine.apply(at(0), Input::Stop(super::Wish::Call));
    machine.apply(at(0), Input::Looked);
    assert_eq!(deadlines(&machine), (Some(at(20_000)), Some(at(25_000))));
    closed(&mut machine, 3_000);
    assert_eq!(deadlines(&machine), (Some(at(6_600)), Some(at(7_500))));
    assert_eq!(machine.requested(), Some(at(0)));
    // Nor does a further event.
    closed(&mut machine, 5_000);
    assert_eq!(deadlines(&machine), (Some(at(6_600)), Some(at(7_500))));
    // In the last seconds there is nothing to be had.
    let mut machine = busy(0);
    machine.apply(at(0), Input::Stop(super::Wish::Call));
    machine.apply(at(0), Input::Looked);
    machine.apply(at(20_000), Input::Tick);
    closed(&mut machine, 24_000);
    assert_eq!(machine.hard_deadline(), Some(at(25_000)));
}

#[test]
fn l2_without_a_stop_request_it_says_nothing() {
    let mut machine = busy(0);
    assert_eq!(machine.apply(at(1), Input::SystemEnds { at: at(1) }), []);
    machine.apply(at(2), Input::Stop(super::Wish::Call));
    assert_eq!(machine.hard_deadline(), Some(at(25_002)));
}

#[test]
fn l6_no_shield_lasts_longer_than_the_system_lets_us() {
    let until = at(60_000);
    let mut machine = shielded(until);
    assert_eq!(machine.drain_deadline(), Some(until));
    machine.apply(at(10_000), Input::SystemEnds { at: at(10_000) });
    assert_eq!(deadlines(&machine), (Some(at(14_500)), Some(at(14_500))));
    machine.apply(at(11_000), Input::ShieldRenewed { shield: SHIELD, until });
    assert_eq!(machine.hard_deadline(), Some(at(14_500)), "a renewal goes no further");
    let effects = machine.apply(at(14_500), Input::Tick);
    assert!(effects.contains(&Effect::EndShield(SHIELD, Ended::Expired)), "{effects:?}");
    assert!(effects.contains(&Effect::Exit(Verdict::Cut)), "{effects:?}");
}

#[test]
fn l6_a_shield_that_ends_sooner_leaves_the_close_reserve() {
    let mut machine = shielded(at(60_000));
    machine.apply(at(10_000), Input::SystemEnds { at: at(10_000) });
    machine.apply(at(11_000), Input::ShieldEnded(SHIELD));
    assert_eq!(machine.hard_deadline(), Some(at(14_500)));
}

#[test]
fn l6_a_shield_that_would_last_longer_ends_with_the_time_that_the_system_leaves() {
    let mut machine = shielded(at(60_000));
    machine.apply(at(10_000), Input::SystemEnds { at: at(10_000) });
    assert!(machine.wake_at() <= Some(at(14_500)));
    let effects = machine.apply(at(14_500), Input::Tick);
    assert!(effects.contains(&Effect::EndShield(SHIELD, Ended::Expired)), "{effects:?}");
}
