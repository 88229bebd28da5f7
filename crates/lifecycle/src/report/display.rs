//! The report for people.

use super::{PhaseTime, Plain, Report, ScopeReport, count};
use crate::machine::Verdict;
use crate::scope::CutWork;
use crate::shield::ShieldOutcome;
use crate::work::LiveWork;
use std::fmt;
use std::time::Duration;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "stopped in {}: {cause}", Span(self.took))?,
            None => f.write_str("not stopped: this is a forked child")?,
        }
        for (index, PhaseTime { phase, time }) in self.phases.iter().enumerate() {
            f.write_str(if index == 0 { "\n  " } else { ", " })?;
            write!(f, "{phase} {}", Span(*time))?;
        }
        for scope in &self.scopes {
            write!(f, "\n  {scope}")?;
        }
        more(f, self.scopes_left_out, "scopes")?;
        for component in &self.components {
            write!(f, "\n  {component}")?;
        }
        more(f, self.components_left_out, "components")?;
        for shield in &self.shields {
            write!(f, "\n  {shield}")?;
        }
        more(f, self.shields_left_out, "shields")?;
        // One that did not end by itself is among those above.
        let longest = self.longest_shield.as_ref();
        if let Some(longest) = longest.filter(|longest| longest.outcome == ShieldOutcome::Ended) {
            write!(f, "\n  {longest}")?;
        }
        for failure in &self.failures {
            write!(f, "\n  {failure}")?;
        }
        more(f, self.failures_left_out, "failures")?;
        for failure in &self.hook_failures {
            write!(f, "\n  {failure}")?;
        }
        more(f, self.hook_failures_left_out, "failures of hooks")?;
        if let Some(error) = &self.not_written {
            write!(f, "\n  {}", Plain(error))?;
        }
        write!(f, "\n  exit status {}", self.exit_status())?;
        match self.verdict {
            Verdict::Forced { signal } => {
                write!(f, " (forced by {}, attempt {})", crate::Signal::new(signal), self.attempts)
            }
            _ => Ok(()),
        }
    }
}

/// What was left out of a list.
fn more(f: &mut fmt::Formatter<'_>, count: u64, what: &str) -> fmt::Result {
    if count > 0 { write!(f, "\n  and {count} {what} more") } else { Ok(()) }
}

impl fmt::Display for ScopeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, in_flight_at_stop, finished, cut, .. } = self;
        let (name, cuts) = (Plain(name), count(cut) + self.cut_left_out);
        write!(
            f,
            "{name}: {in_flight_at_stop} in flight at the stop, {finished} finished after it, {cuts} cut"
        )?;
        let handed_back = count(&self.handed_back) + self.handed_back_left_out;
        let others = [
            (self.failed, "failed"),
            (handed_back, "handed back"),
            (self.refused, "refused"),
            (self.left, "left behind"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        for work in cut {
            write!(f, "\n    cut: {work}")?;
        }
        for work in &self.handed_back {
            write!(f, "\n    handed back: {work}")?;
        }
        for work in &self.left_behind {
            write!(f, "\n    left behind: {work}")?;
        }
        // Those without a name are in the count above; of the others, some may have no room.
        match self.cut_left_out + self.handed_back_left_out {
            0 => Ok(()),
            unnamed => write!(f, "\n    and {unnamed} more that were cut or handed back"),
        }
    }
}

impl fmt::Display for CutWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, Plain(&self.name))?;
        if let Some(peer) = &self.peer {
            write!(f, " for {}", Plain(peer))?;
        }
        write!(f, ", after {}", Span(self.age))?;
        match &self.site {
            Some(site) => write!(f, ", from {site}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LiveWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, age, site } = self;
        write!(f, "{kind} {}, for {}, from {site}", Plain(name), Span(*age))
    }
}

/// A duration in the unit that suits it.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 if self.0.is_zero() => f.write_str("0 ms"),
            0..10 => write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3),
            10..1_000 => write!(f, "{} ms", self.0.as_millis()),
            _ => write!(f, "{:.1} s", self.0.as_secs_f64()),
        }
    }
}
