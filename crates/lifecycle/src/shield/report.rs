//! What the report says of shields.

use crate::site::Site;
use std::fmt;

/// A shield that did not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShieldReport {
    /// Where it was taken; `None` if shields are taken in more than 4,000 places.
    pub site: Option<Site>,
    /// How it ended.
    pub outcome: ShieldOutcome,
}

/// How a shield ended that did not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ShieldOutcome {
    /// Its budget ran out.
    Expired,
    /// The end was forced.
    Forced,
}

impl fmt::Display for ShieldOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Expired => "ran out of time",
            Self::Forced => "was overridden by a forced end",
        })
    }
}

impl fmt::Display for ShieldReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.site {
            Some(site) => write!(f, "the shield taken at {site} {}", self.outcome),
            None => write!(f, "a shield {}", self.outcome),
        }
    }
}
