//! What became of a component, for the report.

use crate::report::{Plain, Span};
use std::fmt;
use std::time::Duration;

/// What became of a component, or of exit work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ComponentReport {
    /// Its name, behind those of the groups around it: `tenant/cache`.
    pub name: String,
    /// How it ended.
    pub outcome: ComponentOutcome,
    /// How long its close took, or how long it was waited for; zero if it was not closed.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::report::seconds"))]
    pub took: Duration,
}

/// How a component ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ComponentOutcome {
    /// It closed.
    Closed,
    /// Closing it failed, or panicked.
    Failed,
    /// It did not close in time, and was left behind.
    TimedOut,
    /// It was not closed, or not to the end: there was no time left, the end was forced, or the lifecycle dropped.
    Skipped,
    /// Its start failed, or panicked.
    StartFailed,
    /// Its start took too long, and was given up.
    StartTimedOut,
}

impl fmt::Display for ComponentOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Failed => "closing failed",
            Self::TimedOut => "did not close in time",
            Self::Skipped => "not closed",
            Self::StartFailed => "could not start",
            Self::StartTimedOut => "did not start in time",
        })
    }
}

impl fmt::Display for ComponentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Plain(&self.name), self.outcome)?;
        match self.outcome {
            ComponentOutcome::Closed | ComponentOutcome::Failed | ComponentOutcome::TimedOut => {
                write!(f, " after {}", Span(self.took))
            }
            _ => Ok(()),
        }
    }
}
