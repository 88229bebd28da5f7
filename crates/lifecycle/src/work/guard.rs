//! Running work so that its end is known, however it comes.

use super::outcome::{OnFailure, Outcome};
use super::tracked::Tracked;
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "tokio")]
use std::sync::{Arc, Mutex, PoisonError};

/// Work that is running, or about to. Dropped before it has ended, it is cut: aborted, or its runtime is gone.
#[derive(Debug)]
pub(crate) struct Guard {
    tracked: Tracked,
    then: OnFailure,
}

impl Guard {
    pub(super) fn new(tracked: Tracked, then: OnFailure) -> Self {
        Self { tracked, then }
    }

    /// Runs it here.
    pub(super) fn run<R: Outcome>(mut self, work: impl FnOnce() -> R) {
        // What a panic leaves behind belongs to the work alone.
        let ended = catch_unwind(AssertUnwindSafe(work));
        self.tracked.end(ended, self.then);
    }
}

/// A guard on its way to whoever does the work; the first to take it has it.
#[cfg(feature = "tokio")]
pub(crate) struct Handover(Mutex<Option<Guard>>);

#[cfg(feature = "tokio")]
impl Handover {
    pub(super) fn new(guard: Guard) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(guard))))
    }

    pub(super) fn take(&self) -> Option<Guard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tracked.end::<()>(Err(Box::new("panicked while it was dropped")), self.then);
        } else {
            self.tracked.end_cut();
        }
    }
}

#[cfg(feature = "tokio")]
pub(super) use run::Run;

#[cfg(feature = "tokio")]
mod run {
    use super::{AssertUnwindSafe, Guard, Outcome, catch_unwind};
    use pin_project_lite::pin_project;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    pin_project! {
        /// A future and its guard, in this order: an abort drops the future, destructors and all, and then counts
        /// it out, so that it has been awaited when it is no longer counted.
        pub(in super::super) struct Run<F> {
            #[pin]
            future: Option<F>,
            guard: Guard,
        }
    }

    impl<F> Run<F> {
        pub(in super::super) fn new(future: F, guard: Guard) -> Self {
            Self { future: Some(future), guard }
        }
    }

    impl<F: Future<Output: Outcome>> Future for Run<F> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut this = self.project();
            let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
            let ended = match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
                Ok(polled) => Ok(ready!(polled)),
                Err(panic) => Err(panic),
            };
            this.future.set(None);
            this.guard.tracked.end(ended, this.guard.then);
            Poll::Ready(())
        }
    }
}
