//! Holding the server back, whose response goes to somebody slower (rule M20).

use super::{Body, Client, Reading};
use std::time::Instant;

impl Client {
    /// Whether no more of the body is wanted at present. From the end of a pause on the server has its time anew.
    pub(crate) fn pause_body(&mut self, paused: bool, now: Instant) {
        if let Reading::Body(incoming) = &mut self.reading
            && matches!(incoming.body, Body::Streamed(_) | Body::StreamedToEnd { .. })
            && incoming.paused != paused
        {
            incoming.paused = paused;
            self.last_byte = now;
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        matches!(&self.reading, Reading::Body(incoming) if incoming.paused)
    }
}
