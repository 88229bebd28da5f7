//! Where the time comes from.

use crate::machine::Time;
#[cfg(any(feature = "tokio", not(target_os = "linux")))]
use std::sync::OnceLock;
use std::time::Instant;

/// The clock of one lifecycle, counting from its beginning.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    /// The epoch as the coarse clock tells it.
    coarse_epoch: u64,
    /// Tokio's clock, which tests can pause; otherwise the system's monotonic one.
    #[cfg(feature = "tokio")]
    runtime: Option<tokio::runtime::Handle>,
    /// When the runtime was gone, on both clocks: from then on it is the system's, even if tokio's was paused, since
    /// nobody could move that on any more.
    #[cfg(feature = "tokio")]
    left: OnceLock<(Time, Instant)>,
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self {
            coarse_epoch: coarse_millis(),
            epoch: Instant::now(),
            #[cfg(feature = "tokio")]
            runtime: None,
            #[cfg(feature = "tokio")]
            left: OnceLock::new(),
        }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn of(runtime: tokio::runtime::Handle) -> Self {
        let epoch = instant(Some(&runtime));
        Self { epoch, coarse_epoch: 0, runtime: Some(runtime), left: OnceLock::new() }
    }

    /// The runtime on whose clock this is, as long as it is there.
    #[cfg(feature = "tokio")]
    pub(crate) fn runtime(&self) -> Option<&tokio::runtime::Handle> {
        self.runtime.as_ref().filter(|_| self.left.get().is_none())
    }

    /// The runtime is gone.
    #[cfg(feature = "tokio")]
    pub(crate) fn leave_runtime(&self) {
        self.left.get_or_init(|| (self.now(), Instant::now()));
    }

    /// The time in milliseconds, some of them ago at most, for a few nanoseconds.
    #[inline]
    pub(crate) fn coarse_millis(&self) -> u64 {
        #[cfg(feature = "tokio")]
        if self.runtime.is_some() {
            return u64::try_from(self.now().0.as_millis()).unwrap_or(u64::MAX);
        }
        coarse_millis().saturating_sub(self.coarse_epoch)
    }

    pub(crate) fn now(&self) -> Time {
        #[cfg(feature = "tokio")]
        if let Some((then, left)) = self.left.get() {
            return then.after(left.elapsed());
        }
        #[cfg(feature = "tokio")]
        let now = instant(self.runtime.as_ref());
        #[cfg(not(feature = "tokio"))]
        let now = Instant::now();
        self.time(now)
    }

    pub(crate) fn time(&self, instant: Instant) -> Time {
        Time(instant.saturating_duration_since(self.epoch))
    }

    /// `None` beyond the end of the clock.
    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        #[cfg(feature = "tokio")]
        if let Some((then, left)) = self.left.get().filter(|(then, _)| time >= *then) {
            return left.checked_add(time.since(*then));
        }
        self.epoch.checked_add(time.0)
    }
}

/// A paused clock is seen from inside its runtime only, and inputs come from any thread.
#[cfg(feature = "tokio")]
fn instant(runtime: Option<&tokio::runtime::Handle>) -> Instant {
    use tokio::runtime::Handle;
    let Some(runtime) = runtime else { return Instant::now() };
    // A thread that is ending can no longer enter; `enter` would panic.
    if Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed()) {
        return Instant::now();
    }
    let _inside = runtime.enter();
    tokio::time::Instant::now().into_std()
}

/// The kernel's tick, which costs no look at the hardware: `CLOCK_MONOTONIC_COARSE`, `clock_gettime(2)`.
#[cfg(target_os = "linux")]
#[inline]
fn coarse_millis() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    // Neither is ever negative on a monotonic clock.
    now.tv_sec.unsigned_abs() * 1_000 + (now.tv_nsec.unsigned_abs() as u64) / 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn coarse_millis() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    u64::try_from(EPOCH.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}
