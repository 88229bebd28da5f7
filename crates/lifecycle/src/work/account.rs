//! What became of a scope's work after the stop request, beside what was finished and what was cut.

use super::LiveWork;
use crate::kept::Kept;

/// Each piece of work is in one of them at most.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) failed: u64,
    /// Given back to whoever brought it.
    pub(crate) refused: u64,
    /// The same, before it was counted in.
    pub(crate) turned_away: u64,
    /// Not begun, and given back to the owner.
    pub(crate) handed_back: Kept<LiveWork>,
}
