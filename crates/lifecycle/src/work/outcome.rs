//! How a piece of work ended.

use crate::cause::{Failure, in_words};
use crate::foreign::{self, foreign};
use std::any::Any;
use std::error::Error;

/// What a task, a job or a thread may return: nothing, or a result whose error is a failure of whoever returned it.
///
/// ```
/// # use exeunt_lifecycle::Outcome;
/// assert!(().outcome().is_ok());
/// assert!(Err::<(), _>("the disk is full").outcome().is_err());
/// ```
pub trait Outcome {
    /// The error, if there is one.
    ///
    /// # Errors
    ///
    /// The work's own.
    fn outcome(self) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl Outcome for () {
    fn outcome(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Outcome for Result<(), E> {
    fn outcome(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.map_err(Into::into)
    }
}

/// Work that never returns, such as an endless loop. `!` cannot be written here in stable Rust, but named as what a
/// function type returns.
impl Outcome for <fn() -> ! as Returns>::Type {
    fn outcome(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self
    }
}

#[doc(hidden)]
pub trait Returns {
    type Type;
}

impl<T> Returns for fn() -> T {
    type Type = T;
}

/// What becomes of the program when a piece of work fails. The failure is in the report in either case, and makes
/// the exit status 1 (L14).
///
/// ```
/// # use exeunt_lifecycle::{Config, Lifecycle, OnFailure};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let lifecycle = Lifecycle::on_runtime(Config::default())?;
/// let jobs = lifecycle.tasks("jobs"); // goes on: OnFailure::GoOn
/// jobs.spawn("one of many", async |_| Err::<(), _>("no such customer"));
/// tokio::task::yield_now().await;
/// assert!(!lifecycle.stop().is_requested());
///
/// let needed = jobs.on_failure(OnFailure::Stop);
/// needed.spawn("the only one", async |_| Err::<(), _>("the disk is full"));
/// assert_eq!(lifecycle.finished().await.failures.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// It goes on: for work of which there is much, such as jobs.
    #[default]
    GoOn,
    /// It stops: for work that the program cannot do without.
    Stop,
}

/// The failure that an error, or a panic, of `name` is.
pub(crate) fn failure<R: Outcome>(
    name: impl FnOnce() -> String,
    ended: Result<R, Box<dyn Any + Send>>,
) -> Option<Failure> {
    let told = match ended {
        Ok(ended) => foreign(|| ended.outcome().map_err(|error| in_words(&*error))),
        Err(panic) => Err(foreign::in_words(panic)),
    };
    let error = match told {
        Ok(Ok(())) => return None,
        Ok(Err(error)) | Err(error) => error,
    };
    Some(Failure { name: name(), error })
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    match text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)) {
        Some(text) => format!("panicked: {text}"),
        None => "panicked".to_owned(),
    }
}
