//! One test a rule, for phases, deadlines, scopes and attempts.

use super::Effect::{Cut, Enter, Exit, HeldUp, LookForArrivals, Tell, WakeAt};
use super::Input::{Abandoned, BodyEnded, Busy, Idle, LastArrival, Ready, Stop, Tick, WorkCut};
use super::Origin::{Other, Relative, Terminal};
use super::Phase::{Closing, Draining, LameDuck, Running, Starting, Stopped};
use super::Verdict::{Clean, Cut as CutShort, Failed, Forced};
use super::Wish::{Call, Failure};
use super::by_hand::{self, at, check, last};
use super::{Input, Limits, Machine, Origin, Phase, ScopeId};
use std::time::Duration;

const A: ScopeId = ScopeId(0);
const B: ScopeId = ScopeId(1);
/// Short of the first notice to who holds up, which has a test of its own.
const GRACE: u64 = 4_900;
const DRAIN: u64 = 3_920;
const LIMIT: u64 = 30_000;

fn machine(lame_duck: u64) -> Machine {
    by_hand::machine(GRACE, lame_duck, 3, LIMIT)
}

fn signal(ms: u64, signal: i32, origin: Origin) -> (u64, Input) {
    (ms, Input::Signal { signal, origin, at: at(ms) })
}

fn log(machine: &Machine) -> Vec<(Phase, u128)> {
    machine.log().iter().map(|(phase, time)| (phase, time.0.as_millis())).collect()
}

#[test]
fn l1_phases_of_zero_length_are_passed_through_and_recorded() {
    let mut machine = machine(0);
    let all = [Enter(Running), Enter(LameDuck), Enter(Draining), Enter(Closing), Enter(Stopped), Exit(Clean)];
    check(&mut machine, &[(5, Stop(Call), &all), (6, Ready, &[]), (6, Stop(Failure), &[]), (7, Tick, &[])]);
    let phases = [(Starting, 0), (Running, 5), (LameDuck, 5), (Draining, 5), (Closing, 5), (Stopped, 5)];
    assert_eq!(log(&machine), phases);
}

#[test]
fn l1_ready_moves_forward_only() {
    let mut machine = machine(1_000);
    check(
        &mut machine,
        &[(1, Ready, &[Enter(Running)]), (2, Ready, &[]), (2, BodyEnded { well: true }, &[])],
    );
    check(&mut machine, &[(3, Stop(Call), &[Enter(LameDuck), WakeAt(at(1_003))]), (4, Ready, &[])]);
}

#[test]
fn l2_the_first_request_starts_the_clock_and_nothing_restarts_it() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Ready), (0, Busy(A))]);
    let begun = [Enter(LameDuck), Enter(Draining), Tell(A), WakeAt(at(100 + DRAIN))];
    check(&mut machine, &[(100, Stop(Call), &begun), (3_000, Stop(Failure), &[]), (3_001, Tick, &[])]);
    assert_eq!(machine.requested(), Some(at(100)));
    assert_eq!(machine.drain_deadline(), Some(at(100 + DRAIN)));
    assert_eq!(machine.hard_deadline(), Some(at(100 + GRACE)));
}

#[test]
fn l2_a_signal_starts_the_clock_when_it_was_delivered() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (70, Input::Signal { signal: 15, origin: Other, at: at(50) })]);
    assert_eq!(machine.requested(), Some(at(50)));
    assert_eq!(log(&machine).last(), Some(&(Draining, 70)));
}

/// 2 s of the 3 s that it has at most, each after the last that came.
fn quiet() -> Machine {
    let limits =
        Limits { lame_duck_quiet: Duration::from_secs(2), ..by_hand::limits(GRACE, 3_000, 3, LIMIT) };
    let mut machine = Machine::new(limits, at(0));
    last(&mut machine, [(0, Ready), (0, Busy(A))]);
    machine
}

#[test]
fn d2_a_lame_duck_ends_when_nothing_has_come_for_its_quiet_time() {
    let mut machine = quiet();
    check(&mut machine, &[(0, Stop(Call), &[Enter(LameDuck), WakeAt(at(2_000))]), (1_999, Tick, &[])]);
    // Nothing came since the request.
    check(&mut machine, &[(2_000, Tick, &[WakeAt(at(3_000)), Enter(Draining), Tell(A), WakeAt(at(DRAIN))])]);
}

#[test]
fn d2_what_comes_keeps_a_lame_duck_up_to_its_end_and_no_longer() {
    let mut machine = quiet();
    check(&mut machine, &[(0, Stop(Call), &[Enter(LameDuck), WakeAt(at(2_000))])]);
    let ask = |machine: &mut Machine, time| machine.apply(at(time), Tick);
    let came = |machine: &mut Machine, time, came| machine.apply(at(time), LastArrival { at: at(came) });
    assert_eq!(ask(&mut machine, 2_000), [LookForArrivals, WakeAt(at(3_000))]);
    assert_eq!(ask(&mut machine, 2_000), [], "asked once");
    assert_eq!(came(&mut machine, 2_001, 500), [WakeAt(at(2_500))]);
    assert_eq!(ask(&mut machine, 2_500), [LookForArrivals, WakeAt(at(3_000))]);
    assert_eq!(came(&mut machine, 2_500, 2_400), [], "later than the end that it has");
    check(&mut machine, &[(2_999, Tick, &[]), (3_000, Tick, &[Enter(Draining), Tell(A), WakeAt(at(DRAIN))])]);
}

#[test]
fn d2_a_lame_duck_ends_though_nobody_says_what_came() {
    let mut machine = quiet();
    last(&mut machine, [(0, Stop(Call))]);
    assert_eq!(machine.apply(at(2_000), Tick), [LookForArrivals, WakeAt(at(3_000))]);
    assert_eq!(machine.apply(at(3_000), Tick), [Enter(Draining), Tell(A), WakeAt(at(DRAIN))]);
    // Too late to change anything.
    assert_eq!(machine.apply(at(3_001), LastArrival { at: at(2_999) }), []);
}

#[test]
fn l2_the_close_reserve_is_a_fifth_and_five_seconds_at_most() {
    for (grace, drain) in [(10_000, 8_000), (25_000, 20_000), (60_000, 55_000), (100, 80)] {
        let grace = Duration::from_millis(grace);
        let limits = Limits {
            grace,
            lame_duck: Duration::ZERO,
            lame_duck_quiet: Duration::ZERO,
            max_attempts: 3,
            hard_limit: grace,
        };
        assert_eq!(limits.drain(), Duration::from_millis(drain), "of {grace:?}");
    }
}

#[test]
fn l2_what_is_in_flight_is_cut_at_the_drain_deadline_and_the_end_comes_at_the_hard_one() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Ready), (0, Busy(A)), (0, Stop(Call))]);
    let cut = [Enter(Closing), Cut(A), WakeAt(at(GRACE))];
    check(&mut machine, &[(DRAIN - 1, Tick, &[]), (DRAIN, Tick, &cut), (GRACE - 1, Tick, &[])]);
    check(&mut machine, &[(GRACE, Tick, &[Enter(Stopped), Exit(CutShort)]), (GRACE, Tick, &[])]);
}

#[test]
fn l2_a_late_drain_deadline_grants_one_pass_before_the_cut() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (0, Busy(B)), (0, Stop(Call))]);
    let late = DRAIN + 300;
    check(&mut machine, &[(late, Tick, &[WakeAt(at(late + 100))]), (late + 1, Idle(A), &[])]);
    let cut = [Enter(Closing), Cut(B), WakeAt(at(GRACE))];
    check(&mut machine, &[(late + 99, Tick, &[]), (late + 100, Tick, &cut)]);
}

#[test]
fn l2_a_pass_is_granted_once_even_if_it_ends_late_too() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (0, Stop(Call)), (DRAIN + 300, Tick)]);
    check(&mut machine, &[(DRAIN + 700, Tick, &[Enter(Closing), Cut(A), WakeAt(at(GRACE))])]);
}

#[test]
fn l2_a_deadline_a_little_late_takes_effect_at_once() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (0, Stop(Call))]);
    check(&mut machine, &[(DRAIN + 100, Tick, &[Enter(Closing), Cut(A), WakeAt(at(GRACE))])]);
}

#[test]
fn l2_after_both_deadlines_work_has_one_pass_to_finish_and_one_to_unwind() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (0, Stop(Call))]);
    let late = GRACE + 59_000;
    check(&mut machine, &[(late, Tick, &[HeldUp, WakeAt(at(late + 100))])]);
    check(&mut machine, &[(late + 100, Tick, &[Enter(Closing), Cut(A), WakeAt(at(late + 200))])]);
    check(&mut machine, &[(late + 200, Tick, &[Enter(Stopped), Exit(CutShort)])]);
}

#[test]
fn lame_duck_lasts_its_time_even_with_nothing_in_flight() {
    let mut machine = machine(1_000);
    last(&mut machine, [(0, Ready), (0, Busy(A))]);
    check(&mut machine, &[(0, Stop(Call), &[Enter(LameDuck), WakeAt(at(1_000))]), (500, Idle(A), &[])]);
    let over = [Enter(Draining), Enter(Closing), Enter(Stopped), Exit(Clean)];
    check(&mut machine, &[(999, Tick, &[]), (1_000, Tick, &over)]);
}

#[test]
fn lame_duck_is_skipped_by_who_never_was_ready() {
    let mut machine = machine(1_000);
    last(&mut machine, [(0, Busy(A))]);
    let begun = [Enter(Running), Enter(LameDuck), Enter(Draining), Tell(A), WakeAt(at(DRAIN))];
    check(&mut machine, &[(0, Stop(Call), &begun)]);
}

#[test]
fn l5_closing_waits_for_the_last_scope() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (0, Busy(B)), (0, Stop(Call))]);
    let over = [Enter(Closing), Enter(Stopped), Exit(Clean)];
    check(&mut machine, &[(10, Idle(A), &[]), (11, Idle(A), &[]), (20, Idle(B), &over)]);
}

#[test]
fn l5_closing_lasts_until_what_was_cut_has_unwound() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (0, Stop(Call)), (DRAIN, Tick)]);
    check(
        &mut machine,
        &[(DRAIN + 5, WorkCut(A), &[]), (DRAIN + 9, Idle(A), &[Enter(Stopped), Exit(CutShort)])],
    );
}

#[test]
fn l5_a_scope_that_comes_late_is_told_what_the_others_were() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (0, Stop(Call))]);
    check(&mut machine, &[(1, Busy(B), &[Tell(B)]), (2, Busy(B), &[])]);
    check(&mut machine, &[(DRAIN, Tick, &[Enter(Closing), Cut(A), Cut(B), WakeAt(at(GRACE))])]);
    check(&mut machine, &[(DRAIN + 1, Busy(ScopeId(2)), &[Cut(ScopeId(2))])]);
    check(&mut machine, &[(GRACE, Tick, &[Enter(Stopped), Exit(CutShort)]), (GRACE, Busy(B), &[Cut(B)])]);
}

#[test]
fn l9_the_third_attempt_forces_the_end() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Ready), (0, Busy(A)), signal(0, 15, Other), signal(0, 15, Other)]);
    let forced = [Enter(Closing), Cut(A), Enter(Stopped), Exit(Forced { signal: 2 })];
    assert_eq!(last(&mut machine, [signal(1, 2, Other)]), forced);
    assert_eq!(last(&mut machine, [signal(2, 2, Other)]), []);
}

#[test]
fn l9_a_forced_end_passes_through_every_phase() {
    let mut machine = machine(5_000);
    last(&mut machine, [(0, Ready), (0, Busy(A)), signal(0, 2, Terminal), signal(1, 2, Terminal)]);
    let forced =
        [Enter(Draining), Tell(A), Enter(Closing), Cut(A), Enter(Stopped), Exit(Forced { signal: 2 })];
    assert_eq!(last(&mut machine, [signal(2, 2, Terminal)]), forced);
}

#[test]
fn l9_attempts_by_origin() {
    type Case = (&'static str, &'static [(u64, Origin)], u32);
    let cases: &[Case] = &[
        ("two from the terminal are two, however quick", &[(0, Terminal), (0, Terminal)], 2),
        ("a relay after the terminal", &[(0, Terminal), (500, Relative)], 1),
        ("too late for a relay", &[(0, Terminal), (501, Relative)], 2),
        ("a relay before the terminal", &[(0, Relative), (500, Terminal)], 1),
        ("too early for a relay", &[(0, Relative), (501, Terminal)], 2),
        ("several relays of one", &[(0, Relative), (1, Relative), (2, Terminal), (3, Relative)], 1),
        ("each with its relay", &[(0, Relative), (1, Terminal), (2, Relative), (3, Terminal)], 2),
        ("strangers relay nothing", &[(0, Terminal), (1, Other)], 2),
        ("relatives alone are deliberate", &[(0, Relative), (1, Relative)], 2),
        ("a relay counts from the latest key", &[(0, Terminal), (400, Terminal), (900, Relative)], 2),
    ];
    for (name, signals, expected) in cases {
        let mut machine = machine(0);
        machine.apply(at(0), Busy(A));
        last(&mut machine, signals.iter().map(|(ms, origin)| signal(*ms, 2, *origin)));
        assert_eq!(machine.attempts(), *expected, "{name}");
    }
}

#[test]
fn l9_calls_and_failures_are_no_attempts() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (0, Stop(Call)), (0, Stop(Failure)), (0, Stop(Call)), (0, Stop(Call))]);
    assert_eq!(machine.attempts(), 0);
    assert_eq!(last(&mut machine, [signal(1, 2, Other), signal(2, 2, Other)]), []);
}

#[test]
fn l14_the_verdict_by_precedence() {
    let forced = [signal(0, 2, Other), signal(0, 2, Other), signal(0, 15, Other)];
    let cases = [
        (vec![(0, Stop(Call)), (1, Idle(A))], Clean, 0),
        (vec![(0, Stop(Call)), (1, WorkCut(A)), (1, Idle(A))], CutShort, 3),
        (vec![(0, Stop(Call)), (DRAIN, Tick), (DRAIN, Idle(A))], Clean, 0),
        (vec![(0, Stop(Failure)), (1, WorkCut(A)), (1, Idle(A))], Failed, 1),
        (vec![(0, Stop(Call)), (1, Stop(Failure)), (1, Idle(A))], Failed, 1),
        (vec![(0, BodyEnded { well: false }), (1, Idle(A))], Failed, 1),
        (
            vec![(0, Stop(Failure)), (0, WorkCut(A)), forced[0], forced[1], forced[2]],
            Forced { signal: 15 },
            143,
        ),
    ];
    for (inputs, verdict, status) in cases {
        let mut machine = machine(0);
        machine.apply(at(0), Busy(A));
        let effects = last(&mut machine, inputs.clone());
        assert_eq!(effects.last(), Some(&Exit(verdict)), "after {inputs:?}");
        assert_eq!(verdict.exit_status(), status);
    }
}

#[test]
fn l3_a_body_that_gives_up_because_of_a_stop_has_not_failed() {
    let mut machine = machine(0);
    last(&mut machine, [(0, Busy(A)), (0, Stop(Call)), (1, BodyEnded { well: false })]);
    assert_eq!(last(&mut machine, [(2, Idle(A))]).last(), Some(&Exit(Clean)));
}

#[test]
fn abandoned_is_over_at_once() {
    let mut idle = machine(5_000);
    assert_eq!(last(&mut idle, [(0, Ready), (1, Abandoned)]).last(), Some(&Exit(Clean)));
    let mut busy = machine(5_000);
    let all =
        [Enter(LameDuck), Enter(Draining), Tell(A), Enter(Closing), Cut(A), Enter(Stopped), Exit(CutShort)];
    assert_eq!(last(&mut busy, [(0, Ready), (0, Busy(A)), (1, Abandoned)]), all);
}
