//! Deadlines kept by a task, on tokio's clock; by a thread, when the runtime is gone before the lifecycle.

use crate::core::{Alarm, Core};
use crate::lifecycle::InstallError;
use crate::machine::{Input, Phase};
use std::sync::Arc;
use tokio::runtime::{Builder, Handle};
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
        let core = Ticking(core);
        let handle = runtime.spawn(async move { run(&core.0).await }).abort_handle();
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

/// Whoever ticks. Dropped before the end, its runtime is gone, and a thread goes on.
struct Ticking(Arc<Core>);

impl Drop for Ticking {
    fn drop(&mut self) {
        // A lifecycle that is dropped is stopped before its task is aborted.
        if self.0.is_forked() || self.0.phase() == Phase::Stopped {
            return;
        }
        self.0.clock().leave_runtime();
        let core = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("exeunt-clock".to_owned());
        // Where none can be had, those who block keep the time.
        _ = thread.spawn(move || match Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime.block_on(run(&core)),
            Err(_) => _ = core.wait_for(Phase::Stopped, None),
        });
    }
}

/// A job for one of the runtime's threads. A runtime that is shut down drops those that wait for one; then it gets a
/// thread of its own.
pub(crate) struct Handed<J: FnOnce() + Send + 'static> {
    name: String,
    job: Option<J>,
}

impl<J: FnOnce() + Send + 'static> Handed<J> {
    pub(crate) fn new(name: &str, job: J) -> Self {
        Self { name: name.to_owned(), job: Some(job) }
    }

    pub(crate) fn run(mut self) {
        if let Some(job) = self.job.take() {
            job();
        }
    }
}

impl<J: FnOnce() + Send + 'static> Drop for Handed<J> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            _ = std::thread::Builder::new().name(std::mem::take(&mut self.name)).spawn(job);
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
        // Too far away to be represented is never.
        let due = core.wake_at().and_then(|(_, left)| Instant::now().checked_add(left));
        let Some(due) = due else {
            alarm.notified().await;
            continue;
        };
        if tokio::time::timeout_at(due, alarm.notified()).await.is_err() {
            core.apply(Input::Tick, |_| {});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Handed;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_job_that_its_runtime_drops_runs_all_the_same() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let (say, hear) = channel();
        let job = Handed::new("spare", move || {
            say.send(std::thread::current().name().map(str::to_owned)).unwrap();
        });
        drop(handle.spawn_blocking(|| job.run()));
        let thread = hear.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(thread.as_deref(), Some("spare"));
    }
}
