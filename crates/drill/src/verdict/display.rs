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
        "{:<10} {:>6} {:>5} {:>9} {:>9} {:>8} {:>8} {:>7}  exit after ms (min/median/max)",
        "scenario", "rounds", "void", "requests", "ok", "refused", "crossed", "lost"
    )?;
    for verdict in &verdict.scenarios {
        write!(
            f,
            "{:<10} {:>6} {:>5} {:>9} {:>9} {:>8} {:>8} {:>7}  ",
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
        writeln!(f, "  {} × {} in {} rounds", loss.count, loss.class, loss.rounds)?;
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
        writeln!(
            f,
            "  {} void rounds, such as round {}: {}",
            verdict.void_rounds.len(),
            void.round,
            void.reason
        )?;
        if verdict.rounds == 0 && void.reason.contains("reused") {
            writeln!(
                f,
                "  it keeps no connections, so keepalive says nothing about it; leave it out with --scenario"
            )?;
        }
    }
    if verdict.count(Class::Unprocessed) > 0 {
        let count = verdict.count(Class::Unprocessed);
        writeln!(f, "  {count} pipelined requests stood behind an answer that said close: no loss")?;
    }
    Ok(())
}

fn controls(verdict: &Verdict, f: &mut Formatter<'_>) -> fmt::Result {
    let held: Vec<_> = verdict
        .scenarios
        .iter()
        .filter_map(|verdict| {
            let control = verdict.control?;
            Some(format!("{} in {} rounds of {}", control.lost, control.rounds, verdict.scenario))
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
