//! What can be done to a child on Windows: Ctrl-Break, and the end of its job.

use super::child::Shared;
use super::exit::ChildExit;
use crate::signal::Signal;
use crate::stop::Forked;
use exeunt_sys::child as sys;
use std::io;

impl Shared {
    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        if ![Signal::TERMINATE.number(), Signal::BREAK.number()].contains(&signal) {
            let what = "on Windows a child can be sent SIGTERM or SIGBREAK alone, which are Ctrl-Break";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        // Given an id that is no group's, Windows sends the event to others as well.
        if !self.own_group {
            let what = "the child is in our process group; only one in a group of its own can be told alone";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        // Under the lock: as long as there is no exit, its handle is open, and its id its own.
        let state = self.state().ok_or_else(|| io::Error::other(Forked))?;
        if state.exit.is_some() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the child has ended"));
        }
        sys::send_break(self.pid)
    }

    /// Ends it, and all that descend from it. Waits for nothing.
    pub(super) fn kill(&self) {
        let Some(mut state) = self.state() else { return };
        state.killed = true;
        if let Some(job) = &state.job {
            // None is known to fail.
            _ = job.kill(ChildExit::KILLED);
        }
    }
}
