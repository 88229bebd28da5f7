//! How long a connection may take over what.

use std::time::Duration;

/// The time and size limits of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// From the first byte of a request head to its last. Default 30 s: a head fits in one packet, so this bounds only
    /// peers that trickle (slowloris).
    pub head: Duration,
    /// How long a connection may stay silent between requests, in service. Default 75 s: longer than the 60 s after
    /// which common balancers and clients give up a kept connection, so that they close first and nobody races us.
    pub idle: Duration,
    /// How long a connection must have been silent before a draining server closes it (rule D5). Default 250 ms: the
    /// round trip of a distant client, so that a request already on its way still arrives.
    pub idle_grace: Duration,
    /// How long to read on after our last byte, waiting for the peer to close (rule D7). Default 2 s.
    pub linger: Duration,
    /// How many bytes to discard meanwhile. Default 64 KiB.
    pub linger_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            idle_grace: Duration::from_millis(250),
            linger: Duration::from_secs(2),
            linger_bytes: 64 * 1024,
        }
    }
}
