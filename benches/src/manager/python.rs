//! The Python package's event loop beside cymongoose, whose programs it takes over: the same handler in the same
//! interpreter, each module in a virtual environment of its own.

use crate::Arguments;
use crate::load::Load;
use crate::machine::{allow_descriptors, pin};
use crate::process::Running;
use crate::ratio::{Ratio, median};
use anyhow::{Context as _, Result};
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Connections that are open, and those of them that ask.
const SETTINGS: [(usize, usize); 3] = [(64, 64), (1000, 1000), (5064, 64)];

/// What is wanted of CPU time per request, in each setting, at most.
const WANTED: [f64; SETTINGS.len()] = [0.80, 0.80, 0.30];

/// Whom to compare.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Python {
    /// The interpreter of the environment that has the package `exeunt`
    ours: PathBuf,
    /// The interpreter of the one that has the peer
    theirs: PathBuf,
    /// The module of the peer
    #[arg(long, default_value = "cymongoose")]
    peer: String,
    /// The program that both run
    #[arg(long, default_value = "benches/python/server.py")]
    program: PathBuf,
}

/// In one turn: CPU time per request, in microseconds, and requests per second.
#[derive(Clone, Copy)]
struct Turn {
    cost: f64,
    throughput: f64,
}

struct Comparison<'a> {
    peer: &'a str,
    open: usize,
    active: usize,
    wanted: f64,
    rounds: Vec<[Turn; 2]>,
}

/// Measures in each setting, and tells.
pub(crate) fn measure(arguments: &Arguments, python: &Python, out: &mut impl Write) -> Result<()> {
    allow_descriptors(8_000)?;
    writeln!(
        out,
        "\nPython: a handler that answers GET with 11 bytes, `exeunt.mongoose` beside `{}`\n\
         method: {} rounds of interleaved turns of {} requests; each server is a process on core 0, the client on core 1,\n\
         \x20       where it never sleeps; CPU time from /proc/PID/task/*/schedstat; ratio = geometric mean over the\n\
         \x20       rounds, Student's t",
        python.peer, arguments.pairs, arguments.requests
    )?;
    for ((open, active), wanted) in SETTINGS.into_iter().zip(WANTED) {
        let servers =
            [start(python, &python.ours, "exeunt.mongoose")?, start(python, &python.theirs, &python.peer)?];
        let rounds = std::thread::scope(|scope| {
            scope
                .spawn(|| take_turns(arguments, &servers, open, active))
                .join()
                .unwrap_or_else(|_| anyhow::bail!("the client panicked"))
        })?;
        writeln!(out, "{}", Comparison { peer: &python.peer, open, active, wanted, rounds })?;
    }
    Ok(())
}

fn start(python: &Python, interpreter: &Path, module: &str) -> Result<Running> {
    Running::program(interpreter, [python.program.clone().into(), module.into()].into_iter())
        .with_context(|| format!("{module} in {}", interpreter.display()))
}

fn take_turns(
    arguments: &Arguments,
    servers: &[Running; 2],
    open: usize,
    active: usize,
) -> Result<Vec<[Turn; 2]>> {
    pin(1)?;
    let mut loads = Vec::new();
    for server in servers {
        loads.push(Load::connect(server.address, open, active)?);
    }
    let mut rounds = Vec::new();
    for round in 0..=arguments.pairs {
        let mut turns = [Turn { cost: 0.0, throughput: 0.0 }; 2];
        for place in 0..2 {
            let seat = if round % 2 == 0 { place } else { 1 - place };
            let (cpu, began) = (servers[seat].cpu_time()?, Instant::now());
            let requests = loads[seat].turn(arguments.requests)? as f64;
            let (cpu, took) = (servers[seat].cpu_time()? - cpu, began.elapsed());
            turns[seat] =
                Turn { cost: cpu as f64 / 1e3 / requests, throughput: requests / took.as_secs_f64() };
        }
        // The first round warms up.
        if round > 0 {
            rounds.push(turns);
        }
    }
    Ok(rounds)
}

impl Comparison<'_> {
    fn tell(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        of: impl Fn(&Turn) -> f64,
        digits: usize,
    ) -> fmt::Result {
        let each = |seat: usize| median(self.rounds.iter().map(|round| of(&round[seat])));
        let pairs: Vec<_> = self.rounds.iter().map(|round| (of(&round[0]), of(&round[1]))).collect();
        write!(f, "  {name:14} {:8.digits$}, {} {:8.digits$}", each(0), self.peer, each(1))?;
        match Ratio::of(&pairs) {
            Some(ratio) => write!(f, "; ratio {ratio}"),
            None => write!(f, "; too few rounds for a ratio"),
        }
    }
}

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = self.open - self.active;
        write!(f, "{} connections", self.active)?;
        if idle > 0 {
            write!(f, ", and {idle} idle ones")?;
        }
        writeln!(f)?;
        self.tell(f, "us of CPU", |turn| turn.cost, 2)?;
        writeln!(f, " (wanted: {:.2} at most)", self.wanted)?;
        self.tell(f, "per second", |turn| turn.throughput, 0)?;
        if idle == 0 {
            write!(f, " (wanted: 1.20 at least)")?;
        }
        Ok(())
    }
}
