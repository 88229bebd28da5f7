use super::{Outcome, ScenarioVerdict, Verdict};
use crate::observe::Class;
use std::fmt::{self, Formatter};

/// Lines of the server's output that are shown.
const OUTPUT_LINES: usize = 8;

impl fmt::Display for Verdict {
    /// Renders the verdict for people: several lines, the last one the outcome, no line end after it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        writeln!(f, "drilled: {}", self.command.join(" "))?;
        write!(f, "stopped with {} on port {}", settings.signal, settings.port)?;
        write!(f, ", {} connections", settings.connections)?;
        if settings.flight_ms > 0.0 {
            write!(f, ", {} ms of flight", settings.flight_ms)?;
        }
        if settings.pipeline > 1 {
            write!(f, ", {} requests at once", settings.pipeline)?;
        }
        if settings.to_group {
            f.write_str(", signal to the group")?;
        }
        writeln!(f, "; {:.1} s in all\n", self.elapsed_ms / 1e3)?;
        table(self, f)?;
        for verdict in &self.scenarios {
            details(verdict, f)?;
        }
        if let Some(output) = self.output.as_deref().filter(|output| !output.trim().is_empty()) {
            writeln!(f, "\nthe last that it printed in the first bad round:")?;
            let lines: Vec<_> = output.trim_end().lines().collect();
            for line in lines.iter().skip(lines.len().saturating_sub(OUTPUT_LINES)) {
                writeln!(f, "  | {line}")?;
            }
        }
        writeln!(f)?;
        farewells(self, f)?;
        controls(self, f)?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        conclusion(self, f)
    }
}

fn table(verdict: &Verdict, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "{:<11} {:>6} {:>5} {:>9} {:>9} {:>8} {:>8} {:>7}  exit after ms (min/median/max)",
        "scenario", "rounds", "void", "requests", "ok", "refused", "crossed", "lost"
    )?;
    for verdict in &verdict.scenarios {
        write!(
            f,
            "{:<11} {:>6} {:>5} {:>9} {:>9} {:>8} {:>8} {:>7}  ",
            verdict.scenario,
            format_args!("{}/{}", verdict.rounds, verdict.rounds_wanted).to_string(),
            verdict.void_rounds.len(),
            verdict.total(),
            verdict.count(Class::Ok),
            verdict.count(Class::Refused),
            verdict.count(Class::Crossed),
            verdict.lost
        )?;
        match verdict.exit {
            Some(exit) => write!(f, "{:.1} / {:.1} / {:.1}", exit.min_ms, exit.median_ms, exit.max_ms)?,
            None => f.write_str("-")?,
        }
        for (number, count) in verdict.exit_statuses.iter().enumerate() {
            let before = if number == 0 { ", " } else { " and " };
            write!(f, "{before}{}", count.status)?;
        }
        writeln!(f)?;
    }
    Ok(())
}

fn details(verdict: &ScenarioVerdict, f: &mut Formatter<'_>) -> fmt::Result {
    if verdict.outcome == Outcome::Pass && verdict.count(Class::Unprocessed) == 0 {
        return Ok(());
    }
    writeln!(f, "\n{}: {}", verdict.scenario, verdict.outcome.name().to_uppercase())?;
    for loss in &verdict.losses {
        writeln!(f, "  {} × {} in {}", loss.count, loss.class, Counted(loss.rounds as usize, "round"))?;
        if loss.before_signal > 0 {
            writeln!(f, "    {} of them before the signal", loss.before_signal)?;
        }
        writeln!(f, "    rule {}: {}", loss.rule, loss.rule_says)?;
        writeln!(f, "    why: {}", loss.why)?;
        writeln!(f, "    such as {}", loss.example)?;
    }
    let mut told = Vec::new();
    for fault in &verdict.faults {
        if told.contains(&&fault.kind) {
            continue;
        }
        told.push(&fault.kind);
        let rule = fault.rule.map(|rule| format!(" (rule {rule})")).unwrap_or_default();
        writeln!(f, "  round {}: {}{rule}", fault.round, fault.words)?;
    }
    if let Some(void) = verdict.void_rounds.last() {
        let rounds = Counted(verdict.void_rounds.len(), "void round");
        writeln!(f, "  {rounds}, such as round {}: {}", void.round, void.words)?;
        if verdict.rounds == 0 && void.void.is_not_keeping() {
            let scenario = verdict.scenario;
            writeln!(
                f,
                "  it keeps no connections, so {scenario} says nothing about it: choose others (--scenario)"
            )?;
        }
    }
    if verdict.count(Class::Unprocessed) > 0 {
        let count = verdict.count(Class::Unprocessed);
        writeln!(f, "  {count} pipelined requests stood behind an answer that said close: no loss")?;
    }
    Ok(())
}

/// A number and its noun.
struct Counted(usize, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// How long streams ended, as their peers saw it.
fn farewells(verdict: &Verdict, f: &mut Formatter<'_>) -> fmt::Result {
    for scenario in verdict.scenarios.iter().filter(|scenario| !scenario.farewells.is_empty()) {
        let seen: Vec<_> =
            scenario.farewells.iter().map(|(farewell, count)| format!("{count} × {farewell}")).collect();
        writeln!(f, "{}: its peers saw {}", scenario.scenario, seen.join(", "))?;
    }
    Ok(())
}

fn controls(verdict: &Verdict, f: &mut Formatter<'_>) -> fmt::Result {
    let held: Vec<_> = verdict
        .scenarios
        .iter()
        .filter_map(|verdict| {
            let control = verdict.control?;
            Some(format!(
                "{} in {} of {}",
                control.lost,
                Counted(control.rounds as usize, "round"),
                verdict.scenario
            ))
        })
        .collect();
    if held.is_empty() {
        return Ok(());
    }
    write!(f, "control: a server that drops everything lost {}", held.join(", "))?;
    let idle = verdict.scenarios.iter().any(|verdict| verdict.control.is_none());
    writeln!(f, "{}", if idle { " (idle connections have nothing to lose)" } else { "" })
}

fn conclusion(verdict: &Verdict, f: &mut Formatter<'_>) -> fmt::Result {
    let lost: u64 = verdict.scenarios.iter().map(|scenario| scenario.lost).sum();
    let total: u64 = verdict.scenarios.iter().map(ScenarioVerdict::total).sum();
    let rounds: u32 = verdict.scenarios.iter().map(|scenario| scenario.rounds).sum();
    match verdict.outcome {
        Outcome::Pass => write!(f, "verdict: PASS, nothing lost in {rounds} stops and {total} requests"),
        Outcome::Lost if lost > 0 => write!(f, "verdict: LOST, {lost} of {total} requests"),
        Outcome::Lost => write!(f, "verdict: LOST, no request, but the server did not stop as it should"),
        Outcome::Inconclusive => {
            write!(f, "verdict: INCONCLUSIVE, {}", verdict.reasons.first().map_or("nothing ran", |why| why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Control, Fault, FaultKind, Settings, judge, judge_scenario};
    use super::*;
    use crate::observe::{Answer, End, Observation, Subject};
    use crate::process::{Exit, ExitStatus, Process};
    use crate::round::{Round, Void};
    use crate::scenario::Scenario;
    use crate::signal::StopSignal;
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);

    fn request(answer: Answer, end: End, begun: Instant, answered_before: u32) -> Observation {
        Observation {
            answered_before,
            silence: Duration::from_micros(300),
            sent: 67,
            answer,
            end,
            gone: true,
            ended: begun + 4 * MS,
            ..Observation::new(Subject::Request, begun)
        }
    }

    fn round(lost: u32, status: ExitStatus, exit_ms: u32) -> Round {
        let signal = Instant::now() + 100 * MS;
        let mut round = Round { signal: Some(signal), ..Round::default() };
        for _ in 0..200 {
            let whole = Answer::Whole { status: 200, says_close: false };
            round.ledger.record(request(whole, End::Open, signal - 50 * MS, 1), false, Some(signal));
        }
        for _ in 0..lost {
            let seen = request(Answer::Nothing, End::Reset, signal - 2 * MS, 3);
            round.ledger.record(seen, false, Some(signal));
        }
        round.exit = Some(Exit { at: signal + exit_ms * MS, status });
        round
    }

    fn verdict(scenarios: Vec<ScenarioVerdict>) -> Verdict {
        let (outcome, reasons) = judge(&scenarios);
        Verdict {
            schema: 1,
            outcome,
            reasons,
            command: vec!["server".to_owned(), "8000".to_owned()],
            settings: Settings {
                port: 8000,
                signal: "SIGTERM".to_owned(),
                to_group: false,
                host: "127.0.0.1".to_owned(),
                path: "/".to_owned(),
                slow_path: None,
                flight_path: None,
                upload_path: None,
                large_path: None,
                ws_path: None,
                sse_path: None,
                connections: 64,
                idle_connections: 1_000,
                flight_ms: 0.0,
                pipeline: 1,
                deadline_ms: 10_000.0,
            },
            notes: Vec::new(),
            scenarios,
            output: None,
            elapsed_ms: 12_345.0,
        }
    }

    fn scenario(scenario: Scenario, rounds: &[Round]) -> ScenarioVerdict {
        let control = (scenario != Scenario::Idle).then_some(Control { rounds: 3, lost: 99 });
        judge_scenario(scenario, 2, rounds, control, StopSignal::TERM)
    }

    #[test]
    fn a_pass_is_short() {
        let clean = || [round(0, ExitStatus::Code(0), 40), round(0, ExitStatus::Code(0), 42)];
        let verdict =
            verdict(vec![scenario(Scenario::Keepalive, &clean()), scenario(Scenario::Idle, &clean())]);
        insta::assert_snapshot!(verdict, @r"
        drilled: server 8000
        stopped with SIGTERM on port 8000, 64 connections; 12.3 s in all

        scenario    rounds  void  requests        ok  refused  crossed    lost  exit after ms (min/median/max)
        keepalive      2/2     0       400       400        0        0       0  40.0 / 40.0 / 42.0, exit status 0
        idle           2/2     0       400       400        0        0       0  40.0 / 40.0 / 42.0, exit status 0

        control: a server that drops everything lost 99 in 3 rounds of keepalive (idle connections have nothing to lose)
        verdict: PASS, nothing lost in 4 stops and 800 requests
        ");
    }

    #[test]
    fn a_loss_says_what_why_and_shows_one() {
        let (term, code) = (ExitStatus::Signal(15), ExitStatus::Code(0));
        let mut left = round(0, code, 20);
        let process = Process { pid: 4242, name: "worker".to_owned() };
        left.faults = vec![Fault::new(FaultKind::LeftOver { processes: vec!["worker (4242)".to_owned()] })];
        left.left_over = vec![process];
        let mut void = round(1, term, 2);
        void.void = Some(Void::NoLoad { begun: 3, needed: 20 });
        let mut verdict = verdict(vec![
            scenario(Scenario::Keepalive, &[round(2, term, 1), round(1, term, 1)]),
            scenario(Scenario::Fresh, &[round(0, code, 20), left]),
            scenario(Scenario::Slow, &[void]),
        ]);
        verdict.notes.push("connections lowered from 64 to 60: for a reason".to_owned());
        verdict.output = Some("listening on 8000\nGET /\n".to_owned());
        insta::assert_snapshot!(verdict, @r"
        drilled: server 8000
        stopped with SIGTERM on port 8000, 64 connections; 12.3 s in all

        scenario    rounds  void  requests        ok  refused  crossed    lost  exit after ms (min/median/max)
        keepalive      2/2     0       403       400        0        0       3  1.0 / 1.0 / 1.0, ended by SIGTERM
        fresh          2/2     0       400       400        0        0       0  20.0 / 20.0 / 20.0, exit status 0
        slow           0/2     1       201       200        0        0       1  2.0 / 2.0 / 2.0, ended by SIGTERM

        keepalive: LOST
          3 × lost_reuse in 2 rounds
            rule D4: a request that reaches an open connection before the close was announced is answered
            why: SIGTERM itself ended the process, after 1.0 ms: it has no handler for the signal (or one that ends at once), so whatever was begun vanished with it
            such as round 1: sent 2.0 ms before the signal on a connection that had answered 3 times, 67 bytes sent after 0.3 ms of silence; no byte of an answer, connection ended by RST 2.0 ms after the signal

        fresh: LOST
          round 2: it left processes behind, which were killed: worker (4242) (if the command is a wrapper, have it exec the server, or signal the group with --to-group) (rule L12)

        slow: LOST
          1 × lost_reuse in 1 round
            rule D4: a request that reaches an open connection before the close was announced is answered
            why: SIGTERM itself ended the process, after 2.0 ms: it has no handler for the signal (or one that ends at once), so whatever was begun vanished with it
            such as round 1: sent 2.0 ms before the signal on a connection that had answered 3 times, 67 bytes sent after 0.3 ms of silence; no byte of an answer, connection ended by RST 2.0 ms after the signal
          1 void round, such as round 1: only 3 requests began within 10 ms of the signal, 20 needed

        the last that it printed in the first bad round:
          | listening on 8000
          | GET /

        control: a server that drops everything lost 99 in 3 rounds of keepalive, 99 in 3 rounds of fresh, 99 in 3 rounds of slow
        note: connections lowered from 64 to 60: for a reason
        verdict: LOST, 4 of 1004 requests
        ");
    }

    #[test]
    fn a_doubt_is_no_pass() {
        let mut void = round(0, ExitStatus::Code(0), 2);
        void.void = Some(Void::NotKept { reused: 0, of: 199 });
        insta::assert_snapshot!(verdict(vec![scenario(Scenario::Keepalive, &[void])]), @r"
        drilled: server 8000
        stopped with SIGTERM on port 8000, 64 connections; 12.3 s in all

        scenario    rounds  void  requests        ok  refused  crossed    lost  exit after ms (min/median/max)
        keepalive      0/2     1       200       200        0        0       0  2.0 / 2.0 / 2.0, exit status 0

        keepalive: INCONCLUSIVE
          1 void round, such as round 1: only 0 of 199 requests before the signal reused a connection, 99 % needed
          it keeps no connections, so keepalive says nothing about it: choose others (--scenario)

        control: a server that drops everything lost 99 in 3 rounds of keepalive
        verdict: INCONCLUSIVE, keepalive: 1 of 1 rounds were void: only 0 of 199 requests before the signal reused a connection, 99 % needed
        ");
    }
}
