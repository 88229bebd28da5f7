//! What a start-up works with.

use exeunt_lifecycle::Lifecycle;
use std::ops::Deref;

/// The program, as its start-up sees it: its [`Lifecycle`], and what only a program has.
#[derive(Debug)]
pub struct App {
    lifecycle: Lifecycle,
}

impl App {
    pub(crate) fn new(lifecycle: Lifecycle) -> Self {
        Self { lifecycle }
    }

    pub(crate) fn into_lifecycle(self) -> Lifecycle {
        self.lifecycle
    }
}

impl App {
    /// The program has done what it was started for, and ends: requests the stop. For jobs that are over by
    /// themselves.
    pub fn done(&self) {
        self.stop().request_stop("the program was done");
    }
}

impl Deref for App {
    type Target = Lifecycle;

    fn deref(&self) -> &Lifecycle {
        &self.lifecycle
    }
}
