//! What the machine is told and what it answers.

use super::attempts::Origin;
use super::phase::{Phase, Time};

/// Somebody whose work must be done before `Closing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ScopeId(pub(crate) usize);

/// What happens to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// A stop signal was delivered, at a time that may be a little before now.
    Signal { signal: i32, origin: Origin, at: Time },
    /// Somebody wishes the program to end.
    Stop(Wish),
    /// Everything that was to start has started.
    Ready,
    /// The program's main function body is over. Well: it has started what it had to. Not well: it failed, unless
    /// a stop was requested before, which bodies commonly answer by leaving with an error (L3).
    BodyEnded { well: bool },
    /// The scope has work to do.
    Busy(ScopeId),
    /// The scope has no work left.
    Idle(ScopeId),
    /// A piece of the scope's work was ended before it was finished.
    WorkCut(ScopeId),
    /// A piece of work failed that the program can go on without.
    WorkFailed,
    /// Nobody is left to see this through: end at once.
    Abandoned,
    /// Time has passed. Too many ticks do no harm.
    Tick,
}

/// Why the program is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wish {
    /// Somebody called for it.
    Call,
    /// Something that the program cannot do without has failed.
    Failure,
}

/// What is to be done about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// The phase begins.
    Enter(Phase),
    /// Tell the scope to finish what it has and accept nothing new.
    Tell(ScopeId),
    /// End the scope's work now.
    Cut(ScopeId),
    /// Apply a `Tick` at this time; replaces what was said before.
    WakeAt(Time),
    /// It is over. Comes once, last.
    Exit(Verdict),
}

/// How it ended (L14), worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Verdict {
    /// Everything was finished.
    Clean,
    /// A deadline cut something.
    Cut,
    /// A component or the body failed.
    Failed,
    /// Signals forced the end; by this one at last.
    Forced {
        /// The signal's number.
        signal: i32,
    },
}

impl Verdict {
    /// The exit status that goes with it: 0 clean, 3 cut, 1 failed, 128 + signal forced.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Cut => 3,
            Self::Failed => 1,
            Self::Forced { signal } => u8::try_from(signal).unwrap_or(0).saturating_add(128),
        }
    }
}

/// What a scope was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Notice {
    /// Nothing yet.
    None,
    /// To accept nothing new.
    Told,
    /// To end its work at once.
    Cut,
}
