//! What closes a component, and where it runs.

use crate::work::panicked;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a close ended.
type Closed = Result<(), Box<dyn Error + Send + Sync>>;

type BlockingClose = Box<dyn FnOnce() -> Closed + Send>;

/// Closes a component, once.
pub(crate) enum Closer {
    /// In a thread.
    Blocking(BlockingClose),
    /// As a task of the runtime that its component lives on.
    #[cfg(feature = "tokio")]
    Task { runtime: tokio::runtime::Handle, close: task::TaskClose },
}

impl Closer {
    pub(crate) fn blocking(close: impl FnOnce() -> Closed + Send + 'static) -> Self {
        Self::Blocking(Box::new(close))
    }
}

/// A panic is a failure of the component, and no more.
pub(crate) fn run_blocking(close: BlockingClose) -> Closed {
    catch_unwind(AssertUnwindSafe(close)).unwrap_or_else(|panic| Err(panicked(&*panic).into()))
}

#[cfg(feature = "tokio")]
pub(crate) use task::ClosingGuard;

#[cfg(feature = "tokio")]
mod task {
    use super::{Closed, Closer};
    use crate::core::Core;
    use crate::machine::ComponentId;
    use crate::work::{Outcome, panicked};
    use std::future::poll_fn;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::Poll;
    use tokio::runtime::Handle;

    pub(crate) type TaskClose = Box<dyn FnOnce() -> Closing + Send>;

    type Closing = Pin<Box<dyn Future<Output = Closed> + Send>>;

    impl Closer {
        pub(crate) fn task<F>(runtime: Handle, close: impl FnOnce() -> F + Send + 'static) -> Self
        where
            F: Future<Output: Outcome> + Send + 'static,
        {
            let close = move || -> Closing {
                let closing = close();
                Box::pin(async move { closing.await.outcome() })
            };
            Self::Task { runtime, close: Box::new(close) }
        }
    }

    /// Sees to it that a close is over, even if its runtime ends before it does.
    pub(crate) struct ClosingGuard {
        core: Arc<Core>,
        component: ComponentId,
    }

    impl ClosingGuard {
        pub(crate) fn new(core: Arc<Core>, component: ComponentId) -> Self {
            Self { core, component }
        }

        pub(crate) async fn run(self, close: TaskClose) {
            let result = contained(close).await;
            self.core.closed(self.component, result);
        }
    }

    impl Drop for ClosingGuard {
        fn drop(&mut self) {
            // After `run`, or when it was given up, this changes nothing any more.
            self.core.closed(self.component, Err("its runtime was shut down before it was closed".into()));
        }
    }

    /// A panic is a failure of the component, and no more.
    async fn contained(close: TaskClose) -> Closed {
        let mut closing = match catch_unwind(AssertUnwindSafe(close)) {
            Ok(closing) => closing,
            Err(panic) => return Err(panicked(&*panic).into()),
        };
        poll_fn(|context| {
            let polled = catch_unwind(AssertUnwindSafe(|| closing.as_mut().poll(context)));
            polled.unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic).into())))
        })
        .await
    }
}

impl fmt::Debug for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closer").finish_non_exhaustive()
    }
}
