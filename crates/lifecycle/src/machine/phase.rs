//! Phases, the time in the machine, and the log of when each phase began.

use std::fmt;
use std::time::Duration;

/// How far a program is on its way out. Only ever moves forward (L1); later phases compare greater.
///
/// ```
/// # use exeunt_lifecycle::Phase;
/// assert!(Phase::Running < Phase::Draining);
/// assert_eq!(Phase::ALL.map(|phase| phase.to_string())[2], "lame duck");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[repr(u8)]
pub enum Phase {
    /// From the beginning until it is ready.
    Starting,
    /// Ready.
    Running,
    /// A stop was requested: no longer ready, but whatever comes is still accepted and answered.
    LameDuck,
    /// Nothing new is accepted; what is in flight finishes.
    Draining,
    /// Nothing is in flight any more, or the drain deadline has cut what was.
    Closing,
    /// Over.
    Stopped,
}

impl Phase {
    /// All phases, in their order.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Running, Self::LameDuck, Self::Draining, Self::Closing, Self::Stopped];

    /// The phase after this one; `Stopped` is the last.
    pub(crate) fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| *phase > self)
    }

    pub(crate) fn from_index(index: u8) -> Self {
        Self::ALL.get(usize::from(index)).copied().unwrap_or(Self::Stopped)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::LameDuck => "lame duck",
            Self::Draining => "draining",
            Self::Closing => "closing",
            Self::Stopped => "stopped",
        })
    }
}

/// A point in time: how long after an epoch that the driver chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Time(pub(crate) Duration);

impl Time {
    pub(crate) fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// When each phase began: all those up to the present one, none beyond (L1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PhaseLog {
    begun: Vec<Time>,
}

impl PhaseLog {
    pub(crate) fn new(now: Time) -> Self {
        Self { begun: vec![now] }
    }

    /// The present phase begins, after the one before it.
    pub(crate) fn push(&mut self, now: Time) {
        self.begun.push(now);
    }

    /// The phases begun so far, and when.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Phase, Time)> {
        Phase::ALL.into_iter().zip(self.begun.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_in_words_is_padded_like_a_word() {
        assert_eq!(
            Phase::ALL.map(|phase| phase.to_string()).join(", "),
            "starting, running, lame duck, draining, closing, stopped"
        );
        assert_eq!(format!("{:>10}|{:<9}|", Phase::LameDuck, Phase::Running), " lame duck|running  |");
    }
}
