//! Why a component did not start.

use std::error::Error;
use std::time::Duration;

/// Why a component did not start. It is recorded already: a program that ends by returning this needs to do nothing
/// about it (L3).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A stop was requested, and nothing further starts. No failure.
    #[error("{name} was not started, since the program is stopping")]
    Stopping {
        /// Which component.
        name: String,
    },
    /// Its group is closed, or is being closed.
    #[error("{name} was not started, since its group is closed")]
    GroupClosed {
        /// Which component.
        name: String,
    },
    /// Its start failed, or panicked.
    #[error("{name} could not start")]
    Failed {
        /// Which component.
        name: String,
        /// What its start returned.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Its start took longer than its start timeout, or than the stop could wait. It was given up.
    #[error("{name} could not start in {after:?}, and was given up; see start_timeout")]
    TimedOut {
        /// Which component.
        name: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// This process is a forked child (L17).
    #[error("{name} was not started, since this process was forked from the one whose lifecycle this is")]
    Forked {
        /// Which component.
        name: String,
    },
}
