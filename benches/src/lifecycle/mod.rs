//! What the lifecycle costs beside tokio-util's types, how soon a signal is seen, and what child processes cost.

#[cfg(target_os = "linux")]
mod children;
mod signal;
mod tasks;

use anyhow::Result;
use std::io::Write;

pub(crate) use signal::victim;

/// Measures and tells.
pub(crate) fn measure(out: &mut impl Write) -> Result<()> {
    writeln!(out, "\n{}", signal::measure()?)?;
    #[cfg(target_os = "linux")]
    writeln!(out, "\n{}", children::measure()?)?;
    writeln!(out, "\n{}", tasks::compare()?)?;
    Ok(())
}
