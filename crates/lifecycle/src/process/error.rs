//! Why a child did not start.

use super::exit::ChildExit;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a child did not start. Whatever was begun is gone by then: told to stop, killed if need be, and waited for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// It could not be executed.
    #[error("{name}: {} could not be executed; look whether it, and the directory that it is to run in, exist and may be used", program.display())]
    Execute {
        /// The child's name.
        name: String,
        /// What was to be executed.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready: {exit}{}{}", Errno(*errno), Stderr(stderr))]
    Ended {
        /// The child's name.
        name: String,
        /// How it ended.
        exit: ChildExit,
        /// What it said by `ERRNO=`, if it did.
        errno: Option<i32>,
        /// The last 4 KiB of its stderr, if that was captured.
        stderr: String,
    },
    /// It was not ready in time.
    #[error(
        "{name} was not ready within {}{}, and was ended ({exit}){}",
        humantime::format_duration(*within),
        if *bootstrapped { ", though it had begun to start" } else { "" },
        Stderr(stderr)
    )]
    Late {
        /// The child's name.
        name: String,
        /// How long it was given, but for what it asked for itself.
        within: Duration,
        /// Whether it said that its start-up has begun (`X_EXEUNT_BOOTSTRAPPED=1`).
        bootstrapped: bool,
        /// How it ended.
        exit: ChildExit,
        /// The last 4 KiB of its stderr, if that was captured.
        stderr: String,
    },
    /// The program is stopping: it was not started, or its start was cut at the drain deadline.
    #[error("{name} was not started, since the program is stopping")]
    Stopping {
        /// The child's name.
        name: String,
    },
    /// This is a forked child of the process whose lifecycle it is (L17).
    #[error(
        "{name} was not started: this process was forked from the one whose lifecycle this is; exec first"
    )]
    Forked {
        /// The child's name.
        name: String,
    },
    /// The function that makes its command panicked.
    #[error("{name} was not started: the function that makes its command {panic}")]
    Command {
        /// The child's name.
        name: String,
        /// What the panic said.
        panic: String,
    },
    /// It was to be ready by a notification ([`Readiness::Notify`](super::Readiness::Notify)), which there is not on this
    /// system.
    #[error("{name} was not started: a child cannot say READY=1 on Windows; start it with Readiness::Exec")]
    NoNotify {
        /// The child's name.
        name: String,
    },
    /// What it takes to start and watch a child is not to be had.
    #[error(
        "{name} was not started: no process, thread, pipe or socket for it is to be had; raise the limits of processes and open files"
    )]
    Watch {
        /// The child's name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
}

impl ChildError {
    /// What the child said on stderr, at most its last 4 KiB; empty if it was not captured, or never ran.
    #[must_use]
    pub fn stderr(&self) -> &str {
        match self {
            Self::Ended { stderr, .. } | Self::Late { stderr, .. } => stderr,
            _ => "",
        }
    }
}

struct Errno(Option<i32>);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, " ({})", io::Error::from_raw_os_error(number)),
            None => Ok(()),
        }
    }
}

struct Stderr<'a>(&'a str);

impl fmt::Display for Stderr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.trim_end() {
            "" => Ok(()),
            said => write!(f, "; it said: {said}"),
        }
    }
}
