//! How a piece of work ended.

use crate::cause::in_words;
#[cfg(feature = "tokio")]
use crate::component::ExitWorkError;
use crate::component::StartError;
use crate::foreign::{self, foreign};
#[cfg(any(target_os = "linux", windows))]
use crate::process::ChildError;
use crate::shield::{Break, StopImminent};
use crate::stop::Forked;
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

/// How work ended, once its error is in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Well,
    /// It says that a stop made it end, which is no failure if there was one.
    ByStop(String),
    Badly(String),
}

/// Puts an error, or a panic, into words, and drops it. All of that is foreign code: not under a lock.
pub(super) fn ended<R: Outcome>(result: Result<R, Box<dyn Any + Send>>) -> Ended {
    let outcome = match result {
        Ok(outcome) => foreign(|| outcome.outcome()),
        Err(panic) => return Ended::Badly(foreign::in_words(panic)),
    };
    match outcome {
        Ok(Ok(())) => Ended::Well,
        Ok(Err(error)) => {
            let by_stop = foreign(|| says_stop(&*error)).unwrap_or(false);
            let text = in_words(&*error);
            match foreign(|| drop(error)) {
                Ok(()) if by_stop => Ended::ByStop(text),
                Ok(()) => Ended::Badly(text),
                Err(panic) => Ended::Badly(format!("{text} (dropped, that error {panic})")),
            }
        }
        Err(panic) => Ended::Badly(panic),
    }
}

/// Whether the error says, itself or by its sources, that it was made because of a stop (L12).
pub(crate) fn says_stop(error: &(dyn Error + 'static)) -> bool {
    if let Some(io) = error.downcast_ref::<std::io::Error>() {
        // It passes over what it holds, and names the source of that.
        return io.get_ref().is_some_and(|held| says_stop(held));
    }
    is_of_stop(error) || error.source().is_some_and(says_stop)
}

fn is_of_stop(error: &(dyn Error + 'static)) -> bool {
    if matches!(error.downcast_ref(), Some(Break::Stop)) || error.is::<StopImminent>() || error.is::<Forked>()
    {
        return true;
    }
    #[cfg(feature = "tokio")]
    if matches!(error.downcast_ref(), Some(ExitWorkError::Stopping(_))) {
        return true;
    }
    if matches!(error.downcast_ref(), Some(StartError::Stopping { .. } | StartError::Forked { .. })) {
        return true;
    }
    #[cfg(any(target_os = "linux", windows))]
    if matches!(error.downcast_ref(), Some(ChildError::Stopping { .. } | ChildError::Forked { .. })) {
        return true;
    }
    // An error that is transparent hides what it holds, and speaks with its words.
    let text = error.to_string();
    text == Break::Stop.to_string() || text == StopImminent.to_string() || text == Forked.to_string()
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    match text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)) {
        Some(text) => format!("panicked: {text}"),
        None => "panicked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, Outcome, ended};
    use crate::component::StartError;
    use crate::shield::{Break, StopImminent};
    use crate::stop::Forked;
    use std::error::Error;
    use std::fmt;
    use std::io;
    use std::panic::{catch_unwind, panic_any};

    /// A user's own, which names what it holds as its source.
    #[derive(Debug, thiserror::Error)]
    #[error("the export is not whole")]
    struct Sourced(#[from] Break);

    /// A user's own, which passes on what it holds for itself.
    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Transparent(#[from] Break);

    #[derive(Debug, thiserror::Error)]
    #[error("row 7")]
    struct Around(#[source] Box<dyn Error + Send + Sync>);

    fn of(error: impl Into<Box<dyn Error + Send + Sync>>) -> Ended {
        ended(Ok(Err::<(), _>(error.into())))
    }

    #[test]
    fn l12_an_error_tells_whether_a_stop_made_it() {
        let start = || StartError::Stopping { name: "cache".to_owned() };
        let stops: [Box<dyn Error + Send + Sync>; 10] = [
            Break::Stop.into(),
            StopImminent.into(),
            Forked.into(),
            start().into(),
            Sourced(Break::Stop).into(),
            Transparent(Break::Stop).into(),
            Around(Break::Stop.into()).into(),
            Around(Sourced(Break::Stop).into()).into(),
            io::Error::other(Break::Stop).into(),
            Around(io::Error::other(Sourced(Break::Stop)).into()).into(),
        ];
        for error in stops {
            let text = error.to_string();
            assert!(matches!(of(error), Ended::ByStop(_)), "{text}");
        }
        #[cfg(feature = "tokio")]
        assert!(matches!(of(crate::component::ExitWorkError::Stopping(StopImminent)), Ended::ByStop(_)));
        let others: [Box<dyn Error + Send + Sync>; 5] = [
            Break::Expired.into(),
            Sourced(Break::Expired).into(),
            Around("the disk is full".into()).into(),
            io::Error::other("the disk is full").into(),
            io::Error::from(io::ErrorKind::Interrupted).into(),
        ];
        for error in others {
            let text = error.to_string();
            assert!(matches!(of(error), Ended::Badly(_)), "{text}");
        }
    }

    /// Panics over whatever it is asked.
    #[derive(Debug)]
    struct Mute;

    impl fmt::Display for Mute {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no words")
        }
    }

    impl Error for Mute {}

    /// Panics when it is dropped.
    #[derive(Debug, thiserror::Error)]
    #[error("spoilt")]
    struct Spoilt;

    impl Drop for Spoilt {
        fn drop(&mut self) {
            panic!("once more");
        }
    }

    struct Unwilling;

    impl Outcome for Unwilling {
        fn outcome(self) -> Result<(), Box<dyn Error + Send + Sync>> {
            panic!("no outcome")
        }
    }

    #[test]
    fn l12_whatever_foreign_code_does_a_failure_is_told() {
        let told = [
            (of(Mute), "an error that cannot be told, since it panicked: no words"),
            (of(Around(Mute.into())), "an error that cannot be told, since it panicked: no words"),
            (of(Spoilt), "spoilt (dropped, that error panicked: once more)"),
            (ended(Ok(Unwilling)), "panicked: no outcome"),
            (ended::<()>(catch_unwind(|| panic_any(Spoilt))), "panicked"),
        ];
        for (ended, text) in told {
            assert_eq!(ended, Ended::Badly(text.to_owned()));
        }
        assert_eq!(ended(Ok(())), Ended::Well);
    }
}
