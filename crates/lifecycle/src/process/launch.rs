//! A child that is to be started.

use super::builder::Options;
use super::child::Child;
use super::error::ChildError;
use super::exit::ChildExit;
use super::family::Family;
use crate::runner::detached;
use crate::scope::Scope;
use crate::site::Site;
use std::io;
use std::process::Command;
use std::sync::{Arc, mpsc};

pub(super) type Answer<T = Child> = Box<dyn FnOnce(Result<T, ChildError>) + Send>;

pub(super) type OnEnd = Box<dyn FnOnce(ChildExit) + Send>;

pub(super) struct Launch {
    pub(super) name: String,
    pub(super) command: Command,
    pub(super) options: Options,
    pub(super) terms: Terms,
}

/// For whom it is.
pub(super) struct Terms {
    /// What the report says of it besides.
    pub(super) note: Option<String>,
    pub(super) scope: Arc<Scope>,
    /// Those who hear of the stop together.
    pub(super) family: Family,
    pub(super) site: Site,
    pub(super) answer: Answer,
    /// Called when it has ended, or was given up; not if it never got ready, which `answer` says.
    pub(super) on_end: Option<OnEnd>,
}

impl Terms {
    /// Whether none may start any more. Its scope is busy by now: either this sees the stop, or the stop sees it.
    pub(super) fn are_too_late(&self) -> bool {
        self.scope.stop().is_requested()
    }

    /// It was not started.
    pub(super) fn refuse(self, error: ChildError) {
        release(self.scope);
        (self.answer)(Err(error));
    }
}

/// Launches what has that name, and blocks until that is answered.
pub(super) fn wait<T: Send + 'static>(
    name: String,
    launch: impl FnOnce(Answer<T>) -> Result<(), ChildError>,
) -> Result<T, ChildError> {
    let (say, hear) = mpsc::channel();
    launch(Box::new(move |answer| _ = say.send(answer)))?;
    hear.recv().unwrap_or_else(|_| Err(ChildError::Watch { name, source: gone() }))
}

/// [`wait`] for async code.
#[cfg(feature = "tokio")]
pub(super) async fn wait_async<T: Send + 'static>(
    name: String,
    launch: impl FnOnce(Answer<T>) -> Result<(), ChildError>,
) -> Result<T, ChildError> {
    let (say, hear) = tokio::sync::oneshot::channel();
    launch(Box::new(move |answer| _ = say.send(answer)))?;
    hear.await.unwrap_or_else(|_| Err(ChildError::Watch { name, source: gone() }))
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts children is gone")
}

/// Lets go of what may be the last to have the lifecycle, whose values are foreign code and not for this thread.
pub(super) fn release(scope: Arc<Scope>) {
    let Some(scope) = Arc::into_inner(scope) else { return };
    let stop = scope.stop();
    drop(scope);
    let core = stop.into_core();
    if let Some(core) = Arc::into_inner(core)
        && let Err((job, _)) = detached("exeunt-drop", Box::new(|| drop(core)))
    {
        std::mem::forget(job);
    }
}
