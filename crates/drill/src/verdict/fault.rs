use super::Outcome;
use crate::load::Ledger;
use crate::observe::Class;
use crate::process::ExitStatus;
use crate::signal::{StopSignal, signal_name};
use serde::Serialize;
use std::fmt;

/// What went wrong besides lost requests.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// In which round, from 1.
    pub round: u32,
    /// What, with its particulars.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The rule that was broken, where one was.
    pub rule: Option<&'static str>,
    /// The same in words.
    pub words: String,
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// The command ended before the port answered.
    DiedAtStart {
        /// How it ended.
        status: ExitStatus,
        /// The port.
        port: u16,
    },
    /// Nobody listened on the port within the start deadline.
    NeverOpened {
        /// The port.
        port: u16,
        /// The start deadline in milliseconds.
        after_ms: u64,
        /// Whether the command has `{port}` in it.
        names_port: bool,
    },
    /// The port was open, but the path never answered with 200 to 399.
    NeverReady {
        /// The path.
        path: String,
        /// The last status; none if there was no answer.
        status: Option<u16>,
        /// The start deadline in milliseconds.
        after_ms: u64,
    },
    /// It does not answer the preface of HTTP/2 by its settings.
    NoHttp2,
    /// The process ended before it was asked to.
    DiedDuringLoad {
        /// How it ended.
        status: Option<ExitStatus>,
    },
    /// Connects were refused before the signal was sent.
    RefusedBeforeSignal {
        /// How many.
        count: u64,
    },
    /// The process still lived at the deadline and was killed.
    IgnoredSignal {
        /// The signal's name.
        signal: String,
        /// The deadline in milliseconds.
        deadline_ms: u64,
    },
    /// Another signal than the one we sent ended the process.
    Crashed {
        /// How it ended.
        status: ExitStatus,
    },
    /// Processes outlived the server; the drill ended them.
    LeftOver {
        /// Their names and ids.
        processes: Vec<String>,
    },
    /// Somebody still listened on the port after the exit.
    PortNotFree {
        /// The port.
        port: u16,
    },
}

impl Fault {
    pub(crate) fn new(kind: FaultKind) -> Self {
        Self { round: 0, rule: kind.rule(), words: kind.to_string(), kind }
    }

    /// A refusal before the signal, if there was one.
    pub(crate) fn refused_before(ledger: &Ledger) -> Option<Self> {
        let count = ledger.count(Class::Refused).before;
        (count > 0).then(|| Self::new(FaultKind::RefusedBeforeSignal { count }))
    }

    /// An end by a signal that nobody sent.
    pub(crate) fn crashed(status: ExitStatus, sent: StopSignal) -> Option<Self> {
        let ExitStatus::Signal(number) = status else { return None };
        (number != sent.raw().as_raw()).then(|| Self::new(FaultKind::Crashed { status }))
    }
}

impl FaultKind {
    /// What this fault alone makes of the verdict.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            // The server was never stopped: nothing can be said about how it stops.
            Self::DiedAtStart { .. } | Self::NeverOpened { .. } | Self::NeverReady { .. } | Self::NoHttp2 => {
                Outcome::Inconclusive
            }
            _ => Outcome::Lost,
        }
    }

    /// Whether further rounds of the scenario would only show the same, at length.
    pub(crate) fn ends_scenario(&self) -> bool {
        !matches!(self, Self::LeftOver { .. } | Self::Crashed { .. } | Self::RefusedBeforeSignal { .. })
    }

    /// Whether no other scenario can fare better.
    pub(crate) fn ends_drill(&self) -> bool {
        self.outcome() == Outcome::Inconclusive && *self != Self::NoHttp2
    }

    /// The rule of the design that it breaks, where one speaks of it.
    fn rule(&self) -> Option<&'static str> {
        match self {
            Self::IgnoredSignal { .. } => Some("L2"),
            Self::LeftOver { .. } => Some("L12"),
            Self::PortNotFree { .. } => Some("L4"),
            Self::Crashed { .. } => Some("L14"),
            _ => None,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiedAtStart { status, port } => {
                write!(f, "the command ended ({status}) before port {port} answered")?;
                if *status == ExitStatus::Code(0) {
                    f.write_str(" (if it went into the background, have it stay in the foreground)")?;
                }
                Ok(())
            }
            Self::NeverOpened { port, after_ms, names_port } => {
                write!(f, "nobody listened on port {port} within {after_ms} ms of the start")?;
                if !names_port {
                    write!(f, " (the command has no {{port}} in it: does it listen on {port}?)")?;
                }
                Ok(())
            }
            Self::NeverReady { path, status: Some(status), after_ms } => {
                write!(
                    f,
                    "GET {path} still answered {status} after {after_ms} ms; it has to answer 200 to 399"
                )
            }
            Self::NeverReady { path, status: None, after_ms } => {
                write!(f, "the port was open, but GET {path} had no HTTP/1 answer within {after_ms} ms")
            }
            Self::NoHttp2 => f.write_str(
                "it did not answer the preface of HTTP/2 by its settings: it does not speak HTTP/2 without TLS \
                 (prior knowledge, RFC 9113 §3.3)",
            ),
            Self::DiedDuringLoad { status: Some(status) } => {
                write!(f, "the server died under load, before the signal ({status})")
            }
            Self::DiedDuringLoad { status: None } => {
                f.write_str("the server died under load, before the signal")
            }
            Self::RefusedBeforeSignal { count } => {
                write!(f, "{count} connects were refused before the signal")
            }
            Self::IgnoredSignal { signal, deadline_ms } => {
                write!(f, "it still ran {deadline_ms} ms after {signal} and had to be killed")
            }
            Self::Crashed { status: ExitStatus::Signal(number) } => {
                write!(f, "it crashed while stopping ({})", signal_name(*number))
            }
            Self::Crashed { status } => write!(f, "it crashed while stopping ({status})"),
            Self::LeftOver { processes } => {
                write!(
                    f,
                    "it left processes behind, which were killed: {} (if the command is a wrapper, have it exec \
                     the server, or signal the group with --to-group)",
                    processes.join(", ")
                )
            }
            Self::PortNotFree { port } => {
                write!(f, "port {port} was still being listened on after the exit")
            }
        }
    }
}
