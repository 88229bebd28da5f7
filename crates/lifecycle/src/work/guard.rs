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

    #[cfg(feature = "tokio")]
    fn panicked_in_its_drop(&mut self, panic: &str) {
        self.tracked.end_badly(format!("{panic} (while it was dropped)"), self.then);
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
    /// Whatever panics meanwhile, such as a runtime's owner, is not this work.
    fn drop(&mut self) {
        self.tracked.end_cut();
    }
}

#[cfg(feature = "tokio")]
pub(super) use run::Run;

#[cfg(feature = "tokio")]
mod run {
    use super::{AssertUnwindSafe, Guard, Outcome, catch_unwind};
    use crate::foreign::foreign;
    use crate::stop::Stop;
    use pin_project_lite::pin_project;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    pin_project! {
        /// A task and its guard, in this order: an abort drops the task, destructors and all, and then counts it
        /// out, so that it has been awaited when it is no longer counted.
        pub(in super::super) struct Run<T, F> {
            #[pin]
            stage: Stage<T, F>,
            guard: Guard,
        }

        impl<T, F> PinnedDrop for Run<T, F> {
            fn drop(this: Pin<&mut Self>) {
                let mut this = this.project();
                if let Err(panic) = this.stage.as_mut().end() {
                    this.guard.panicked_in_its_drop(&panic);
                }
            }
        }
    }

    pin_project! {
        /// One after the other in the same place, since programs have many tasks.
        #[project = StageProject]
        enum Stage<T, F> {
            /// An `Option` only to be taken out of.
            Waiting { task: Option<(T, Stop)> },
            Running { #[pin] future: F },
            Over,
        }
    }

    impl<T, F> Run<T, F> {
        /// Calls `task` when first polled.
        pub(in super::super) fn new(task: T, stop: Stop, guard: Guard) -> Self {
            Self { stage: Stage::Waiting { task: Some((task, stop)) }, guard }
        }
    }

    impl<T, F> Future for Run<T, F>
    where
        T: FnOnce(Stop) -> F,
        F: Future<Output: Outcome>,
    {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut this = self.project();
            if matches!(*this.stage, Stage::Over) {
                return Poll::Ready(());
            }
            let ended = match catch_unwind(AssertUnwindSafe(|| this.stage.as_mut().poll(context))) {
                Ok(polled) => Ok(ready!(polled)),
                Err(panic) => Err(panic),
            };
            if let Err(panic) = this.stage.as_mut().end()
                && ended.is_ok()
            {
                this.guard.panicked_in_its_drop(&panic);
            } else {
                this.guard.tracked.end(ended, this.guard.then);
            }
            Poll::Ready(())
        }
    }

    impl<T, F> Stage<T, F> {
        /// Drops it; a panic is answered in words.
        fn end(mut self: Pin<&mut Self>) -> Result<(), String> {
            foreign(|| self.set(Stage::Over))
        }
    }

    impl<T, F> Future for Stage<T, F>
    where
        T: FnOnce(Stop) -> F,
        F: Future,
    {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
            if let StageProject::Waiting { task } = self.as_mut().project()
                && let Some((task, stop)) = task.take()
            {
                let future = task(stop);
                self.set(Stage::Running { future });
            }
            match self.project() {
                StageProject::Running { future } => future.poll(context),
                StageProject::Waiting { .. } | StageProject::Over => Poll::Pending,
            }
        }
    }
}
