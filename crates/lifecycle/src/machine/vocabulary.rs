//! What the machine is told and what it answers.

use super::attempts::Origin;
use super::phase::{Phase, Time};
use std::time::Duration;

/// Somebody whose work must be done before `Closing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ScopeId(pub(crate) usize);

/// Something with a start and a close; or exit work, which has a close alone. Later ones have greater numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ComponentId(pub(crate) usize);

/// Components that close before those of the group around them. Later ones have greater numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupId(pub(crate) usize);

impl GroupId {
    /// The group around all groups.
    pub(crate) const ROOT: Self = Self(0);
}

/// A scope that a stop may not interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShieldId(pub(crate) u64);

/// When a shield was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ShieldKind {
    /// Before the stop request: moves the deadlines.
    Standing,
    /// After it, inside counted work: does not.
    Work,
}

/// What happens to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// A stop signal was delivered, at a time that may be a little before now.
    Signal { signal: i32, origin: Origin, at: Time },
    /// Somebody wishes the program to end.
    Stop(Wish),
    /// The system has said, at a time that may be a little before now, that it will end the program.
    SystemEnds { at: Time },
    /// Everything that was to start has started.
    Ready,
    /// The program's main function body is over. Well: it has started what it had to. Not well: it failed, unless
    /// a stop was requested before, which bodies commonly answer by leaving with an error (L3).
    BodyEnded { well: bool },
    /// The scope has work to do.
    Busy(ScopeId),
    /// The scope has work to do, which its group waits for when it closes before the stop.
    BusyIn { scope: ScopeId, group: GroupId },
    /// The scope has no work left.
    Idle(ScopeId),
    /// A piece of the scope's work was ended before it was finished.
    WorkCut(ScopeId),
    /// A piece of work failed that the program can go on without.
    WorkFailed,
    /// A group begins inside another.
    GroupOpened { group: GroupId, parent: GroupId },
    /// The group is to close before the stop, and has that long. Not taken if it is closing, or closed.
    CloseGroup { group: GroupId, within: Duration },
    /// A component wants to start. After a stop request it is not taken: nothing further starts. Nor is it in a group
    /// that closes.
    Starting { component: ComponentId, group: GroupId, start: Duration, close: Option<Duration> },
    /// It has started.
    Started(ComponentId),
    /// It could not start.
    StartFailed(ComponentId),
    /// Whoever started it gave up: it neither started nor failed.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "a start that blocks cannot be given up"))]
    StartDropped(ComponentId),
    /// Something to do in `Closing`, before the components close. Once they do, it is not taken.
    AtExit { component: ComponentId, close: Option<Duration> },
    /// A component's close, or exit work, is over.
    Closed { component: ComponentId, well: bool },
    /// A shield holds the stop off. Taken as `Standing` between [`Effect::Look`] and [`Input::Looked`] alone, as
    /// `Work` in `LameDuck` and `Draining` alone.
    ShieldTaken { shield: ShieldId, kind: ShieldKind, until: Time },
    /// It has a new budget.
    ShieldRenewed { shield: ShieldId, until: Time },
    /// It was dropped, or it broke.
    ShieldEnded(ShieldId),
    /// All shields that there were at the stop request have been named.
    Looked,
    /// The last request came then, or before the stop: the answer to [`Effect::LookForArrivals`].
    LastArrival { at: Time },
    /// Nobody is left to see this through: end at once.
    Abandoned,
    /// Time has passed. Too many ticks do no harm.
    Tick,
}

impl Input {
    /// At a deadline, what ends is in time, and what begins is too late.
    pub(super) fn asks_for_time(self) -> bool {
        let work = matches!(self, Self::ShieldTaken { kind: ShieldKind::Work, .. });
        work || matches!(self, Self::Starting { .. } | Self::AtExit { .. })
    }
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
    /// A stop is requested, and shields are to be looked for: apply `ShieldTaken` for each, then `Looked`.
    Look,
    /// The lame duck may be over, if nothing has come: apply `LastArrival`.
    LookForArrivals,
    /// Give the start up: it has failed.
    CancelStart(ComponentId, Late),
    /// The shield holds nothing off any more.
    EndShield(ShieldId, Ended),
    /// The stop will last until then, because of shields.
    Extend(Time),
    /// Close the component, or do the exit work; it has until then.
    Close(ComponentId, Time),
    /// Go on without it: it did not close in time, or the stop has none for it.
    AbandonClose(ComponentId, Late),
    /// It will not be closed.
    Skip(ComponentId),
    /// Tell who holds the stop up.
    HeldUp,
    /// Apply a `Tick` at this time; replaces what was said before.
    WakeAt(Time),
    /// It is over. Comes once, last.
    Exit(Verdict),
}

/// Why a start or a close was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Late {
    /// Its own time was over.
    Timeout,
    /// The stop's time for it was over.
    Stop,
    /// The time of its group, which closes before the stop, was over.
    Group,
}

/// Why a shield was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ended {
    /// Its budget has run out.
    Expired,
    /// The end was forced.
    Forced,
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
    /// The exit status that goes with it where nobody says otherwise: 0 clean, 3 cut, 1 failed, 128 + signal forced.
    /// [`Report::exit_status`](crate::Report::exit_status) is the one that counts.
    ///
    /// ```
    /// # use exeunt_lifecycle::Verdict;
    /// assert_eq!(Verdict::Cut.exit_status(), 3);
    /// assert_eq!(Verdict::Forced { signal: 15 }.exit_status(), 143);
    /// ```
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
