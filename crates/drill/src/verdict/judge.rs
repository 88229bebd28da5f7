use super::example::millis;
use super::{
    Control, ExitTimes, LeftOver, Loss, Outcome, ScenarioVerdict, StatusCount, VoidRound, cause::cause,
    example::Example,
};
use crate::observe::Class;
use crate::process::ExitStatus;
use crate::round::Round;
use crate::scenario::Scenario;
use crate::signal::StopSignal;
use std::collections::BTreeMap;

/// Adds the rounds of a scenario up and judges them.
pub(crate) fn judge_scenario(
    scenario: Scenario,
    rounds_wanted: u32,
    rounds: &[Round],
    control: Option<Control>,
    signal: StopSignal,
) -> ScenarioVerdict {
    let mut requests: BTreeMap<_, _> = Class::ALL.map(|class| (class, 0)).into();
    let mut before_signal = BTreeMap::new();
    let mut losses: Vec<Loss> = Vec::new();
    let mut faults = Vec::new();
    let mut void_rounds = Vec::new();
    let mut times = Vec::new();
    let mut statuses: BTreeMap<ExitStatus, u32> = BTreeMap::new();
    let mut left_over = Vec::new();
    let mut farewells = BTreeMap::new();
    for (number, round) in (1_u32..).zip(rounds) {
        let exit_ms = round
            .exit
            .zip(round.signal)
            .map(|(exit, signal)| (exit.status, millis(exit.at.saturating_duration_since(signal))));
        for (farewell, count) in &round.ledger.farewells {
            *farewells.entry(*farewell).or_default() += count;
        }
        for ((class, subject), count) in &round.ledger.counts {
            *requests.entry(*class).or_default() += count.all;
            if count.before > 0 {
                *before_signal.entry(*class).or_default() += count.before;
            }
            let seen = round.ledger.examples.get(&(*class, *subject));
            let Some((seen, (rule, rule_says))) = seen.and_then(|seen| Some((seen, seen.rule(*class)?)))
            else {
                continue;
            };
            let same = |loss: &&mut Loss| (loss.class, loss.subject) == (*class, *subject);
            if let Some(loss) = losses.iter_mut().find(same) {
                loss.count += count.all;
                loss.before_signal += count.before;
                loss.rounds += 1;
                continue;
            }
            let early = round.signal.is_none_or(|signal| seen.ended < signal);
            losses.push(Loss {
                class: *class,
                subject: *subject,
                count: count.all,
                before_signal: count.before,
                rounds: 1,
                rule,
                rule_says,
                why: cause(*class, seen, exit_ms, signal, early),
                example: Example::new(number, seen, round.signal),
            });
        }
        faults.extend(round.faults.iter().cloned().map(|mut fault| {
            fault.round = number;
            fault
        }));
        if let Some(void) = round.void {
            void_rounds.push(VoidRound { round: number, void, words: void.to_string() });
        }
        if let Some((status, after)) = exit_ms {
            times.push(after);
            *statuses.entry(status).or_default() += 1;
        }
        left_over.extend(round.left_over.iter().cloned().map(|process| LeftOver { round: number, process }));
    }
    let mut verdict = ScenarioVerdict {
        scenario,
        outcome: Outcome::Pass,
        reasons: Vec::new(),
        rounds_wanted,
        rounds: counting(rounds),
        void_rounds,
        lost: losses.iter().map(|loss| loss.count).sum(),
        requests,
        before_signal,
        farewells,
        losses,
        port_free: !faults.iter().any(|fault| matches!(fault.kind, super::FaultKind::PortNotFree { .. })),
        faults,
        exit: ExitTimes::of(&mut times),
        exit_statuses: statuses.into_iter().map(|(status, rounds)| StatusCount { status, rounds }).collect(),
        left_over,
        control,
    };
    conclude(&mut verdict);
    verdict
}

/// Rounds that were held to the end and are not void.
pub(crate) fn counting(rounds: &[Round]) -> u32 {
    let counts = |round: &&Round| round.void.is_none() && round.signal.is_some();
    u32::try_from(rounds.iter().filter(counts).count()).unwrap_or(u32::MAX)
}

/// A loss outweighs a doubt: what was seen was seen, however little load there was.
fn conclude(verdict: &mut ScenarioVerdict) {
    let mut lost = Vec::new();
    let mut doubts = Vec::new();
    for loss in &verdict.losses {
        lost.push(format!("{} × {} (rule {}): {}", loss.count, loss.class, loss.rule, loss.why));
    }
    for fault in &verdict.faults {
        let mut words = fault.words.clone();
        if let Some(rule) = fault.rule {
            words = format!("{words} (rule {rule})");
        }
        let list = if fault.kind.outcome() == Outcome::Lost { &mut lost } else { &mut doubts };
        if !list.contains(&words) {
            list.push(words);
        }
    }
    if let (true, Some(void)) = (verdict.rounds < verdict.rounds_wanted, verdict.void_rounds.last()) {
        let of = verdict.rounds as usize + verdict.void_rounds.len();
        doubts.push(format!("{} of {of} rounds were void: {}", verdict.void_rounds.len(), void.words));
    }
    if verdict.control.is_some_and(|control| control.lost == 0) {
        doubts.push(
            "the control server, which drops everything, lost nothing: the load was too thin".to_owned(),
        );
    }
    verdict.outcome = match (lost.is_empty(), doubts.is_empty()) {
        (false, _) => Outcome::Lost,
        (true, false) => Outcome::Inconclusive,
        // Stopped early without a fault: nothing is proven either.
        (true, true) if verdict.rounds < verdict.rounds_wanted => Outcome::Inconclusive,
        (true, true) => Outcome::Pass,
    };
    verdict.reasons = lost;
    verdict.reasons.append(&mut doubts);
}

/// The verdict over all scenarios, with its reasons.
pub(crate) fn judge(scenarios: &[ScenarioVerdict]) -> (Outcome, Vec<String>) {
    let any = |outcome| scenarios.iter().any(|scenario| scenario.outcome == outcome);
    let outcome = if any(Outcome::Lost) {
        Outcome::Lost
    } else if any(Outcome::Inconclusive) || scenarios.is_empty() {
        Outcome::Inconclusive
    } else {
        Outcome::Pass
    };
    let reasons = scenarios
        .iter()
        .flat_map(|verdict| verdict.reasons.iter().map(|reason| format!("{}: {reason}", verdict.scenario)))
        .collect();
    (outcome, reasons)
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, FaultKind};
    use super::*;
    use crate::observe::{Answer, End, Observation, Subject};
    use crate::process::Exit;
    use crate::round::Void;
    use std::time::{Duration, Instant};

    const LOSES: Option<Control> = Some(Control { rounds: 3, lost: 90 });

    fn request(answer: Answer, end: End, at: Instant) -> Observation {
        let of = Observation::new(Subject::Request, at);
        Observation { answered_before: 3, sent: 60, answer, end, gone: true, ..of }
    }

    /// A round with 5 good requests and `lost` lost ones, left after `exit_ms`.
    fn round(lost: u32, exit_ms: u64) -> Round {
        let signal = Instant::now();
        let mut round = Round { signal: Some(signal), ..Round::default() };
        for _ in 0..5 {
            let whole = Answer::Whole { status: 200, says_close: false };
            round.ledger.record(request(whole, End::Open, signal), false, Some(signal));
        }
        for _ in 0..lost {
            round.ledger.record(request(Answer::Nothing, End::Reset, signal), false, Some(signal));
        }
        let at = signal + Duration::from_millis(exit_ms);
        round.exit = Some(Exit { at, status: ExitStatus::Code(0) });
        round
    }

    fn fault(kind: FaultKind) -> Round {
        Round { faults: vec![Fault::new(kind)], ..round(0, 1) }
    }

    fn verdict(wanted: u32, rounds: &[Round], control: Option<Control>) -> ScenarioVerdict {
        judge_scenario(Scenario::Keepalive, wanted, rounds, control, StopSignal::TERM)
    }

    fn void(lost: u32) -> Round {
        Round { void: Some(Void::NoLoad { begun: 3, needed: 20 }), ..round(lost, 1) }
    }

    #[test]
    fn only_enough_clean_rounds_and_a_losing_control_pass() {
        let passed = verdict(3, &[round(0, 5), round(0, 40), round(0, 7)], LOSES);
        assert_eq!((passed.outcome, passed.lost, passed.total()), (Outcome::Pass, 0, 15));
        assert_eq!(passed.exit, Some(ExitTimes { min_ms: 5.0, median_ms: 7.0, max_ms: 40.0 }));
        assert!(passed.reasons.is_empty());

        let blind = Some(Control { rounds: 3, lost: 0 });
        assert_eq!(verdict(1, &[round(0, 5)], blind).outcome, Outcome::Inconclusive);
        assert_eq!(verdict(1, &[round(0, 5)], None).outcome, Outcome::Pass);
        assert_eq!(verdict(2, &[round(0, 5)], LOSES).outcome, Outcome::Inconclusive);
        assert_eq!(verdict(1, &[], LOSES).outcome, Outcome::Inconclusive);
    }

    #[test]
    fn void_rounds_prove_nothing_but_what_they_lost() {
        let doubtful = verdict(2, &[round(0, 5), void(0), void(0)], LOSES);
        assert_eq!((doubtful.outcome, doubtful.rounds), (Outcome::Inconclusive, 1));
        assert!(
            doubtful.reasons[0].contains("2 of 3 rounds were void: only 3 requests began"),
            "{:?}",
            doubtful.reasons
        );
        assert_eq!(verdict(1, &[round(0, 5), void(0)], LOSES).outcome, Outcome::Pass);
        assert_eq!(verdict(2, &[void(1), void(0)], LOSES).outcome, Outcome::Lost);
    }

    #[test]
    fn a_loss_is_named_with_its_rule_and_its_first_example() {
        let lost = verdict(3, &[round(0, 5), round(2, 5), round(1, 5)], LOSES);
        assert_eq!((lost.outcome, lost.lost), (Outcome::Lost, 3));
        let loss = &lost.losses[0];
        assert_eq!((loss.class, loss.rule, loss.rounds), (Class::LostReuse, "D4", 2));
        assert_eq!(loss.example.round, 2);
        assert!(lost.reasons[0].contains("3 × lost_reuse (rule D4)"), "{:?}", lost.reasons);
    }

    #[test]
    fn faults_weigh_what_they_weigh() {
        let status = ExitStatus::Code(1);
        let signal = "SIGTERM".to_owned();
        for (kind, outcome) in [
            (FaultKind::DiedAtStart { status, port: 1 }, Outcome::Inconclusive),
            (FaultKind::NeverOpened { port: 1, after_ms: 1, names_port: true }, Outcome::Inconclusive),
            (
                FaultKind::NeverReady { path: "/".to_owned(), status: None, after_ms: 1 },
                Outcome::Inconclusive,
            ),
            (FaultKind::DiedDuringLoad { status: Some(status) }, Outcome::Lost),
            (FaultKind::RefusedBeforeSignal { count: 1 }, Outcome::Lost),
            (FaultKind::IgnoredSignal { signal, deadline_ms: 1 }, Outcome::Lost),
            (FaultKind::Crashed { status: ExitStatus::Signal(11) }, Outcome::Lost),
            (FaultKind::LeftOver { processes: Vec::new() }, Outcome::Lost),
            (FaultKind::PortNotFree { port: 1 }, Outcome::Lost),
        ] {
            let judged = verdict(1, &[fault(kind.clone())], LOSES);
            assert_eq!(judged.outcome, outcome, "{kind:?}");
            assert_eq!(judged.reasons.len(), 1, "{kind:?}");
        }
    }

    #[test]
    fn a_loss_anywhere_outweighs_a_doubt_anywhere() {
        let pass = verdict(1, &[round(0, 5)], LOSES);
        let lost = verdict(1, &[round(1, 5)], LOSES);
        let doubt = verdict(1, &[void(0)], LOSES);
        let over = |list: &[&ScenarioVerdict]| {
            judge(&list.iter().map(|verdict| (*verdict).clone()).collect::<Vec<_>>()).0
        };
        assert_eq!(over(&[&pass, &pass]), Outcome::Pass);
        assert_eq!(over(&[&pass, &doubt]), Outcome::Inconclusive);
        assert_eq!(over(&[&doubt, &lost, &pass]), Outcome::Lost);
        assert_eq!(over(&[]), Outcome::Inconclusive);
    }
}
