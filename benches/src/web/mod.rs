//! The server under an axum router, beside bare hyper with the same router and `axum::serve`: what a request costs, with few
//! connections open and with many; what an idle connection keeps; how long many idle ones take to stop.

mod cost;
mod memory;
mod servers;
mod stop;

use crate::machine::allow_descriptors;
use crate::process::Running;
use crate::{Arguments, MANY};
use anyhow::Result;
use clap::ValueEnum as _;
use std::io::Write;

pub(crate) use servers::{Kind, serve};

/// Measures and tells.
pub(crate) fn measure(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    allow_descriptors(MANY as u64 + 1000)?;
    writeln!(out, "\n{}", cost::compare(arguments)?)?;
    writeln!(out, "\n{}", memory::compare()?)?;
    writeln!(out, "\n{}", stop::measure()?)?;
    Ok(())
}

fn start(kind: Kind) -> Result<Running> {
    let name = kind.to_possible_value().map(|value| value.get_name().into());
    Running::start(std::iter::once("web-server".into()).chain(name))
}
