//! `exeunt drill`: stops a server under load again and again and accounts for every request.

mod arguments;
mod bar;
mod interrupt;

pub(crate) use arguments::{ControlArguments, DrillArguments};

use crate::exit::ExitStatus;
use crate::printer::{self, UsageError};
use bar::Bar;
use exeunt_drill::{Error, Outcome, Stop, Verdict};

pub(crate) fn run(arguments: &DrillArguments) -> Result<ExitStatus, UsageError> {
    let drill = arguments.drill()?;
    let stop = Stop::new();
    let (drilled, interrupted) = interrupt::watched(&stop, {
        let stop = stop.clone();
        move || drill.run(&mut Bar::new(), &stop)
    })?;
    match drilled {
        Ok(verdict) => {
            print(&verdict, arguments.json)?;
            Ok(match verdict.outcome {
                Outcome::Pass => ExitStatus::Clean,
                Outcome::Lost => ExitStatus::Lost,
                Outcome::Inconclusive => ExitStatus::Inconclusive,
            })
        }
        Err(error @ Error::Interrupted) => {
            printer::note(error);
            Ok(ExitStatus::Lifecycle(128_u8.saturating_add(interrupted.unwrap_or_default())))
        }
        Err(error) => Err(UsageError::new(&error, error.hint())),
    }
}

/// The server that loses, as a process of its own. Returns only with an error.
pub(crate) fn control(arguments: &ControlArguments) -> Result<ExitStatus, UsageError> {
    exeunt_drill::control::serve(arguments.port).map_err(|error| {
        UsageError::new(format!("control server on port {}: {error}", arguments.port), None)
    })?;
    Ok(ExitStatus::Clean)
}

fn print(verdict: &Verdict, json: bool) -> Result<(), UsageError> {
    if json {
        let text = serde_json::to_string_pretty(verdict)
            .map_err(|error| UsageError::new(format!("cannot write the verdict as JSON: {error}"), None))?;
        printer::data(text);
    } else {
        printer::data(verdict);
    }
    Ok(())
}
