//! What a request costs on the event loop, beside bare hyper and a bare loop on mio; with many connections open; what an
//! idle connection keeps; how soon a wakeup arrives. TLS beside hyper on tokio-rustls, WebSocket beside tokio-tungstenite,
//! files beside nginx, the Python package beside cymongoose.

mod cost;
mod files;
mod memory;
mod python;
mod servers;
mod tls;
mod wakeup;
mod websocket;

use crate::machine::allow_descriptors;
use crate::process::Running;
use crate::{Arguments, MANY};
use anyhow::Result;
use clap::ValueEnum as _;
use std::io::Write;
use std::path::Path;

pub(crate) use python::{Python, measure as measure_python};
pub(crate) use servers::{Kind, serve};

/// Measures and tells.
pub(crate) fn measure(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    allow_descriptors(MANY as u64 + 1000)?;
    writeln!(out, "\n{}", cost::compare(arguments)?)?;
    writeln!(out, "\n{}", memory::compare()?)?;
    writeln!(out, "\n{}", wakeup::measure()?)?;
    Ok(())
}

/// Measures requests over TLS, and tells.
pub(crate) fn measure_tls(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    Ok(writeln!(out, "\n{}", tls::compare(arguments)?)?)
}

/// Measures WebSocket messages, and tells.
pub(crate) fn measure_websocket(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    Ok(writeln!(out, "\n{}", websocket::compare(arguments)?)?)
}

/// Measures files, and tells.
pub(crate) fn measure_files(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    Ok(writeln!(out, "\n{}", files::compare(arguments)?)?)
}

fn start(kind: Kind) -> Result<Running> {
    start_in(kind, Path::new("."))
}

/// For servers that need a folder.
fn start_in(kind: Kind, dir: &Path) -> Result<Running> {
    let name = kind.to_possible_value().map(|value| value.get_name().into());
    Running::start(std::iter::once("loop".into()).chain(name).chain([dir.into()]))
}
