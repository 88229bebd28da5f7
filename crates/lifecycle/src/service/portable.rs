//! Elsewhere there is no such manager.

use std::io;
use std::time::Duration;

/// There is none.
#[derive(Debug)]
pub(super) enum Socket {}

/// What the service manager says in the environment cannot be used. (There is none but on Linux.)
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {}

impl Socket {
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(super) fn of_manager() -> Result<Option<Self>, ServiceError> {
        Ok(None)
    }

    pub(super) fn send<T>(&self, _: &str, _: &[T]) -> io::Result<()> {
        match *self {}
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
pub(super) fn watchdog() -> Result<Option<Duration>, ServiceError> {
    Ok(None)
}

pub(super) fn monotonic() -> Duration {
    Duration::ZERO
}
