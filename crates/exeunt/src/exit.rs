//! How a program ended, for its `main` to return.

use crate::start::StartError;
use exeunt_lifecycle::Report;
use std::fmt;
use std::io::Write as _;
use std::process::{ExitCode, Termination};

/// How a program ended; what its `main` returns.
///
/// The exit status is the report's (L14): 0 clean, 1 something failed, 3 something was cut, 128 + signal forced; and
/// 2 where the program could not be started at all.
///
/// Returned from `main`, it says on stderr what went wrong, as the standard library does for an `Err`: the report,
/// unless the stop was clean. A clean stop says nothing. [`always_tell`](Self::always_tell) and
/// [`never_tell`](Self::never_tell) change that. Nothing else of Exeunt ever prints.
#[derive(Debug)]
#[must_use = "return it from `main`: it has the exit status"]
pub struct Exit {
    ended: Result<Report, StartError>,
    tell: Tell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tell {
    Trouble,
    Always,
    Never,
}

impl Exit {
    pub(crate) fn new(ended: Result<Report, StartError>) -> Self {
        Self { ended, tell: Tell::Trouble }
    }

    /// Says how it ended even where that was well.
    pub fn always_tell(mut self) -> Self {
        self.tell = Tell::Always;
        self
    }

    /// Says nothing, whatever happened: for programs that look at [`ended`](Self::ended) themselves.
    pub fn never_tell(mut self) -> Self {
        self.tell = Tell::Never;
        self
    }

    /// The exit status that the process will have.
    #[must_use]
    pub fn status(&self) -> u8 {
        self.ended.as_ref().map_or(NOT_STARTED, Report::exit_status)
    }

    /// What happened in the stop.
    ///
    /// # Errors
    ///
    /// The program was never started.
    pub fn ended(&self) -> Result<&Report, &StartError> {
        self.ended.as_ref()
    }

    fn is_told(&self) -> bool {
        match self.tell {
            Tell::Always => true,
            Tell::Never => false,
            Tell::Trouble => self.status() != 0,
        }
    }
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
        if self.is_told() {
            // Nobody may be there to read it, which changes nothing about how it ended.
            _ = writeln!(std::io::stderr().lock(), "{self}");
        }
        ExitCode::from(self.status())
    }
}
