//! A lifecycle's wish that strangers be reaped.

use super::engine::{Engine, Order};
use crate::signal::Signal;
use std::io;

/// What the kernel sends when a child ends.
pub(crate) const CHILD: Signal = Signal::new(rustix::process::Signal::CHILD.as_raw());

/// While it lives, this process reaps strangers. Dropping the last kills those that are left.
#[derive(Debug)]
pub(crate) struct Reaping(&'static Engine);

impl Reaping {
    /// `None` in a forked child of the process that began.
    pub(crate) fn begin(all: bool) -> io::Result<Option<Self>> {
        let Some(engine) = Engine::of_this_process()? else { return Ok(None) };
        engine.strangers().want(all)?;
        engine.order(Order::Look);
        Ok(Some(Self(engine)))
    }
}

impl Drop for Reaping {
    fn drop(&mut self) {
        if !self.0.is_forked() {
            self.0.strangers().want_no_more();
        }
    }
}

/// SIGCHLD has come.
pub(crate) fn someone_died() {
    if let Some(engine) = Engine::if_any() {
        engine.order(Order::Look);
    }
}
