//! What a pass came to.

/// How a poll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Passed {
    /// Everything that was to be done is done, or the time was over; what is due by now is the next poll's.
    Whole,
    /// A signal arrived, or somebody called [`Handle::interrupt`](crate::Handle::interrupt): it ended early, and the next
    /// poll goes on.
    Interrupted,
}
