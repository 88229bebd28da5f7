//! What a drain did.

use exeunt_lifecycle::CutWork;
use exeunt_listener::{Address, CloseReport};
use std::fmt;
use std::time::Duration;

/// More panics, and more pieces of cut work, than this are counted and not kept.
const KEPT: usize = 1000;

/// What became of everything that was open when a drain began.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// From the beginning of the drain to its end.
    pub duration: Duration,
    /// How each listener was closed.
    pub listeners: Vec<CloseReport>,
    /// What the deadline ended, a thousand pieces at most.
    pub cut: Vec<CutWork>,
    /// How many there were.
    pub cut_count: u64,
    /// What handlers and timers panicked with since the manager was made, a thousand at most.
    pub panics: Vec<String>,
    /// How many times they did.
    pub panic_count: u64,
}

impl DrainReport {
    /// Whether nothing was cut, no handler panicked, and no listener was closed by its limit or an error.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let closed_well = |report: &CloseReport| !report.limit_hit && report.failure.is_none();
        self.cut_count == 0 && self.panic_count == 0 && self.listeners.iter().all(closed_well)
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "drained in {:.1} ms", self.duration.as_secs_f64() * 1e3)?;
        for listener in &self.listeners {
            write!(f, "\n  listener {listener}")?;
        }
        for cut in &self.cut {
            write!(f, "\n  cut: {} {}", cut.kind, cut.name)?;
            if let Some(peer) = &cut.peer {
                write!(f, " for {peer}")?;
            }
            write!(f, ", {:.1} s old", cut.age.as_secs_f64())?;
        }
        more(f, self.cut_count, self.cut.len(), "pieces of work were cut")?;
        for panic in &self.panics {
            write!(f, "\n  a handler panicked: {panic}")?;
        }
        more(f, self.panic_count, self.panics.len(), "panics")
    }
}

fn more(f: &mut fmt::Formatter<'_>, count: u64, kept: usize, what: &str) -> fmt::Result {
    match count.saturating_sub(kept as u64) {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more {what}"),
    }
}

/// What is written down as it happens.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) listeners: Vec<CloseReport>,
    cut: Vec<CutWork>,
    cut_count: u64,
    panics: Vec<String>,
    panic_count: u64,
}

impl Account {
    /// Writes down what was ended before it was finished; that is also what its work is cut as.
    pub(crate) fn cut(
        &mut self,
        kind: &'static str,
        name: String,
        peer: Option<&Address>,
        age: Duration,
    ) -> CutWork {
        let what = CutWork { name, kind, peer: peer.map(ToString::to_string), age, site: None };
        self.cut_count += 1;
        if self.cut.len() < KEPT {
            self.cut.push(what.clone());
        }
        what
    }

    pub(crate) fn panicked(&mut self, panic: String) {
        self.panic_count += 1;
        if self.panics.len() < KEPT {
            self.panics.push(panic);
        }
    }

    /// The report of a drain that took this long.
    pub(crate) fn report(&mut self, duration: Duration) -> DrainReport {
        let Self { listeners, cut, cut_count, panics, panic_count } = std::mem::take(self);
        DrainReport { duration, listeners, cut, cut_count, panics, panic_count }
    }
}
