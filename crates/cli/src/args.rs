//! The command line, parsed and not yet acted upon.

use crate::drill::{ControlArguments, DrillArguments};
use crate::exit::ExitStatus;
use crate::serve::ServeArguments;
use clap::error::ErrorKind;

/// Programs that stop without losing anything.
#[derive(Debug, clap::Parser)]
#[command(name = "exeunt", version)]
pub(crate) struct Arguments {
    /// What to log to stderr: a level (error, warn, info, debug, trace) or a list of target=level
    #[arg(long, global = true, value_name = "FILTER", env = "EXEUNT_LOG", default_value = "warn")]
    pub(crate) log: String,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Serve(ServeArguments),
    Drill(Box<DrillArguments>),
    #[command(hide = true)]
    DrillControl(ControlArguments),
}

/// Prints what clap has to say (help and version are data, the rest is an error).
pub(crate) fn refuse(error: &clap::Error) -> ExitStatus {
    // A closed pipe behind us is no reason to fail.
    _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitStatus::Clean,
        _ => ExitStatus::Usage,
    }
}
