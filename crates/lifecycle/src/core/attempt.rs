//! What the log says of stop signals (L9).

use crate::cause::Received;
use tracing::field::display;

/// A stop signal and what it came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) received: Received,
    /// How many count now.
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    /// It does: it is no relay.
    pub(super) counts: bool,
    /// It requested the stop.
    pub(super) first: bool,
}

impl Attempt {
    pub(super) fn trace(self) {
        let Self { received, attempt, max_attempts, counts, first } = self;
        let signal = display(received);
        if !counts {
            tracing::info!(target: "exeunt::lifecycle", signal, attempt, max_attempts, "stop signal, by another road");
        } else if attempt >= max_attempts {
            tracing::warn!(target: "exeunt::lifecycle", signal, attempt, max_attempts, "stop signal: the end is forced");
        } else if first {
            tracing::info!(target: "exeunt::lifecycle", signal, attempt, max_attempts, "stop signal");
        } else {
            tracing::warn!(target: "exeunt::lifecycle", signal, attempt, max_attempts, "stop signal: a further attempt");
        }
    }
}
