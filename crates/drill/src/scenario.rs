use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// A way to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scenario {
    /// Under load on kept connections.
    Keepalive,
    /// Under load, a new connection for each request.
    Fresh,
    /// Under load on kept connections, each request some milliseconds on its way.
    Flight,
    /// Under load over HTTP/2 (prior knowledge, RFC 9113 §3.3), several streams on each connection.
    Http2,
    /// With slow requests in flight.
    Slow,
    /// With requests half sent, heads and bodies, the rest of which follows after the signal.
    HalfSent,
    /// With large answers under way to clients that read slowly.
    SlowReader,
    /// With WebSockets open, most of them talking.
    Websocket,
    /// With streams of server-sent events open.
    Sse,
    /// With silent keep-alive connections open, a few of which wake after the signal.
    Idle,
}

impl Scenario {
    /// Every scenario, in the order in which they run.
    pub const ALL: [Self; 10] = [
        Self::Keepalive,
        Self::Fresh,
        Self::Flight,
        Self::Http2,
        Self::Slow,
        Self::HalfSent,
        Self::SlowReader,
        Self::Websocket,
        Self::Sse,
        Self::Idle,
    ];

    /// The name on the command line and in the JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keepalive => "keepalive",
            Self::Fresh => "fresh",
            Self::Flight => "flight",
            Self::Http2 => "http2",
            Self::Slow => "slow",
            Self::HalfSent => "half-sent",
            Self::SlowReader => "slow-reader",
            Self::Websocket => "websocket",
            Self::Sse => "sse",
            Self::Idle => "idle",
        }
    }

    /// Rounds unless told otherwise: races under load need many, the others are steadier.
    pub(crate) fn default_rounds(self) -> u32 {
        match self {
            Self::Keepalive | Self::Fresh | Self::Flight | Self::Http2 => 15,
            _ => 3,
        }
    }

    /// Rounds against the control server, which has to lose in them. Silent connections have
    /// nothing to lose, whoever closes them.
    pub(crate) fn control_rounds(self) -> u32 {
        match self {
            Self::Keepalive | Self::Fresh | Self::Flight | Self::Http2 => 3,
            Self::Idle => 0,
            _ => 1,
        }
    }

    /// What a server needs to have for this scenario, if that is a path which only its owner can name: what has to
    /// be there, and the option that names it.
    pub(crate) fn needs(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Slow => Some(("a path whose answer takes about 500 ms", "--slow-path")),
            Self::SlowReader => Some(("a path whose answer has some megabytes", "--large-path")),
            Self::Websocket => Some(("a path of WebSockets that answers each message with one", "--ws-path")),
            Self::Sse => Some(("a path of server-sent events", "--sse-path")),
            _ => None,
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
