//! For loops of others that wait in place of this one.

use super::Reactor;
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::Instant;

impl Reactor {
    /// What is readable when the kernel has something to tell.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// When a pass is due, whatever the kernel tells; from here on whoever writes something down makes the descriptor readable.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        // First of all: a timer that is added behind this look wakes.
        if !self.core.fall_asleep() || self.is_busy() {
            return Some(Instant::now());
        }
        let timer = self.core.timers().next();
        [timer, self.deadlines.next()].into_iter().flatten().min()
    }
}
