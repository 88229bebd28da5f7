//! From keyword arguments to a configuration.

use exeunt_lifecycle::{Config, Force, InstallError, Signal};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::path::PathBuf;
use std::time::Duration;

/// The arguments of `Lifecycle`.
pub(super) struct Arguments {
    pub(super) grace: f64,
    pub(super) lame_duck: f64,
    pub(super) max_attempts: u32,
    pub(super) hard_limit: f64,
    pub(super) signals: Option<Vec<i32>>,
    pub(super) force: String,
    pub(super) chain: bool,
    pub(super) chain_on_main_thread: bool,
    pub(super) terminate_on_hup: bool,
    pub(super) terminate_on_logoff: bool,
    pub(super) stop_on_stdin_end: bool,
    pub(super) notify: bool,
    pub(super) report_file: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn config(self) -> PyResult<Config> {
        let mut config = Config::default()
            .grace(seconds("grace", self.grace)?)
            .lame_duck(seconds("lame_duck", self.lame_duck)?)
            .hard_limit(seconds("hard_limit", self.hard_limit)?)
            .max_attempts(self.max_attempts)
            .force(match &*self.force {
                "notify" => Force::Notify,
                "exit" => Force::Exit,
                other => {
                    let text = format!("force is {other:?}; choose \"notify\" or \"exit\"");
                    return Err(PyValueError::new_err(text));
                }
            })
            .chain(self.chain)
            .chain_on_main_thread(self.chain_on_main_thread)
            .terminate_on_hup(self.terminate_on_hup)
            .terminate_on_logoff(self.terminate_on_logoff)
            .stop_on_stdin_end(self.stop_on_stdin_end)
            .notify(self.notify);
        if let Some(signals) = self.signals {
            config = config.signals(signals.into_iter().map(Signal::new));
        }
        if let Some(path) = self.report_file {
            config = config.report_file(path);
        }
        Ok(config)
    }
}

/// A time that an argument gives, in seconds.
pub(super) fn seconds(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!("{name} is {seconds}; it is a number of seconds, 0 or more"))
    })
}

/// What was wrong with the arguments is a `ValueError`, what the system refuses an `OSError`.
pub(super) fn refused(error: &InstallError) -> PyErr {
    let text = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    match error {
        InstallError::Config(_) | InstallError::Signal { .. } => PyValueError::new_err(text),
        InstallError::Pipe(_) | InstallError::Thread(_) => PyOSError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}
