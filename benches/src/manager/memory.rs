//! What an idle connection keeps.

use super::servers::Kind;
use super::start;
use crate::MANY;
use crate::load::Load;
use crate::machine::own_memory;
use anyhow::Result;
use std::fmt;

/// Connections of the first step, past which memory is looked at.
const FIRST: usize = 2_000;

/// Bytes per connection.
pub(crate) struct Comparison {
    ours: f64,
    hyper: f64,
    mio: f64,
}

pub(crate) fn compare() -> Result<Comparison> {
    Ok(Comparison { ours: slope(Kind::Manager)?, hyper: slope(Kind::Hyper)?, mio: slope(Kind::Mio)? })
}

fn slope(kind: Kind) -> Result<f64> {
    let server = start(kind)?;
    let _first = Load::connect(server.address, FIRST, 0)?;
    let before = own_memory(server.id())?;
    let _more = Load::connect(server.address, MANY - FIRST, 0)?;
    let after = own_memory(server.id())?;
    Ok(after.saturating_sub(before) as f64 / (MANY - FIRST) as f64)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "memory of an idle kept connection that has been answered once, the kernel's aside")?;
        writeln!(
            f,
            "method: growth of the process's own pages (Anonymous in smaps_rollup) from {FIRST} to {MANY} connections, per\n\
             \x20       connection, whatever the allocator keeps beside it included"
        )?;
        writeln!(f, "  ours        {:6.0} bytes (wanted: under 2048)", self.ours)?;
        writeln!(f, "  bare hyper  {:6.0} bytes", self.hyper)?;
        write!(f, "  bare mio    {:6.0} bytes", self.mio)
    }
}
