//! What an echoed WebSocket message costs, beside tokio-tungstenite.

mod load;
mod servers;

use super::{Kind, start};
use crate::Arguments;
use crate::turns::{Costs, Seat, take};
use anyhow::Result;
use load::Load;
use std::fmt;

pub(super) use servers::{manager, tungstenite};

/// What came of it.
pub(crate) struct Comparison {
    pairs: u32,
    messages: u32,
    connections: u32,
    costs: Costs,
}

/// Runs both servers and lets them take turns.
pub(crate) fn compare(arguments: &Arguments) -> Result<Comparison> {
    let servers =
        [("ours", start(Kind::ManagerWebsocket)?), ("tokio-tungstenite", start(Kind::Tungstenite)?)];
    let costs = take(arguments, arguments.requests, || {
        let seats = servers.iter().map(|(name, server)| {
            let mut load = Load::connect(server.address, arguments.connections as usize)?;
            Ok(Seat { name, server, turn: Box::new(move |messages| load.turn(messages)) })
        });
        seats.collect()
    })?;
    Ok(Comparison {
        pairs: arguments.pairs,
        messages: arguments.requests,
        connections: arguments.connections,
        costs,
    })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "CPU time per WebSocket message of the event loop, {} bytes of text sent back",
            load::TEXT.len()
        )?;
        writeln!(
            f,
            "method: {} rounds of interleaved turns of {} messages over {} connections, one message of each at a time; one\n\
             \x20       thread of each server serves, on core 0, and one sleeps; the client is on core 1, and never sleeps;\n\
             \x20       CPU time from /proc/PID/task/*/schedstat; ratio = geometric mean over the rounds, Student's t",
            self.pairs, self.messages, self.connections
        )?;
        self.costs.tell(f, Some(1.0))
    }
}
