//! Why a program ends.

use crate::foreign::foreign;
use crate::machine::{Origin, Wish};
use crate::report::Plain;
use crate::signal::Signal;
use exeunt_sys::signal as sys;
use std::error::Error;
use std::fmt;

/// Why the program was asked to end. The first cause counts; later ones change nothing (L2).
///
/// ```
/// # use exeunt_lifecycle::Cause;
/// let cause = Cause::Call { why: "the last customer has left".to_owned() };
/// assert_eq!(cause.to_string(), "the last customer has left");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Cause {
    /// A signal was delivered.
    Signal(Received),
    /// Somebody called for it.
    Call {
        /// In the caller's words.
        why: String,
    },
    /// Stdin has ended, with [`Config::stop_on_stdin_end`](crate::Config::stop_on_stdin_end).
    StdinEnded,
    /// Something failed that the program cannot do without.
    Failure(Failure),
    /// The [`Lifecycle`](crate::Lifecycle) was dropped without being closed.
    Dropped,
}

impl Cause {
    pub(crate) fn wish(&self) -> Wish {
        if matches!(self, Self::Failure(_)) { Wish::Failure } else { Wish::Call }
    }
}

/// A signal and who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Received {
    /// The signal.
    pub signal: Signal,
    /// Who sent it.
    pub sender: Sender,
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Sender {
    /// The kernel; for SIGINT that is a key on the terminal. On Windows the console, or a program that generated its
    /// event.
    Terminal,
    /// Our parent, or a process in our group: it may pass on what the terminal sent.
    Relative(u32),
    /// Another process, by its id.
    Process(u32),
    /// Windows, as its console was closed.
    ConsoleClosed,
    /// Windows, as a user logged off.
    Logoff,
    /// Windows, as it shuts down.
    Shutdown,
    /// Nobody knows.
    Unknown,
}

impl Sender {
    pub(crate) fn origin(self) -> Origin {
        match self {
            Self::Terminal => Origin::Terminal,
            Self::Relative(_) => Origin::Relative,
            Self::Process(_) | Self::ConsoleClosed | Self::Logoff | Self::Shutdown | Self::Unknown => {
                Origin::Other
            }
        }
    }
}

impl Sender {
    /// Whether the system ends the process soon after, whatever becomes of the stop (L2).
    pub(crate) fn ends_us(self) -> bool {
        matches!(self, Self::ConsoleClosed | Self::Logoff | Self::Shutdown)
    }
}

impl From<sys::Origin> for Sender {
    fn from(origin: sys::Origin) -> Self {
        match origin {
            sys::Origin::Kernel => Self::Terminal,
            sys::Origin::Close => Self::ConsoleClosed,
            sys::Origin::Logoff => Self::Logoff,
            sys::Origin::Shutdown => Self::Shutdown,
            sys::Origin::Process { pid, related: true } => Self::Relative(pid),
            // 0: it lives in a PID namespace outside ours.
            sys::Origin::Process { pid: 0, .. } | sys::Origin::Direct { pid: 0 } | sys::Origin::Unknown => {
                Self::Unknown
            }
            sys::Origin::Process { pid, related: false } | sys::Origin::Direct { pid } => Self::Process(pid),
        }
    }
}

/// What failed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Failure {
    /// Who failed.
    pub name: String,
    /// The error and its sources, in one line.
    pub error: String,
}

impl Failure {
    /// Not under a lock: the error is put into words by itself, which is foreign code.
    pub(crate) fn new(name: String, error: &(dyn Error + Send + Sync)) -> Self {
        Self { name, error: in_words(error) }
    }
}

/// The error and its sources. One that panics over that is told by its panic.
pub(crate) fn in_words(error: &(dyn Error + Send + Sync)) -> String {
    let told = foreign(|| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(next) = source {
            text.push_str(": ");
            text.push_str(&next.to_string());
            source = next.source();
        }
        text
    });
    told.unwrap_or_else(|panic| format!("an error that cannot be told, since it {panic}"))
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(received) => received.fmt(f),
            Self::Call { why } => Plain(why).fmt(f),
            Self::Failure(failure) => failure.fmt(f),
            Self::StdinEnded => f.write_str("stdin ended"),
            Self::Dropped => f.write_str("the lifecycle was dropped"),
        }
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sender {
            Sender::Terminal => write!(f, "{} from the terminal", self.signal),
            Sender::Relative(pid) | Sender::Process(pid) => write!(f, "{} from process {pid}", self.signal),
            Sender::ConsoleClosed => write!(f, "{}, as the console was closed", self.signal),
            Sender::Logoff => write!(f, "{}, as a user logged off", self.signal),
            Sender::Shutdown => write!(f, "{}, as the system shuts down", self.signal),
            Sender::Unknown => self.signal.fmt(f),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", Plain(&self.name), Plain(&self.error))
    }
}
