//! Tracing events to stderr.

use crate::printer::UsageError;
use std::io;
use tracing_subscriber::EnvFilter;

/// Logs what `filter` lets through from here on.
pub(crate) fn start(filter: &str) -> Result<(), UsageError> {
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        let hint =
            "give a level (error, warn, info, debug, trace), or a list such as warn,exeunt_server=debug";
        UsageError::new(format!("--log {filter}: {error}"), hint.to_owned())
    })?;
    // Where stderr is gone, so is the place to complain about it: that would panic in whichever thread logs.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .init();
    Ok(())
}
