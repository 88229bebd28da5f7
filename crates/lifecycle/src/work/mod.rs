//! Work that somebody may have to look for: tasks, blocking jobs, threads and the jobs of pools (L12, L13).
//!
//! All of it is told when the drain begins, awaited until the drain deadline, and then aborted where that can be
//! done (tasks, and jobs that were not begun); what cannot be (threads) is named. What fails is in the report.

mod account;
mod guard;
mod outcome;
mod pool;
mod queue;
mod registry;
mod tasks;
mod tracked;

pub(crate) use account::Account;
pub(crate) use outcome::panicked;
pub use outcome::{OnFailure, Outcome};
pub use pool::{Pool, PoolBuilder, PushError};
pub use registry::LiveWork;
pub(crate) use registry::{Registry, oldest};
pub use tasks::Tasks;
pub use tracked::Tracked;
