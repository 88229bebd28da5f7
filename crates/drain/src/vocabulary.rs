//! What the machine is told, and what it answers.

use crate::Framing;

/// What happened to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<'a> {
    /// These bytes came from the peer. None: no bytes of HTTP, but a sign that it is there (a record of TLS).
    Bytes(&'a [u8]),
    /// A request head is whole, and the request was handed to the program; its body, if any, is framed so.
    HeadDone(Framing),
    /// A whole request came, in a read of its own with nothing behind it, and was handed to the program:
    /// [`Bytes`](Self::Bytes) and [`HeadDone`](Self::HeadDone) in one, for an HTTP layer that knows where requests end. It
    /// saves the machine its own look at the bytes.
    Request(Framing),
    /// The head of the final response is about to be written. `stopping`: a stop has been requested by now.
    /// Answered with [`Effect::SayClose`] when the head must announce the end (D2).
    ResponseHead {
        /// Whether a stop has been requested.
        stopping: bool,
    },
    /// The head that is about to be written hands the connection to the program, in place of
    /// [`ResponseHead`](Self::ResponseHead): a 101, or a 2xx to CONNECT. Taken if
    /// [`Connection::is_upgraded`](crate::Connection::is_upgraded) says so then, and at the cut it is not. From here on
    /// the bytes are the program's, and nobody tells of them, until it is done: [`Finished`](Self::Finished).
    Upgraded,
    /// The response is with the kernel, to its last byte.
    ResponseDone,
    /// The peer has ended its side (FIN).
    Eof,
    /// The phase `Draining` has begun.
    Draining,
    /// The drain deadline has come, or the end is forced (D8).
    Cut,
    /// The time is [`Connection::wake_at`](crate::Connection::wake_at) or later; sooner does no harm.
    Tick,
    /// The last look found the receive queue empty.
    NothingThere,
    /// The HTTP layer, or the program that has the connection, is done with it: nothing further will be written.
    Finished,
}

/// What the owner of the socket must do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Write `Connection: close` into this response head; nothing pipelined behind it is answered (RFC 9112 §9.6).
    SayClose,
    /// Ask the kernel (not a cached readiness) whether anything is in the receive queue, and answer with
    /// [`Input::Bytes`], [`Input::Eof`] or [`Input::NothingThere`].
    LastLook,
    /// Treat the input as ended: read no further request.
    EndInput,
    /// Answer the pending request with 503 and `Connection: close`, in place of the program (D8).
    Answer503,
    /// Shut down the write side (TLS: `close_notify` first), then read and discard, telling [`Input::Bytes`] and
    /// [`Input::Eof`], until [`Effect::Close`] comes (D7).
    Linger,
    /// Close: nothing is owed any more.
    Close,
    /// Close with a reset: a response was begun and cannot be finished, or a program has the connection, and the peer
    /// must not take what it has for whole.
    Abort,
}
