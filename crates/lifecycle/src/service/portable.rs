//! Elsewhere there is no such manager.

use std::io;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::time::Duration;

#[cfg(not(unix))]
type BorrowedFd<'a> = &'a ();

/// Nobody has one.
#[derive(Debug)]
pub(super) struct Socket;

/// What the service manager says in the environment cannot be used. (There is none but on Linux.)
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {}

impl Socket {
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(super) fn of_manager() -> Result<Option<Self>, ServiceError> {
        Ok(None)
    }

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(super) fn send(&self, _: &str, _: &[BorrowedFd<'_>]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
pub(super) fn watchdog() -> Result<Option<Duration>, ServiceError> {
    Ok(None)
}

pub(super) fn monotonic() -> Duration {
    Duration::ZERO
}
