//! How long a close may take.

use std::time::Duration;

/// The bounds of a close.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseOptions {
    /// The longest that the close may take, 2 s by default: beyond the second after which an unanswered handshake
    /// packet is repeated (RFC 6298 §2), so that one lost packet loses no client.
    pub limit: Duration,
    /// How long handshakes under way are waited for where the system does not tell of them, 250 ms by default: a round
    /// trip to the other side of the world.
    pub handshake_grace: Duration,
    /// The longest search in `/proc` for others who hold the socket, 500 ms by default; it takes some microseconds for
    /// each open descriptor. If it does not suffice, new clients are not turned away, and the queue is emptied.
    pub owner_search: Duration,
}

impl Default for CloseOptions {
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(2),
            handshake_grace: Duration::from_millis(250),
            owner_search: Duration::from_millis(500),
        }
    }
}

impl CloseOptions {
    /// With this `limit`.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// With this `handshake_grace`.
    #[must_use]
    pub fn handshake_grace(mut self, grace: Duration) -> Self {
        self.handshake_grace = grace;
        self
    }

    /// With this `owner_search`.
    #[must_use]
    pub fn owner_search(mut self, longest: Duration) -> Self {
        self.owner_search = longest;
        self
    }
}
