//! CPU time per request, in turns.

use super::servers::Kind;
use super::start;
use crate::Arguments;
use crate::MANY;
use crate::load::Load;
use crate::machine::{pin, sleeps};
use crate::process::Running;
use crate::ratio::{Ratio, median};
use anyhow::{Context as _, Result, ensure};
use std::fmt;

/// Who takes turns.
const SEATS: [(&str, Kind); 5] = [
    ("ours", Kind::Manager),
    ("bare hyper, current_thread", Kind::Hyper),
    ("bare mio loop", Kind::Mio),
    ("ours, with 10,000 open", Kind::Manager),
    ("bare mio, no other thread", Kind::MioAlone),
];

/// What came of it.
pub(crate) struct Comparison {
    pairs: u32,
    requests: u32,
    connections: u32,
    /// Medians, in microseconds of CPU per request; and how often the server had nothing to do, per request.
    costs: [(f64, f64); SEATS.len()],
    of_hyper: Ratio,
    of_mio: Ratio,
    of_few: Ratio,
    of_alone: Ratio,
}

/// In one turn: microseconds and sleeps per request, of each.
type Round = [(f64, f64); SEATS.len()];

/// Runs all servers and lets them take turns.
pub(crate) fn compare(arguments: &Arguments) -> Result<Comparison> {
    let servers = SEATS.iter().map(|(_, kind)| start(*kind)).collect::<Result<Vec<_>>>()?;
    let rounds = std::thread::scope(|scope| {
        scope
            .spawn(|| measure(&servers, arguments))
            .join()
            .unwrap_or_else(|_| anyhow::bail!("the client panicked"))
    })?;
    let ratio = |ours: usize, theirs: usize| {
        let pairs: Vec<_> = rounds.iter().map(|round| (round[ours].0, round[theirs].0)).collect();
        Ratio::of(&pairs).context("too few pairs")
    };
    Ok(Comparison {
        pairs: arguments.pairs,
        requests: arguments.requests,
        connections: arguments.connections,
        costs: std::array::from_fn(|seat| {
            (
                median(rounds.iter().map(|round| round[seat].0)),
                median(rounds.iter().map(|round| round[seat].1)),
            )
        }),
        of_hyper: ratio(0, 1)?,
        of_mio: ratio(0, 2)?,
        of_few: ratio(3, 0)?,
        of_alone: ratio(0, 4)?,
    })
}

fn measure(servers: &[Running], arguments: &Arguments) -> Result<Vec<Round>> {
    pin(1)?;
    let active = arguments.connections as usize;
    let mut loads = Vec::new();
    for (seat, server) in servers.iter().enumerate() {
        let open = if seat == 3 { MANY.max(active) } else { active };
        loads.push(Load::connect(server.address, open, active)?);
    }
    let answers: Vec<_> = loads.iter().map(|load| load.answer).collect();
    ensure!(
        answers.iter().all(|answer| *answer == answers[0]),
        "answers have different lengths: {answers:?}"
    );
    let mut rounds = Vec::new();
    for turn in 0..=arguments.pairs {
        let mut round = Round::default();
        // Each has each place in the order equally often, and its neighbours on either side.
        for place in 0..SEATS.len() {
            let seat = if turn % 2 == 0 { place } else { SEATS.len() - 1 - place };
            let seat = (seat + turn as usize / 2) % SEATS.len();
            let server = &servers[seat];
            let (cpu, slept) = (server.cpu_time()?, sleeps(server.id())?);
            let requests = loads[seat].turn(arguments.requests)? as f64;
            let (cpu, slept) = (server.cpu_time()? - cpu, sleeps(server.id())? - slept);
            round[seat] = (cpu as f64 / 1e3 / requests, slept as f64 / requests);
        }
        // The first round warms up.
        if turn > 0 {
            rounds.push(round);
        }
    }
    Ok(rounds)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "CPU time per request of the event loop, GET answered with 11 bytes from memory")?;
        writeln!(
            f,
            "method: {} rounds of interleaved turns of {} requests over {} kept connections; one thread of each server serves,\n\
             \x20       on core 0, and one sleeps; the client is on core 1, and never sleeps; the same bytes from all;\n\
             \x20       CPU time from /proc/PID/task/*/schedstat; ratio = geometric mean over the rounds, Student's t",
            self.pairs, self.requests, self.connections
        )?;
        for ((name, _), (cost, slept)) in SEATS.iter().zip(self.costs) {
            writeln!(f, "  {name:27} {cost:6.2} us (median), asleep {slept:.3} times per request")?;
        }
        writeln!(f, "  ours / bare hyper           {} (wanted: 0.97 at most)", self.of_hyper)?;
        writeln!(f, "  ours / bare mio loop        {} (wanted: 1.10 at most)", self.of_mio)?;
        writeln!(f, "  ours / bare mio, alone      {}", self.of_alone)?;
        write!(
            f,
            "  10,000 open / {:<13} {} (wanted: 1.3 at most)",
            format!("{} open", self.connections),
            self.of_few
        )
    }
}
