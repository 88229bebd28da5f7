//! What closes a component, and where it runs.

use crate::foreign::{Leftover, foreign};
use std::error::Error;
use std::fmt;

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

    /// It will not run.
    pub(crate) fn into_leftover(self, of: String) -> Leftover {
        match self {
            Self::Blocking(close) => Leftover::new(of, close),
            #[cfg(feature = "tokio")]
            Self::Task { runtime, close } => Leftover::of_runtime(of, runtime, close),
        }
    }
}

/// A panic is a failure of the component, and no more.
pub(crate) fn run_blocking(close: BlockingClose) -> Closed {
    foreign(close).unwrap_or_else(|panic| Err(panic.into()))
}

#[cfg(feature = "tokio")]
pub(crate) use task::ClosingGuard;

#[cfg(feature = "tokio")]
mod task {
    use super::{Closed, Closer};
    use crate::core::Core;
    use crate::foreign::{Leftover, foreign};
    use crate::machine::ComponentId;
    use crate::work::Outcome;
    use std::future::poll_fn;
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
        /// Until it runs. A runtime that has ended drops us on whichever thread spawns us.
        close: Option<(Handle, TaskClose)>,
    }

    impl ClosingGuard {
        pub(crate) fn new(
            core: Arc<Core>,
            component: ComponentId,
            runtime: Handle,
            close: TaskClose,
        ) -> Self {
            Self { core, component, close: Some((runtime, close)) }
        }

        pub(crate) async fn run(mut self) {
            if let Some((_, close)) = self.close.take() {
                let result = contained(close).await;
                self.core.closed(self.component, result);
            }
        }
    }

    impl Drop for ClosingGuard {
        fn drop(&mut self) {
            if let Some((runtime, close)) = self.close.take() {
                self.core.let_go(vec![Leftover::of_runtime("a closer without a runtime", runtime, close)]);
            }
            // After `run`, or when it was given up, this changes nothing any more.
            self.core.closed(self.component, Err("its runtime was shut down before it was closed".into()));
        }
    }

    /// A panic is a failure of the component, and no more.
    async fn contained(close: TaskClose) -> Closed {
        let mut closing = foreign(close)?;
        poll_fn(|context| {
            let polled = foreign(|| closing.as_mut().poll(context));
            polled.unwrap_or_else(|panic| Poll::Ready(Err(panic.into())))
        })
        .await
    }
}

impl fmt::Debug for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closer").finish_non_exhaustive()
    }
}
