//! Deadlines kept by a task, on tokio's clock.

use crate::core::{Alarm, Core};
use crate::lifecycle::InstallError;
use crate::machine::{Input, Phase};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The task that applies the ticks. Dropping it aborts the task.
#[derive(Debug)]
pub(crate) struct Task {
    handle: AbortHandle,
    process: u32,
}

impl Task {
    pub(crate) fn spawn(runtime: &Handle, core: Arc<Core>) -> Self {
        let handle = runtime.spawn(async move { run(&core).await }).abort_handle();
        Self { handle, process: std::process::id() }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // In a forked child the runtime's locks may be held by threads that are not here.
        if self.process == std::process::id() {
            self.handle.abort();
        }
    }
}

/// The present runtime, if it can keep time.
pub(crate) fn with_timer() -> Result<Handle, InstallError> {
    let runtime = Handle::try_current().map_err(|_| InstallError::NoRuntime)?;
    // Tokio has no question for this, only a panic.
    let timer = std::panic::catch_unwind(|| drop(tokio::time::sleep(std::time::Duration::ZERO)));
    timer.map_err(|_| InstallError::NoTimer)?;
    Ok(runtime)
}

async fn run(core: &Core) {
    let Alarm::Task(alarm) = core.alarm() else { return };
    while core.phase() < Phase::Stopped {
        // A change after this look leaves a permit behind, so that the wait below ends at once.
        let due = core.wake_at().and_then(|(at, _)| core.clock().instant(at)).map(Instant::from_std);
        let Some(due) = due else {
            alarm.notified().await;
            continue;
        };
        if tokio::time::timeout_at(due, alarm.notified()).await.is_err() {
            core.apply(Input::Tick, |_| {});
        }
    }
}
