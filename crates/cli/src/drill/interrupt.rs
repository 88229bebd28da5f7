use crate::printer::UsageError;
use exeunt_drill::Stop;
use std::panic::resume_unwind;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs `work` and asks it to stop on SIGINT, SIGTERM or SIGHUP; answers what it came to, and the number
/// of the signal if there was one.
pub(super) fn watched<T: Send + 'static>(
    stop: &Stop,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<(T, Option<u8>), UsageError> {
    let failed = |error| UsageError::new(format!("cannot watch for signals: {error}"), None);
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (worked, interrupted) = runtime.block_on(async {
        // Installed before the work begins: no signal may find the server started and nobody responsible.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let mut worked = tokio::task::spawn_blocking(work);
        let number = tokio::select! {
            biased;
            worked = &mut worked => return Ok((worked, None)),
            number = received(&mut interrupt, SignalKind::interrupt()) => number,
            number = received(&mut terminate, SignalKind::terminate()) => number,
            number = received(&mut hangup, SignalKind::hangup()) => number,
        };
        stop.request();
        Ok((worked.await, u8::try_from(number).ok()))
    })?;
    // Only a panic keeps the work from an end, and nobody cancels it.
    Ok((worked.unwrap_or_else(|error| resume_unwind(error.into_panic())), interrupted))
}

async fn received(signal: &mut Signal, kind: SignalKind) -> i32 {
    signal.recv().await;
    kind.as_raw_value()
}
