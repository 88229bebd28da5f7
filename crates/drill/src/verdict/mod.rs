//! What the drill found: data first, words in `display`, the judging in `judge`.

mod cause;
mod display;
mod example;
mod fault;
mod judge;

pub use example::Example;
pub(crate) use example::millis;
pub use fault::{Fault, FaultKind};
pub(crate) use judge::{counting, judge, judge_scenario};

use crate::observe::{Class, Subject};
use crate::process::{ExitStatus, Process};
use crate::round::Void;
use crate::scenario::Scenario;
use serde::Serialize;
use std::collections::BTreeMap;

/// The account of a whole drill. `Display` renders it for people, serde for machines; the JSON is
/// described in `docs/drill.md`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Version of this schema: 1. Fields may be added under the same number.
    pub schema: u32,
    /// The verdict in one word.
    pub outcome: Outcome,
    /// Why, one line each.
    pub reasons: Vec<String>,
    /// What was run, the port put in.
    pub command: Vec<String>,
    /// How it was drilled.
    pub settings: Settings,
    /// What the reader should know besides: load that was lowered, scenarios left out.
    pub notes: Vec<String>,
    /// One account for each scenario, in the order in which they ran.
    pub scenarios: Vec<ScenarioVerdict>,
    /// The last that the server printed in the first round that went wrong; none if none did.
    pub output: Option<String>,
    /// How long the drill took, in milliseconds.
    pub elapsed_ms: f64,
}

/// The verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was lost, and the drill could have told.
    Pass,
    /// At least one request was lost, or a rule of stopping was broken.
    Lost,
    /// No loss was seen, but the drill could not have told for sure.
    Inconclusive,
}

/// How the server was drilled.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Settings {
    /// IP address of the server.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The signal's name.
    pub signal: String,
    /// Whether it went to the whole process group.
    pub to_group: bool,
    /// Path of the requests.
    pub path: String,
    /// Path of the slow requests, if the scenario ran.
    pub slow_path: Option<String>,
    /// Path of the requests in `flight`, if it is another.
    pub flight_path: Option<String>,
    /// Path of the bodies in `half-sent`, if there were any.
    pub upload_path: Option<String>,
    /// Path of the large answers, if `slow-reader` ran.
    pub large_path: Option<String>,
    /// Path of the WebSockets, if the scenario ran.
    pub ws_path: Option<String>,
    /// Path of the server-sent events, if the scenario ran.
    pub sse_path: Option<String>,
    /// Connections at a time, except in `idle`.
    pub connections: u32,
    /// Connections in `idle`.
    pub idle_connections: u32,
    /// Wait between look and request on a kept connection, in milliseconds.
    pub flight_ms: f64,
    /// Requests sent at once in `keepalive`.
    pub pipeline: u32,
    /// From the signal to SIGKILL, in milliseconds.
    pub deadline_ms: f64,
}

/// The account of one scenario.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ScenarioVerdict {
    /// Which.
    pub scenario: Scenario,
    /// Its verdict.
    pub outcome: Outcome,
    /// Why, one line each; empty for a pass.
    pub reasons: Vec<String>,
    /// Rounds that were asked for.
    pub rounds_wanted: u32,
    /// Rounds that count: under load when the server was stopped.
    pub rounds: u32,
    /// Rounds that prove nothing. What was lost in them was lost all the same and is counted.
    pub void_rounds: Vec<VoidRound>,
    /// Requests of every class, over all rounds, void ones included.
    pub requests: BTreeMap<Class, u64>,
    /// Those of them that were over before the signal.
    pub before_signal: BTreeMap<Class, u64>,
    /// How the peers of long streams saw them end, in words, and how many did: the Close of a WebSocket with its code,
    /// the goodbye or the whole end of server-sent events; empty in other scenarios.
    pub farewells: BTreeMap<&'static str, u64>,
    /// Requests lost: the sum of the losses' counts.
    pub lost: u64,
    /// Each class of loss, with its rule and an example.
    pub losses: Vec<Loss>,
    /// Whatever else went wrong.
    pub faults: Vec<Fault>,
    /// From signal to exit; none if the process never ended by itself.
    pub exit: Option<ExitTimes>,
    /// How the process ended, and in how many rounds.
    pub exit_statuses: Vec<StatusCount>,
    /// Processes that outlived the server and were ended by the drill.
    pub left_over: Vec<LeftOver>,
    /// Whether the port was free after every round.
    pub port_free: bool,
    /// What the control server lost under the same load; none where it has nothing to lose.
    pub control: Option<Control>,
}

/// A round that proves nothing.
#[derive(Clone, Debug, Serialize)]
pub struct VoidRound {
    /// Its number, from 1.
    pub round: u32,
    /// Why, with its particulars.
    #[serde(flatten)]
    pub void: Void,
    /// The same in words.
    pub words: String,
}

/// Losses of one class.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// The class.
    pub class: Class,
    /// What was lost.
    pub subject: Subject,
    /// How many.
    pub count: u64,
    /// Those of them that were lost before the signal: under load alone.
    pub before_signal: u64,
    /// In how many rounds.
    pub rounds: u32,
    /// The rule that was broken.
    pub rule: &'static str,
    /// What the rule says.
    pub rule_says: &'static str,
    /// What the server did, as far as the client can tell.
    pub why: String,
    /// The first of them.
    pub example: Example,
}

/// Signal to exit, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExitTimes {
    /// The shortest.
    pub min_ms: f64,
    /// The middle one (the lower of two).
    pub median_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// A way to end, and in how many rounds it was seen.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StatusCount {
    /// How the process ended.
    pub status: ExitStatus,
    /// In how many rounds.
    pub rounds: u32,
}

/// A process that outlived the server.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOver {
    /// In which round, from 1.
    pub round: u32,
    /// Which process.
    #[serde(flatten)]
    pub process: Process,
}

/// The control server's account.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Control {
    /// Rounds against it.
    pub rounds: u32,
    /// Requests that it lost. It has to lose: a drill that sees no loss here is blind.
    pub lost: u64,
}

impl Outcome {
    /// The name as it stands in the JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Lost => "lost",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl ScenarioVerdict {
    /// Requests of a class.
    #[must_use]
    pub fn count(&self, class: Class) -> u64 {
        self.requests.get(&class).copied().unwrap_or_default()
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }
}

impl ExitTimes {
    /// `None` if there are none.
    pub(crate) fn of(times: &mut [f64]) -> Option<Self> {
        times.sort_by(f64::total_cmp);
        Some(Self {
            min_ms: *times.first()?,
            median_ms: *times.get((times.len() - 1) / 2)?,
            max_ms: *times.last()?,
        })
    }
}
