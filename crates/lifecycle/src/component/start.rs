//! A component that a future starts.

use super::closer::Closer;
use super::{Group, StartError};
use crate::core::{Begun, Core, Timeouts};
use crate::lifecycle::InstallError;
use crate::machine::{ComponentId, Time};
use crate::work::Outcome;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot::Receiver;

/// A component to be started: await it. See [`Group::component`].
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle, StartError};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let lifecycle = Lifecycle::on_runtime(Config::default())?;
/// let start = async { Err::<(), _>("the disk is full") };
/// let error = lifecycle.component("database", start, async |()| {}).await.unwrap_err();
/// assert!(matches!(error, StartError::Failed { .. }));
///
/// // That was the cause of a stop, and nothing starts any more.
/// let start = async { Ok::<_, StartError>(()) };
/// let error = lifecycle.component("cache", start, async |()| {}).await.unwrap_err();
/// assert!(matches!(error, StartError::Stopping { .. }));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`StartError`]: its start failed, or took too long, or a stop was requested before.
///
/// # Cancel safety
///
/// Dropping it while the start runs drops the start: then the component has neither started nor failed, and will
/// not be closed.
#[must_use = "a component does not start before it is awaited"]
pub struct Component<S, C> {
    group: Group,
    name: String,
    timeouts: Timeouts,
    start: Pin<Box<S>>,
    close: Option<C>,
    begun: Option<Running>,
}

/// A start that runs.
struct Running {
    core: Arc<Core>,
    component: ComponentId,
    runtime: Handle,
    cancelled: Receiver<()>,
    since: Time,
    over: bool,
}

// Only the start is ever polled, and it is pinned in its box.
impl<S, C> Unpin for Component<S, C> {}

impl<S, C> Component<S, C> {
    pub(super) fn new(group: Group, name: &str, start: S, close: C) -> Self {
        let name = group.path(name);
        Self {
            group,
            name,
            timeouts: super::DEFAULT_TIMEOUTS,
            start: Box::pin(start),
            close: Some(close),
            begun: None,
        }
    }

    /// How long its start may take. 60 s unless told otherwise. When it is over, the start is dropped, which is the
    /// cause of a stop.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let connect = std::future::pending::<Result<(), std::io::Error>>();
    /// let database = lifecycle.component("database", connect, async |()| {});
    /// let error = database.start_timeout(Duration::from_secs(10)).await.unwrap_err();
    /// assert!(error.to_string().starts_with("database could not start in 10"));
    /// assert_eq!(lifecycle.finished().await.exit_status(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.start = timeout;
        self
    }

    /// How long its close may take, inside what the stop has left. Unless told otherwise, half of what is left, or
    /// all for the last, so that one that hangs leaves time to the others. When it is over, the close is aborted,
    /// which is a failure, and the next component closes.
    ///
    /// ```
    /// # use exeunt_lifecycle::{ComponentOutcome, Config, Lifecycle};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// let connect = async { Ok::<_, std::io::Error>(()) };
    /// let database = lifecycle.component("database", connect, |()| std::future::pending::<()>());
    /// database.close_timeout(Duration::from_secs(2)).await?;
    /// lifecycle.stop().request_stop("the example is over");
    /// let report = lifecycle.finished().await;
    /// assert_eq!(report.components[0].outcome, ComponentOutcome::TimedOut);
    /// assert_eq!(report.took.as_secs(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.close = Some(timeout);
        self
    }

    /// Closes it behind all other components of its group, those too that started before it: for what tells of the stop
    /// to its end, such as an admin listener or the exporter of traces. Of several, the one that started first closes
    /// last. It must use none of the others in its close.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::io::Error;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let lifecycle = Lifecycle::on_runtime(Config::default())?;
    /// lifecycle.component("database", async { Ok::<_, Error>(()) }, async |()| {}).await?;
    /// lifecycle.component("traces", async { Ok::<_, Error>(()) }, async |()| {}).closes_last().await?;
    /// lifecycle.stop().request_stop("the example is over");
    /// let closed = lifecycle.finished().await.components;
    /// assert_eq!((&*closed[0].name, &*closed[1].name), ("database", "traces"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn closes_last(mut self) -> Self {
        self.timeouts.last = true;
        self
    }

    fn begin(&mut self) -> Result<Running, StartError> {
        let core = &self.group.core;
        let runtime = Handle::try_current().ok().or_else(|| core.clock().runtime().cloned());
        let Some(runtime) = runtime else {
            let source = Box::new(InstallError::NoRuntime);
            return Err(StartError::Failed { name: self.name.clone(), source });
        };
        let mut cancelled = None;
        let begun = core.begin_start(&self.name, self.group.id, self.timeouts, |entry| {
            cancelled = Some(entry.cancelled());
        });
        match (begun, cancelled) {
            (Begun::Taken(component), Some(cancelled)) => Ok(Running {
                core: Arc::clone(core),
                component,
                runtime,
                cancelled,
                since: core.clock().now(),
                over: false,
            }),
            (Begun::GroupClosed, _) => Err(StartError::GroupClosed { name: self.name.clone() }),
            (Begun::Forked, _) => Err(StartError::Forked { name: self.name.clone() }),
            _ => Err(StartError::Stopping { name: self.name.clone() }),
        }
    }
}

impl<S, T, E, C, F> Future for Component<S, C>
where
    S: Future<Output = Result<T, E>>,
    T: Clone + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
    C: FnOnce(T) -> F + Send + 'static,
    F: Future<Output: Outcome> + Send + 'static,
{
    type Output = Result<T, StartError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.begun.is_none() {
            match this.begin() {
                Ok(begun) => this.begun = Some(begun),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let Some(running) = &mut this.begun else { return Poll::Pending };
        let name = || this.name.clone();
        let after = running.core.clock().now().since(running.since);
        match this.start.as_mut().poll(context) {
            Poll::Ready(Ok(started)) => {
                let (kept, close) = (started.clone(), this.close.take());
                let Some(close) = close else { return Poll::Pending };
                let closer = Closer::task(running.runtime.clone(), move || close(kept));
                running.over = true;
                if running.core.started(running.component, closer, || {}) {
                    Poll::Ready(Ok(started))
                } else {
                    Poll::Ready(Err(StartError::TimedOut { name: name(), after }))
                }
            }
            Poll::Ready(Err(error)) => {
                running.over = true;
                let mut source = None;
                running.core.start_failed(running.component, error.into(), |error| source = Some(error));
                Poll::Ready(Err(match source {
                    Some(source) => StartError::Failed { name: name(), source },
                    None => StartError::TimedOut { name: name(), after },
                }))
            }
            Poll::Pending => match Pin::new(&mut running.cancelled).poll(context) {
                Poll::Ready(_) => {
                    running.over = true;
                    Poll::Ready(Err(StartError::TimedOut { name: name(), after }))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if std::thread::panicking() {
            self.core.start_failed(self.component, "its start panicked".into(), drop);
        } else {
            self.core.start_dropped(self.component);
        }
    }
}

impl<S, C> fmt::Debug for Component<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("name", &self.name).finish_non_exhaustive()
    }
}
