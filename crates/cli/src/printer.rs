//! The one way out: data to stdout, everything else to stderr. A pipe that breaks is not an error.

use crate::exit::ExitStatus;
use std::fmt;
use std::io::Write as _;

/// What stops a command before it began: one line, and what to do about it.
#[derive(Debug)]
pub(crate) struct UsageError {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl UsageError {
    pub(crate) fn new(message: impl fmt::Display, hint: impl Into<Option<String>>) -> Self {
        Self { message: message.to_string(), hint: hint.into() }
    }
}

/// Data: what a pipe behind us is meant to read.
pub(crate) fn data(text: impl fmt::Display) {
    // Nobody reads any more: not our failure (`exeunt drill … | head -1`).
    _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// News for whoever watches.
pub(crate) fn note(text: impl fmt::Display) {
    _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error and its hint; answers the exit status that goes with it.
pub(crate) fn error(error: &UsageError) -> ExitStatus {
    note(format_args!("error: {}", error.message));
    if let Some(hint) = &error.hint {
        note(format_args!("hint: {hint}"));
    }
    ExitStatus::Usage
}
