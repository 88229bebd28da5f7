//! A component that a function starts, and that may block.

use super::closer::Closer;
use super::{Group, StartError};
use crate::core::{Begun, Timeouts};
use crate::foreign::foreign;
use crate::work::Outcome;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A component to be started: call [`start`](Self::start). See [`Group::component_blocking`].
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle, StartError};
/// let lifecycle = Lifecycle::install(Config::default())?;
/// let lock = lifecycle.component_blocking("lock", || Err::<(), _>("somebody has it"), |()| {});
/// let error = lock.start().unwrap_err();
/// assert!(matches!(error, StartError::Failed { source, .. } if source.to_string() == "somebody has it"));
/// assert_eq!(lifecycle.close().exit_status(), 1);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "a component does not start before `start` is called"]
pub struct BlockingComponent<S, C> {
    group: Group,
    name: String,
    timeouts: Timeouts,
    start: S,
    close: C,
}

impl<S, C> BlockingComponent<S, C> {
    pub(super) fn new(group: Group, name: &str, start: S, close: C) -> Self {
        let name = group.path(name);
        Self { group, name, timeouts: super::DEFAULT_TIMEOUTS, start, close }
    }

    /// How long its start may take. 60 s unless told otherwise. When it is over, the start is left to itself, which
    /// is the cause of a stop; what it may give later is dropped.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle, StartError};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let hang = || {
    ///     std::thread::park(); // for ever
    ///     Ok::<_, std::io::Error>(())
    /// };
    /// let lock = lifecycle.component_blocking("lock", hang, |()| {});
    /// let error = lock.start_timeout(Duration::from_millis(10)).start().unwrap_err();
    /// assert!(matches!(error, StartError::TimedOut { .. }));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.start = timeout;
        self
    }

    /// How long its close may take, inside what the stop has left. Unless told otherwise, half of what is left, or
    /// all for the last, so that one that hangs leaves time to the others. When it is over, the close is left to
    /// itself, which is a failure, and the next component closes.
    ///
    /// ```
    /// # use exeunt_lifecycle::{ComponentOutcome, Config, Lifecycle};
    /// # use std::time::Duration;
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let lock = || Ok::<_, std::io::Error>(());
    /// let lock = lifecycle.component_blocking("lock", lock, |()| std::thread::park());
    /// lock.close_timeout(Duration::from_millis(10)).start()?;
    /// assert_eq!(lifecycle.close().components[0].outcome, ComponentOutcome::TimedOut);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.close = Some(timeout);
        self
    }

    /// Closes it behind all other components of its group; see `Component::closes_last`.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # let open = || Ok::<_, std::io::Error>(());
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// lifecycle.component_blocking("log", open, |()| {}).closes_last().start()?;
    /// lifecycle.component_blocking("traces", open, |()| {}).closes_last().start()?;
    /// lifecycle.component_blocking("database", open, |()| {}).start()?;
    /// let closed = lifecycle.close().components;
    /// let names: Vec<_> = closed.iter().map(|component| &*component.name).collect();
    /// assert_eq!(names, ["database", "traces", "log"]);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn closes_last(mut self) -> Self {
        self.timeouts.last = true;
        self
    }

    /// Starts it, and blocks until it has started. Not for async code, where it would block a thread of the runtime.
    ///
    /// ```
    /// # use exeunt_lifecycle::{ComponentOutcome, Config, Lifecycle};
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let lock = lifecycle.component_blocking("lock", || Ok::<_, std::io::Error>("held"), |_lock| {});
    /// assert_eq!(lock.start()?, "held");
    /// assert_eq!(lifecycle.close().components[0].outcome, ComponentOutcome::Closed);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StartError`]: its start failed, or took too long, or a stop was requested before.
    pub fn start<T, E, R>(self) -> Result<T, StartError>
    where
        S: FnOnce() -> Result<T, E> + Send + 'static,
        T: Clone + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
        C: FnOnce(T) -> R + Send + 'static,
        R: Outcome,
    {
        let Self { group, name, timeouts, start, close } = self;
        let core = group.core;
        let component = match core.begin_start(&name, group.id, timeouts, |_| {}) {
            Begun::Taken(component) => component,
            Begun::Stopping => return Err(StartError::Stopping { name }),
            Begun::GroupClosed => return Err(StartError::GroupClosed { name }),
            Begun::Forked => return Err(StartError::Forked { name }),
        };
        let since = core.clock().now();
        let result: Given<T> = Arc::default();
        let spawned = core.spawn_blocking("exeunt-start", {
            let (core, result) = (Arc::clone(&core), Arc::clone(&result));
            move || match run(start) {
                Ok(started) => {
                    let kept = started.clone();
                    let closer = Closer::blocking(move || close(kept).outcome());
                    core.started(component, closer, || *lock(&result) = Some(Ok(started)));
                }
                Err(error) => core.start_failed(component, error, |error| *lock(&result) = Some(Err(error))),
            }
        });
        if let Err(error) = spawned {
            core.start_failed(component, error.into(), |error| *lock(&result) = Some(Err(error)));
        }
        core.wait_until(None, |state| lock(&result).is_some() || !state.is_starting(component));
        let result = lock(&result).take();
        match result {
            Some(Ok(started)) => Ok(started),
            Some(Err(source)) => Err(StartError::Failed { name, source }),
            None => Err(StartError::TimedOut { name, after: core.clock().now().since(since) }),
        }
    }
}

/// What a start gave, set under the core's lock.
type Given<T> = Arc<Mutex<Option<Result<T, BoxError>>>>;

type BoxError = Box<dyn Error + Send + Sync>;

fn run<T, E: Into<BoxError>>(start: impl FnOnce() -> Result<T, E>) -> Result<T, BoxError> {
    foreign(|| start().map_err(Into::into)).unwrap_or_else(|panic| Err(panic.into()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S, C> fmt::Debug for BlockingComponent<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingComponent").field("name", &self.name).finish_non_exhaustive()
    }
}
