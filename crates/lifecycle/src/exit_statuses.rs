//! Which exit status each verdict has (L14).

use crate::machine::Verdict;
use crate::signal::Signal;
use std::collections::BTreeMap;

/// The exit status that goes with each verdict: 0 clean, 3 cut, 1 failed, 128 + signal forced, unless told otherwise.
///
/// For programs that stand in the place of others, and for supervisors that read something of their own out of a
/// status. A status is a number from 0 to 255, which is all that wait(2) passes on; no other can be given. Two
/// verdicts may have one status, and a status of 0 tells every supervisor that all was well: the [`Report`] knows
/// better in any case. Where [`Config::re_raise`] applies, the signal goes before the status.
///
/// ```
/// use exeunt_lifecycle::{Config, ExitStatuses, Lifecycle, Signal};
///
/// // EX_TEMPFAIL of sysexits(3), so that whoever started it tries once more.
/// let statuses = ExitStatuses::default().cut(75).forced_by(Signal::INTERRUPT, 75);
/// let lifecycle = Lifecycle::install(Config::default().exit_statuses(statuses))?;
/// # let scope = lifecycle.scope("imports");
/// let import = scope.track("import", "customers.csv");
/// import.cut();
/// # drop(scope);
/// assert_eq!(lifecycle.close().exit_status(), 75);
/// # Ok::<(), exeunt_lifecycle::InstallError>(())
/// ```
///
/// [`Report`]: crate::Report
/// [`Config::re_raise`]: crate::Config::re_raise
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it does nothing until a configuration has it: Config::exit_statuses"]
pub struct ExitStatuses {
    clean: Option<u8>,
    cut: Option<u8>,
    failed: Option<u8>,
    forced: Option<u8>,
    forced_by: BTreeMap<Signal, u8>,
}

impl ExitStatuses {
    /// When everything was finished. 0 unless told otherwise.
    pub fn clean(mut self, status: u8) -> Self {
        self.clean = Some(status);
        self
    }

    /// When a deadline cut something, or left something behind. 3 unless told otherwise.
    pub fn cut(mut self, status: u8) -> Self {
        self.cut = Some(status);
        self
    }

    /// When something failed. 1 unless told otherwise.
    pub fn failed(mut self, status: u8) -> Self {
        self.failed = Some(status);
        self
    }

    /// When a signal forced the end that [`forced_by`](Self::forced_by) says nothing of. 128 + signal unless told
    /// otherwise, as shells have it.
    pub fn forced(mut self, status: u8) -> Self {
        self.forced = Some(status);
        self
    }

    /// When `signal` was the one that forced the end. Said again for the same signal, the last counts.
    pub fn forced_by(mut self, signal: Signal, status: u8) -> Self {
        self.forced_by.insert(signal, status);
        self
    }

    /// The exit status that goes with `verdict`.
    ///
    /// ```
    /// # use exeunt_lifecycle::{ExitStatuses, Signal, Verdict};
    /// let statuses = ExitStatuses::default().clean(10).cut(11).failed(12).forced(13);
    /// let statuses = statuses.forced_by(Signal::INTERRUPT, 14);
    /// assert_eq!(statuses.of(Verdict::Clean), 10);
    /// assert_eq!(statuses.of(Verdict::Forced { signal: 15 }), 13);
    /// assert_eq!(statuses.of(Verdict::Forced { signal: 2 }), 14);
    /// ```
    #[must_use]
    pub fn of(&self, verdict: Verdict) -> u8 {
        let told = match verdict {
            Verdict::Clean => self.clean,
            Verdict::Cut => self.cut,
            Verdict::Failed => self.failed,
            Verdict::Forced { signal } => self.forced_by.get(&Signal::new(signal)).copied().or(self.forced),
        };
        told.unwrap_or_else(|| verdict.exit_status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERDICTS: [Verdict; 5] = [
        Verdict::Clean,
        Verdict::Cut,
        Verdict::Failed,
        Verdict::Forced { signal: 2 },
        Verdict::Forced { signal: 15 },
    ];

    #[test]
    fn l14_each_status_can_be_changed_and_no_other_changes_with_it() {
        let plain = ExitStatuses::default;
        let cases = [
            (plain(), [0, 3, 1, 130, 143]),
            (plain().clean(9), [9, 3, 1, 130, 143]),
            (plain().cut(9), [0, 9, 1, 130, 143]),
            (plain().failed(9), [0, 3, 9, 130, 143]),
            (plain().forced(9), [0, 3, 1, 9, 9]),
            (plain().forced_by(Signal::TERMINATE, 9), [0, 3, 1, 130, 9]),
            (plain().forced(8).forced_by(Signal::INTERRUPT, 9), [0, 3, 1, 9, 8]),
            (plain().forced_by(Signal::INTERRUPT, 7).forced_by(Signal::INTERRUPT, 255), [0, 3, 1, 255, 143]),
        ];
        for (statuses, expected) in cases {
            assert_eq!(VERDICTS.map(|verdict| statuses.of(verdict)), expected, "{statuses:?}");
        }
    }
}
