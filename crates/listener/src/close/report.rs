//! What a close did, for the report of the stop.

use std::{fmt, time::Duration};

/// What happened while a listener closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// How it was closed.
    pub method: Method,
    /// Who else held the socket.
    pub ownership: Ownership,
    /// What became of new clients meanwhile.
    pub newcomers: Newcomers,
    /// How many times the kernel was asked for handshakes under way.
    pub looks: u32,
    /// The most handshakes that one look found under way.
    pub handshakes: usize,
    /// Connections accepted by the close, all of them handed to the caller.
    pub accepted: usize,
    /// From the first step to the last.
    pub duration: Duration,
    /// Whether it ended by its limit, with clients possibly lost, rather than because nobody was left.
    pub limit_hit: bool,
    /// An error of accept(2) that ended it.
    pub failure: Option<String>,
}

/// How a listener was closed, from the surest way to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// New handshakes were turned away, and the kernel was asked until none was under way.
    Looked,
    /// New handshakes were turned away, and those under way were given `handshake_grace`, as the kernel would not tell.
    Waited,
    /// Whoever was in the queue was accepted. Handshakes that were under way may have been lost; a Unix socket has none.
    Emptied,
    /// Our descriptor was closed and nothing else: the others who hold the socket serve on.
    LeftToOthers,
}

/// What became of clients that tried to connect while a listener closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Newcomers {
    /// Refused at once.
    Refused,
    /// Left without an answer, and so refused when they tried again, a second later (RFC 6298 §2).
    Unanswered,
    /// Let into the queue, for lack of a way to turn them away, or for the others who hold the socket.
    Admitted,
}

/// Who held the socket when it was to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ownership {
    /// We alone.
    Sole,
    /// It was adopted from somebody.
    Adopted,
    /// It was passed on with [`share`](crate::Listener::share).
    PassedOn,
    /// A forked child lives that has inherited it.
    Forked,
    /// We are a forked child; it is our parent's.
    Inherited,
    /// A process that descends from ours holds it, by its process id, or ours holds it twice.
    HeldBy(u32),
    /// The port is shared (`SO_REUSEPORT`); the socket and its queue are ours alone.
    PortShared,
    /// It could not be found out, for this reason, so it was treated with the care for others.
    Unknown(String),
}

impl CloseReport {
    /// Before anything has happened.
    pub(crate) fn new(ownership: Ownership, newcomers: Newcomers) -> Self {
        Self {
            method: Method::LeftToOthers,
            ownership,
            newcomers,
            looks: 0,
            handshakes: 0,
            accepted: 0,
            duration: Duration::ZERO,
            limit_hit: false,
            failure: None,
        }
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, looks, handshakes, accepted, .. } = self;
        match method {
            Method::Looked => write!(f, "closed after {looks} looks, {handshakes} handshakes waited for")?,
            Method::Waited => f.write_str("closed after the handshake grace")?,
            Method::Emptied => f.write_str("closed once its queue was empty")?,
            Method::LeftToOthers => write!(f, "left to others ({})", self.ownership)?,
        }
        if *accepted > 0 {
            write!(f, ", {accepted} accepted meanwhile")?;
        }
        if self.limit_hit {
            f.write_str(", cut short by its limit")?;
        }
        if let Some(failure) = &self.failure {
            write!(f, ", ended by an error: {failure}")?;
        }
        write!(f, " ({:.1} ms)", self.duration.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sole => f.write_str("ours alone"),
            Self::Adopted => f.write_str("adopted from somebody"),
            Self::PassedOn => f.write_str("passed on"),
            Self::Forked => f.write_str("a forked child holds it"),
            Self::Inherited => f.write_str("our parent's"),
            Self::HeldBy(pid) => write!(f, "process {pid} holds it too"),
            Self::PortShared => f.write_str("the port is shared"),
            Self::Unknown(why) => write!(f, "unknown whose: {why}"),
        }
    }
}
