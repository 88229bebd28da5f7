//! `exeunt drill`: stops a server under load again and again and accounts for every request.

use crate::exit::ExitStatus;
use crate::printer::UsageError;

/// Stops a server under load again and again and accounts for every request
#[derive(Debug, clap::Args)]
pub(crate) struct DrillArguments {}

pub(crate) fn run(_arguments: &DrillArguments) -> Result<ExitStatus, UsageError> {
    Ok(ExitStatus::Clean)
}
