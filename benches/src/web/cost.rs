//! CPU time per request, in turns.

use super::servers::Kind;
use super::start;
use crate::load::Load;
use crate::ratio::Ratio;
use crate::turns::{Costs, Seat, Turn, take};
use crate::{Arguments, MANY};
use anyhow::Result;
use std::fmt;

/// Who takes turns.
const SEATS: [(&str, Kind); 4] = [
    ("ours", Kind::Ours),
    ("bare hyper", Kind::Hyper),
    ("axum::serve", Kind::Axum),
    ("ours, with 10,000 open", Kind::Ours),
];

/// What came of it.
pub(crate) struct Comparison {
    pairs: u32,
    requests: u32,
    connections: u32,
    costs: Costs,
    of_few: Ratio,
}

/// Runs all servers and lets them take turns.
pub(crate) fn compare(arguments: &Arguments) -> Result<Comparison> {
    let servers = SEATS.iter().map(|(_, kind)| start(*kind)).collect::<Result<Vec<_>>>()?;
    let active = arguments.connections as usize;
    let costs = take(arguments, arguments.requests, || {
        SEATS
            .iter()
            .zip(&servers)
            .enumerate()
            .map(|(index, ((name, _), server))| {
                let open = if index == 3 { MANY.max(active) } else { active };
                let mut load = Load::connect(server.address, open, active)?;
                let turn: Turn<'_> = Box::new(move |requests| load.turn(requests));
                Ok(Seat { name, server, turn })
            })
            .collect()
    })?;
    Ok(Comparison {
        pairs: arguments.pairs,
        requests: arguments.requests,
        connections: arguments.connections,
        of_few: costs.ratio(3, 0)?,
        costs,
    })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "CPU time per request of the server, an axum router that answers 11 bytes from memory")?;
        writeln!(
            f,
            "method: {} rounds of interleaved turns of {} requests over {} kept connections; servers on core 0, the client on\n\
             \x20       core 1, which never sleeps; CPU time from /proc/PID/task/*/schedstat; ratio = geometric mean over the\n\
             \x20       rounds, Student's t; wanted: 1.03 of bare hyper, 1.0 of axum::serve, at most",
            self.pairs, self.requests, self.connections
        )?;
        self.costs.tell(f, Some(1.03))?;
        write!(
            f,
            "\n  10,000 open / {:<16} {} (wanted: 1.3 at most)",
            format!("{} open", self.connections),
            self.of_few
        )
    }
}
