//! What the report says of shields.

use crate::machine::Time;
use crate::report::Span;
use crate::site::Site;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A shield that held the stop up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShieldReport {
    /// Its name, if it was given one by [`Shield::named`](crate::Shield::named).
    pub name: Option<String>,
    /// Where it was taken; `None` if shields are taken in more than 4,000 places.
    pub site: Option<Site>,
    /// How long ago it had been taken when it ended, or when the stop went on without it.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::report::seconds"))]
    pub age: Duration,
    /// For how much of that it held the stop up: since the stop request.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::report::seconds"))]
    pub held: Duration,
    /// How it ended.
    pub outcome: ShieldOutcome,
}

/// How a shield ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ShieldOutcome {
    /// By itself: it was dropped, or it broke.
    Ended,
    /// Its budget ran out.
    Expired,
    /// The end was forced.
    Forced,
}

/// A shield that holds the stop up.
#[derive(Clone, Debug)]
pub(crate) struct LiveShield {
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) site: Option<Site>,
    pub(crate) since: Time,
}

impl LiveShield {
    /// In words.
    pub(crate) fn who(&self) -> String {
        Who(self.name.as_deref(), self.site).to_string()
    }

    pub(crate) fn report(self, requested: Time, now: Time, outcome: ShieldOutcome) -> ShieldReport {
        let Self { name, site, since } = self;
        let (age, held) = (now.since(since), now.since(since.max(requested)));
        ShieldReport { name: name.map(Cow::into_owned), site, age, held, outcome }
    }
}

/// How many a notice names.
const NAMED: usize = 10;

/// The oldest of those that hold the stop up, in words, and how many more there are.
pub(crate) fn oldest<'a>(live: impl Iterator<Item = &'a LiveShield>, now: Time) -> Vec<String> {
    let mut live: Vec<_> = live.collect();
    live.sort_by_key(|shield| shield.since);
    let more = live.len().saturating_sub(NAMED);
    let named = live.iter().take(NAMED);
    let mut words: Vec<_> = named
        .map(|LiveShield { name, site, since }| {
            format!("{}, for {}", Who(name.as_deref(), *site), Span(now.since(*since)))
        })
        .collect();
    words.extend((more > 0).then(|| format!("{more} shields more")));
    words
}

/// A shield by its name and where it was taken.
struct Who<'a>(Option<&'a str>, Option<Site>);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(name), Some(site)) => write!(f, "the shield {name:?} taken at {site}"),
            (Some(name), None) => write!(f, "the shield {name:?}"),
            (None, Some(site)) => write!(f, "the shield taken at {site}"),
            (None, None) => f.write_str("a shield"),
        }
    }
}

impl fmt::Display for ShieldOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ended => "ended",
            Self::Expired => "ran out of time",
            Self::Forced => "was overridden by a forced end",
        })
    }
}

impl fmt::Display for ShieldReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, site, age, held, outcome } = self;
        let who = Who(name.as_deref(), *site);
        match outcome {
            ShieldOutcome::Ended => write!(f, "{who} held the stop up for {}", Span(*held)),
            _ => write!(f, "{who} {outcome}, {} old", Span(*age)),
        }
    }
}
