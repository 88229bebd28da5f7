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
pub(crate) struct Task(AbortHandle);

impl Task {
    pub(crate) fn spawn(runtime: &Handle, core: Arc<Core>) -> Self {
        Self(runtime.spawn(async move { run(&core).await }).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
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
