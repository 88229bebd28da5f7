//! The stop of a loop: the drain (rules D1 to D8), and what it is reported to have done.

mod report;

pub(crate) use report::Account;
pub use report::DrainReport;
