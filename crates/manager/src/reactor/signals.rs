//! A descriptor that a signal handler may write to.

use super::SIGNALS;
use mio::net::UnixStream as Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// A pair of sockets: whatever is written to one of them ends the wait. (An eventfd takes eight bytes at a time and no
/// fewer, eventfd(2); whoever writes from a signal handler mostly writes one.)
pub(super) struct Signals {
    ours: Source,
    theirs: UnixStream,
}

/// Has the kernel tell of somebody else's descriptor, each time that something comes.
pub(super) fn watch(registry: &Registry, source: &OwnedFd) -> io::Result<()> {
    registry.register(&mut SourceFd(&source.as_raw_fd()), SIGNALS, Interest::READABLE)
}

pub(super) fn forget(registry: &Registry, source: &OwnedFd) {
    if let Err(error) = registry.deregister(&mut SourceFd(&source.as_raw_fd())) {
        tracing::debug!(target: "exeunt::manager", %error, "a descriptor could not be forgotten");
    }
}

impl Signals {
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let mut ours = Source::from_std(ours);
        registry.register(&mut ours, SIGNALS, Interest::READABLE)?;
        Ok(Self { ours, theirs })
    }

    pub(super) fn theirs(&self) -> BorrowedFd<'_> {
        self.theirs.as_fd()
    }

    /// Takes what was written, so that the next write is an edge.
    pub(super) fn take(&self) {
        let mut scratch = [0; 256];
        while let Ok(length) = (&self.ours).read(&mut scratch)
            && length > 0
        {}
    }
}
