//! How a child ended.

use crate::signal::Signal;
use std::fmt;
#[cfg(unix)]
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// How a child ended (wait(2)).
///
/// ```
/// # use exeunt_lifecycle::{ChildExit, Signal};
/// assert_eq!(ChildExit::Code(3).to_string(), "exit status 3");
/// assert!(ChildExit::Code(0).is_success());
/// let killed = ChildExit::Signal { signal: Signal::TERMINATE, core_dumped: false };
/// assert_eq!(killed.to_string(), "ended by SIGTERM");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChildExit {
    /// It exited, with this status from 0 to 255; on Windows any, of which those below 0 are the system's
    /// (`NTSTATUS`).
    Code(i32),
    /// A signal ended it. On Windows it is SIGKILL, and says that we have killed it.
    Signal {
        /// Which one.
        signal: Signal,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
    /// It has ended, and nobody can say how: somebody else has waited for it, or this process ignores SIGCHLD. Or it was
    /// killed, and is still there, since the kernel cannot end it.
    Unknown,
}

impl ChildExit {
    /// Whether it exited with status 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }

    pub(super) fn was_killed(self) -> bool {
        matches!(self, Self::Signal { signal, .. } if signal.number() == super::KILL)
    }
}

#[cfg(windows)]
impl ChildExit {
    /// What a child exits with that is killed by us, as shells on Unix have it.
    pub(super) const KILLED: u32 = 128 + super::KILL.unsigned_abs();

    pub(super) fn of(status: ExitStatus, killed: bool) -> Self {
        match status.code() {
            Some(code) if killed && code.cast_unsigned() == Self::KILLED => {
                Self::Signal { signal: Signal::new(super::KILL), core_dumped: false }
            }
            Some(code) => Self::Code(code),
            None => Self::Unknown,
        }
    }
}

#[cfg(unix)]
impl From<ExitStatus> for ChildExit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => {
                Self::Signal { signal: Signal::new(signal), core_dumped: status.core_dumped() }
            }
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for ChildExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code @ 0..) => write!(f, "exit status {code}"),
            Self::Code(code) => write!(f, "exit status {code:#X}"),
            Self::Signal { signal, core_dumped: false } => write!(f, "ended by {signal}"),
            Self::Signal { signal, core_dumped: true } => write!(f, "ended by {signal} (core dumped)"),
            Self::Unknown => f.write_str("ended, nobody knows how"),
        }
    }
}
