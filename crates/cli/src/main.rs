//! The `exeunt` command: arguments in, printing out, exit codes. Unix only; `drill` needs Linux.

mod args;
mod drill;
mod exit;
mod logging;
mod printer;
mod serve;
mod site;

use args::Command;
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match args::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return args::refuse(&error).into(),
    };
    let status = logging::start(&arguments.log).and_then(|()| match arguments.command {
        Command::Serve(serve) => serve::run(&serve),
        Command::Drill(drill) => drill::run(&drill),
        Command::DrillControl(control) => drill::control(&control),
    });
    status.unwrap_or_else(|error| printer::error(&error)).into()
}
