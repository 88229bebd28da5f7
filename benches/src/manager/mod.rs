//! What a request costs on the event loop, beside bare hyper and a bare loop on mio; with many connections open; what an
//! idle connection keeps; how soon a wakeup arrives.

mod cost;
mod load;
mod memory;
mod servers;
mod wakeup;

use crate::Arguments;
use crate::machine::allow_descriptors;
use crate::process::Running;
use anyhow::Result;
use clap::ValueEnum as _;
use std::io::Write;

pub(crate) use servers::{Kind, serve};

/// Connections where there are many.
const MANY: usize = 10_000;

/// Measures and tells.
pub(crate) fn measure(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    allow_descriptors(MANY as u64 + 1000)?;
    writeln!(out, "\n{}", cost::compare(arguments)?)?;
    writeln!(out, "\n{}", memory::compare()?)?;
    writeln!(out, "\n{}", wakeup::measure()?)?;
    Ok(())
}

fn start(kind: Kind) -> Result<Running> {
    let name = kind.to_possible_value().map(|value| value.get_name().into());
    Running::start(std::iter::once("loop".into()).chain(name))
}
