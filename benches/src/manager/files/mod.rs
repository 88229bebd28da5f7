//! What a file costs, beside nginx.

mod nginx;

use super::{Kind, start_in};
use crate::Arguments;
use crate::load::Load;
use crate::turns::{Costs, Seat, take};
use anyhow::{Result, ensure};
use exeunt_manager::{Event, Files, Listen};
use std::fmt;
use std::path::Path;

/// The file, in bytes.
const FILE: usize = 64 * 1024;

const REQUEST: &[u8] = b"GET /file.bin HTTP/1.1\r\nHost: bench\r\n\r\n";

/// Serves that folder until it is ended.
pub(super) fn manager(dir: &Path) -> Result<()> {
    let files = Files::open(dir)?;
    super::servers::manager(Listen::new(), move |conn, event| {
        if let Event::HttpMessage(request) = event
            && let Err(error) = conn.serve_dir(request, &files)
        {
            conn.reply(500, &[], error.to_string());
        }
    })
}

/// What came of it.
pub(crate) enum Outcome {
    Measured(Box<Comparison>),
    /// There is no nginx.
    Skipped,
}

/// The figures.
pub(crate) struct Comparison {
    nginx: String,
    pairs: u32,
    requests: u32,
    connections: u32,
    costs: Costs,
}

/// Runs both servers over the same folder and lets them take turns.
pub(crate) fn compare(arguments: &Arguments) -> Result<Outcome> {
    let Some(program) = nginx::find() else { return Ok(Outcome::Skipped) };
    let dir = tempfile::tempdir()?;
    let site = dir.path().join("site");
    std::fs::create_dir(&site)?;
    std::fs::write(site.join("file.bin"), content())?;
    let servers = [
        ("ours", start_in(Kind::ManagerFiles, &site)?),
        ("nginx", nginx::start(&program, dir.path(), &site, nginx::Cache::Off)?),
        ("nginx, files kept open", nginx::start(&program, dir.path(), &site, nginx::Cache::On)?),
    ];
    let costs = take(arguments, arguments.requests, || {
        let seats = servers.iter().map(|(name, server)| {
            let clients = arguments.connections as usize;
            let mut load = Load::asking(REQUEST, server.address, clients, clients)?;
            ensure!((FILE..FILE + 1024).contains(&load.answer), "{name}: {} bytes", load.answer);
            Ok(Seat { name, server, turn: Box::new(move |requests| load.turn(requests)) })
        });
        seats.collect()
    })?;
    Ok(Outcome::Measured(Box::new(Comparison {
        nginx: nginx::version(&program)?,
        pairs: arguments.pairs,
        requests: arguments.requests,
        connections: arguments.connections,
        costs,
    })))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured(comparison) => comparison.fmt(f),
            Self::Skipped => {
                write!(
                    f,
                    "SKIPPED: files beside nginx, since there is no nginx; `benches/tools` unpacks one, to be put into the path"
                )
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "CPU time per request of the event loop, a file of {FILE} bytes from a folder")?;
        writeln!(
            f,
            "method: {} rounds of interleaved turns of {} requests over {} kept connections; {},\n\
             \x20       one worker, sendfile, no access log; servers on core 0, the client on core 1, which never sleeps;\n\
             \x20       CPU time from /proc/PID/task/*/schedstat, nginx's worker and master together;\n\
             \x20       ratio = geometric mean over the rounds, Student's t",
            self.pairs, self.requests, self.connections, self.nginx
        )?;
        self.costs.tell(f, Some(1.2))
    }
}

/// Bytes of any value.
fn content() -> Vec<u8> {
    (0..FILE).map(|index| (index * 31 % 251) as u8).collect()
}
