//! What a service manager wants of a service, by the protocol of `sd_notify(3)` (rules S1 to S6 in `docs/semantics.md`).
//!
//! One small follower of the lifecycle tells the manager of readiness, of reloads and of the stop. Invariants:
//!
//! 1. Everything is sent under the core's lock, so that it is in the order in which it happened; a send never blocks.
//! 2. The watchdog is fed by the signal thread after it has had the core's lock and has ticked, and by nobody else: a
//!    core that is stuck feeds none.
//! 3. One lifecycle of a process at a time speaks for it.

mod errno;
mod message;
mod preset;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(not(target_os = "linux"))]
#[path = "portable.rs"]
mod socket;
#[cfg(unix)]
mod store;
mod telling;
#[cfg(test)]
mod telling_tests;
mod unit;

pub use preset::Preset;
pub use socket::ServiceError;
#[cfg(unix)]
pub use store::{forget, store};

pub(crate) use errno::errno;
pub(crate) use preset::Waits;
pub(crate) use telling::{Service, State};

use crate::environment::BY_MANAGERS;

/// The environment variables by which a service manager speaks to one process, and that its children must not take for
/// theirs: a child that inherits them may say that the service is ready, or take its sockets.
///
/// Nothing here removes them from this process's own environment, which other threads may be reading. Whoever starts a
/// child leaves them out:
///
/// ```
/// # use exeunt_lifecycle::service::VARIABLES;
/// let mut child = std::process::Command::new("true");
/// for variable in VARIABLES {
///     child.env_remove(variable);
/// }
/// # assert_eq!(child.get_envs().count(), 6);
/// ```
pub const VARIABLES: &[&str] = &NAMES;

const NAMES: [&str; BY_MANAGERS.len()] = {
    let mut names = [""; BY_MANAGERS.len()];
    let mut next = 0;
    while next < names.len() {
        names[next] = BY_MANAGERS[next].0;
        next += 1;
    }
    names
};
