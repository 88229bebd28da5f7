//! The handle that everybody holds.

use crate::cause::{Cause, Failure};
use crate::core::Core;
use crate::machine::{Phase, Time};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The stop of a program: ask whether it is requested, wait for it, request it.
///
/// Any number of clones, in any thread or task; dropping one means nothing. When the
/// [`Lifecycle`](crate::Lifecycle) is dropped without being closed, the stop is over at once: every wait completes.
#[derive(Clone)]
pub struct Stop {
    core: Arc<Core>,
}

/// This process is a forked child: the stop is its parent's, and nothing here moves any more (L17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process was forked from the one whose stop this is; it has to install a lifecycle of its own")]
pub struct Forked;

impl Stop {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Whether the program is to end. One atomic load.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.phase() >= Phase::LameDuck
    }

    /// The present phase. One atomic load.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.core.phase()
    }

    /// Requests the stop; true if nobody had before. Only the first request's cause counts, and only it starts the
    /// clock (L2). In a forked child: nothing, and false.
    #[expect(clippy::must_use_candidate, reason = "whether it was the first interests few")]
    pub fn request(&self, cause: Cause) -> bool {
        self.core.request(cause)
    }

    /// Requests the stop, and says why in the report; true if nobody had before.
    pub fn request_stop(&self, why: impl Into<String>) -> bool {
        self.request(Cause::Call { why: why.into() })
    }

    /// Requests the stop because `name` has failed; true if nobody had requested it before. Every failure is in the
    /// report, and makes the exit status 1 even where it is not the cause (L4, L14).
    pub fn fail(&self, name: impl Into<String>, error: impl Into<Box<dyn Error + Send + Sync>>) -> bool {
        self.request(Cause::Failure(Failure::new(name.into(), &*error.into())))
    }

    /// When what is in flight will be cut; `None` before the stop request.
    ///
    /// On the lifecycle's clock: with [`Lifecycle::on_runtime`](crate::Lifecycle::on_runtime) this is a
    /// `tokio::time::Instant` as well, by `from_std`.
    #[must_use]
    pub fn drain_deadline(&self) -> Option<Instant> {
        let at = self.drain_time()?;
        self.core.clock().instant(at)
    }

    /// When the stop is over, whatever is left; `None` before the stop request.
    #[must_use]
    pub fn hard_deadline(&self) -> Option<Instant> {
        let at = self.core.state()?.machine.hard_deadline()?;
        self.core.clock().instant(at)
    }

    /// How long until the drain deadline, on the lifecycle's clock; zero when it has passed, `None` before the stop
    /// request.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let at = self.drain_time()?;
        Some(at.since(self.core.clock().now()))
    }

    /// Blocks until the stop is requested.
    ///
    /// # Errors
    ///
    /// [`Forked`], at once, in a forked child, where it would never come.
    pub fn wait(&self) -> Result<(), Forked> {
        self.wait_until(Phase::LameDuck, None).map(|_| ())
    }

    /// Blocks until `phase` is reached, for `timeout` at most; false if it was not.
    ///
    /// # Errors
    ///
    /// [`Forked`], at once, in a forked child, where it would never come.
    pub fn wait_for(&self, phase: Phase, timeout: Duration) -> Result<bool, Forked> {
        self.wait_until(phase, Some(timeout))
    }

    /// Completes when the stop is requested.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; waiting again after the fact completes at once.
    #[cfg(feature = "tokio")]
    pub async fn requested(&self) {
        self.reached(Phase::LameDuck).await;
    }

    /// Completes when `phase` is reached.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; waiting again after the fact completes at once.
    #[cfg(feature = "tokio")]
    pub async fn reached(&self, phase: Phase) {
        // The sender lives in the core, so this cannot end without the phase.
        _ = self.core.phases().wait_for(|now| *now >= phase).await;
    }

    fn drain_time(&self) -> Option<Time> {
        self.core.state()?.machine.drain_deadline()
    }

    fn wait_until(&self, phase: Phase, timeout: Option<Duration>) -> Result<bool, Forked> {
        let reached = self.core.wait_for(phase, timeout);
        if !reached && self.core.is_forked() { Err(Forked) } else { Ok(reached) }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("phase", &self.phase()).finish_non_exhaustive()
    }
}
