//! What the machine is told, and what it answers.

/// What happened to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<'a> {
    /// These bytes came from the peer, the preface (RFC 9113 §3.4) included.
    Bytes(&'a [u8]),
    /// The kernel has taken these bytes.
    Written(&'a [u8]),
    /// The peer has ended its side (FIN).
    Eof,
    /// The owner has had enough of this connection, for a reason of its own: no stream shall begin on it any more.
    Leave,
    /// A stop has been requested (D2).
    Stopping,
    /// The phase `Draining` has begun.
    Draining,
    /// The drain deadline has come, or the end is forced (D8).
    Cut,
    /// The time is [`Connection::wake_at`](super::Connection::wake_at) or later; sooner does no harm.
    Tick,
    /// The last look found the receive queue empty.
    NothingThere,
    /// Whatever can be written for the streams that were cut is with the kernel, and nothing more will come for them.
    Settled,
    /// The HTTP layer is done with the connection: nothing further will be written.
    Finished,
}

/// What the owner of the socket must do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Say GOAWAY in its two steps (D2), and close when the last stream has ended.
    GoAway,
    /// Ask the kernel (not a cached readiness) whether anything is in the receive queue, and answer with
    /// [`Input::Bytes`], [`Input::Eof`] or [`Input::NothingThere`].
    LastLook,
    /// Treat the input as ended.
    EndInput,
    /// Answer each stream whose response is not begun with 503, in place of the program, and reset every other; those that
    /// still come are answered so, too (D8).
    CutStreams,
    /// Shut down the write side (TLS: `close_notify` first), then read and discard, telling [`Input::Bytes`] and
    /// [`Input::Eof`], until [`Effect::Close`] comes (D7).
    Linger,
    /// Close: nothing is owed any more.
    Close,
    /// Close with a reset: what was written and not taken is of no use to anybody.
    Abort,
}
