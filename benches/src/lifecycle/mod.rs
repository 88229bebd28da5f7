//! What the lifecycle costs beside tokio-util's types, and how soon a signal is seen.

mod signal;
mod tasks;

use anyhow::Result;
use std::io::Write;

pub(crate) use signal::victim;

/// Measures and tells.
pub(crate) fn measure(out: &mut impl Write) -> Result<()> {
    writeln!(out, "\n{}", signal::measure()?)?;
    writeln!(out, "\n{}", tasks::compare()?)?;
    Ok(())
}
