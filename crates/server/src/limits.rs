//! What a peer may take of time and memory (rule D9).

/// The limits of each connection and of all together, in service as in draining.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Times of the drain protocol and of silence: head 30 s, idle 75 s, `idle_grace` 250 ms, linger 2 s and 64 KiB.
    pub drain: exeunt_drain::Limits,
}
