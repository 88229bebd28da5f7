//! What is done in `Closing`, before the components close (L8).

use super::closer::Closer;
use crate::core::Core;
use crate::shield::StopImminent;
use crate::work::Outcome;

/// Why exit work was not taken.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExitWorkError {
    /// Components are being closed.
    #[error(transparent)]
    Stopping(#[from] StopImminent),
    /// There is no tokio runtime here.
    #[error("there is no tokio runtime here to do it; register it inside one, or use Stop::run_at_exit")]
    NoRuntime,
}

/// See [`Stop::run_at_exit`](crate::Stop::run_at_exit).
pub(crate) fn run_at_exit<R: Outcome>(
    core: &Core,
    name: String,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<(), StopImminent> {
    register(core, name, Closer::blocking(move || work().outcome()))
}

/// See [`Stop::run_at_exit_async`](crate::Stop::run_at_exit_async).
#[cfg(feature = "tokio")]
pub(crate) fn run_at_exit_async<F>(core: &Core, name: String, work: F) -> Result<(), ExitWorkError>
where
    F: Future<Output: Outcome> + Send + 'static,
{
    let here = tokio::runtime::Handle::try_current().ok();
    let runtime = here.or_else(|| core.clock().runtime().cloned()).ok_or(ExitWorkError::NoRuntime)?;
    Ok(register(core, name, Closer::task(runtime, move || work))?)
}

fn register(core: &Core, name: String, closer: Closer) -> Result<(), StopImminent> {
    if core.add_exit_work(name, closer) { Ok(()) } else { Err(StopImminent) }
}
