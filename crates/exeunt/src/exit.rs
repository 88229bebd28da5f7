//! How a program ended, for its `main` to return.

use crate::not_started::NotStarted;
use exeunt_lifecycle::{Lifecycle, Report, Verdict};
use std::fmt;
use std::io::Write as _;
use std::process::{ExitCode, Termination};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How a program ended; what its `main` returns.
///
/// The exit status is the report's (L14): 0 clean, 1 something failed, 3 something was cut, 128 + signal forced, or
/// what [`Config::exit_statuses`](exeunt_lifecycle::Config::exit_statuses) says; and 2 where the program could not be
/// started at all. With [`Config::re_raise`](exeunt_lifecycle::Config::re_raise) a
/// program that a signal has ended ends by that signal itself.
///
/// Returned from `main`, it says on stderr what went wrong, as the standard library does for an `Err`: the report,
/// unless the stop was clean and the report is where it was to be written. A clean stop says nothing.
/// [`always_tell`](Self::always_tell) and [`never_tell`](Self::never_tell) change that. Nothing else of Exeunt ever
/// prints. It has a second to say so: if nobody reads stderr, or a thread that is stuck holds its lock, the process ends
/// without. Neither does stdout that nobody reads keep it.
///
/// Until the process is over, further stop signals do nothing: the default action of one that comes when all is
/// done would make a clean stop look like a crash. Dropping an `Exit` restores the signals.
///
/// ```
/// fn main() -> exeunt::Exit {
///     let exit = exeunt::main_blocking(|app| {
///         app.done();
///         Ok(())
///     });
///     assert_eq!((exit.status(), exit.to_string().starts_with("stopped in ")), (0, true));
///     exit
/// }
/// ```
#[derive(Debug)]
#[must_use = "return it from `main`: it has the exit status"]
pub struct Exit {
    ended: Result<Report, NotStarted>,
    tell: Tell,
    /// Has stopped, and keeps the signals.
    lifecycle: Option<Lifecycle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tell {
    Trouble,
    Always,
    Never,
}

impl Exit {
    /// For a `main` without a runtime: requests the stop if nobody has, blocks until the program has stopped, and is
    /// what `main` returns. [`Lifecycle::close`] is the same for whoever needs the report alone.
    ///
    /// ```
    /// use exeunt::{Config, Error, Exit, Lifecycle};
    ///
    /// fn main() -> Result<Exit, Error> {
    ///     let lifecycle = Lifecycle::install(Config::from_environment()?)?;
    ///     lifecycle.ready();
    ///     // …
    ///     Ok(Exit::of(lifecycle))
    /// }
    /// ```
    pub fn of(lifecycle: Lifecycle) -> Self {
        lifecycle.stop().request_stop("the program closed its lifecycle");
        Self::stopped(lifecycle)
    }

    /// Blocks until the program has stopped.
    pub(crate) fn stopped(lifecycle: Lifecycle) -> Self {
        Self { ended: Ok(lifecycle.wait()), tell: Tell::Trouble, lifecycle: Some(lifecycle) }
    }

    /// Of a program that somebody else has seen stop.
    pub(crate) fn told(report: Report) -> Self {
        Self { ended: Ok(report), tell: Tell::Trouble, lifecycle: None }
    }

    pub(crate) fn not_started(error: NotStarted) -> Self {
        Self { ended: Err(error), tell: Tell::Trouble, lifecycle: None }
    }

    /// Says how it ended even where that was well.
    ///
    /// ```
    /// fn main() -> exeunt::Exit {
    ///     exeunt::main_blocking(|app| {
    ///         app.done();
    ///         Ok(())
    ///     })
    ///     .always_tell() // "stopped in 0 ms: the program was done", and more
    /// }
    /// ```
    pub fn always_tell(mut self) -> Self {
        self.tell = Tell::Always;
        self
    }

    /// Says nothing, whatever happened: for programs that look at [`ended`](Self::ended) themselves.
    ///
    /// ```
    /// let exit = exeunt::main_blocking(|_| Err("there is no shop".into())).never_tell();
    /// let report = exit.ended().expect("it was started");
    /// assert_eq!(report.failures[0].to_string(), "main failed: there is no shop");
    /// ```
    pub fn never_tell(mut self) -> Self {
        self.tell = Tell::Never;
        self
    }

    /// The exit status that the process will have.
    ///
    /// ```
    /// # use exeunt::Config;
    /// let exit = exeunt::main_with(Config::default().max_attempts(0), async |_| Ok(()));
    /// assert_eq!(exit.status(), 2); // it was not even started
    /// ```
    #[must_use]
    pub fn status(&self) -> u8 {
        self.ended.as_ref().map_or(NOT_STARTED, Report::exit_status)
    }

    /// What happened in the stop.
    ///
    /// ```
    /// let exit = exeunt::main_blocking(|app| {
    ///     app.stop().request_stop("all is done");
    ///     Ok(())
    /// });
    /// let report = exit.ended().expect("it was started");
    /// assert_eq!(report.cause.as_ref().unwrap().to_string(), "all is done");
    /// ```
    ///
    /// # Errors
    ///
    /// The program was never started.
    pub fn ended(&self) -> Result<&Report, &NotStarted> {
        self.ended.as_ref()
    }

    /// Asked of the verdict, since a program may give trouble a status of 0.
    fn was_trouble(&self) -> bool {
        self.ended
            .as_ref()
            .map_or(true, |report| report.verdict != Verdict::Clean || report.not_written.is_some())
    }

    /// Says on stderr how it ended, if that is wanted, and flushes stdout; waits a second at most.
    pub(crate) fn tell(&self) {
        let wanted = match self.tell {
            Tell::Always => true,
            Tell::Never => false,
            Tell::Trouble => self.was_trouble(),
        };
        let text = if wanted { format!("{self}\n") } else { String::new() };
        let (said, hear) = channel::<()>();
        let thread = thread::Builder::new().name("exeunt-last-words".to_owned()).spawn({
            let text = text.clone();
            move || {
                say(&text);
                // As the exit would, with signals that are still ours. A flush that blocks keeps stdout's lock, and then the
                // exit leaves it alone.
                _ = std::io::stdout().flush();
                drop(said);
            }
        });
        match thread {
            Ok(_) => _ = hear.recv_timeout(LAST_WORDS),
            // That there are no threads left is likelier than that stderr blocks, too.
            Err(_) => say(&text),
        }
    }
}

/// How long stderr and stdout may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Nobody may be there to read it, which changes nothing about how it ended.
fn say(text: &str) {
    _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// As for arguments that cannot be used.
const NOT_STARTED: u8 = 2;

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ended {
            Ok(report) => report.fmt(f),
            Err(error) => write!(f, "error: {error}"),
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.tell();
        if let Ok(Report { ends_by: Some(signal), .. }) = &self.ended {
            let still_here = signal.end_process();
            tracing::warn!(target: "exeunt", error = %still_here, "cannot end by {signal}");
        }
        let status = ExitCode::from(self.status());
        // The process is over in a moment.
        std::mem::forget(self.lifecycle);
        status
    }
}
