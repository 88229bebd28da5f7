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

impl Deref for App {
    type Target = Lifecycle;

    fn deref(&self) -> &Lifecycle {
        &self.lifecycle
    }
}
