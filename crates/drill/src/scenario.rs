use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// A way to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scenario {
    /// Under load on kept connections.
    Keepalive,
    /// Under load, a new connection for each request.
    Fresh,
    /// With slow requests in flight.
    Slow,
    /// With silent keep-alive connections open, a few of which wake after the signal.
    Idle,
}

impl Scenario {
    /// Every scenario, in the order in which they run.
    pub const ALL: [Self; 4] = [Self::Keepalive, Self::Fresh, Self::Slow, Self::Idle];

    /// The name on the command line and in the JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keepalive => "keepalive",
            Self::Fresh => "fresh",
            Self::Slow => "slow",
            Self::Idle => "idle",
        }
    }

    /// Rounds unless told otherwise: the races of the first two need many, the others are steadier.
    pub(crate) fn default_rounds(self) -> u32 {
        match self {
            Self::Keepalive | Self::Fresh => 15,
            Self::Slow | Self::Idle => 3,
        }
    }

    /// Rounds against the control server, which has to lose in them. Silent connections have
    /// nothing to lose, whoever closes them.
    pub(crate) fn control_rounds(self) -> u32 {
        match self {
            Self::Keepalive | Self::Fresh => 3,
            Self::Slow => 1,
            Self::Idle => 0,
        }
    }

    pub(crate) fn pipelines(self) -> bool {
        self == Self::Keepalive
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name).ok_or_else(|| {
            format!("no scenario is called {name:?}: choose from {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}
