//! Side-by-side measurements: what a request costs on our server and on a bare hyper server of the same function; and
//! (`lifecycle`) how soon a signal is seen, what child processes cost, and how long many tasks take to stop; and
//! (`manager` and its like) what the event loop costs.
//!
//! `make bench` runs it. Both servers are processes of their own, pinned to one core; the client sits on the other. They
//! take turns in one run, and what is reported is the ratio of the turns of each pair with its confidence interval,
//! so that a machine whose speed drifts does not matter.

mod client;
mod closed_loop;
mod cost;
mod lifecycle;
mod load;
mod machine;
mod manager;
mod process;
mod ratio;
mod servers;
mod turns;
mod web;

use anyhow::Result;
use clap::Parser;
use std::io::Write as _;

/// Connections where there are many.
const MANY: usize = 10_000;

/// Measures CPU time per request, ours beside bare hyper
#[derive(Debug, clap::Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Pairs of turns
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..))]
    pairs: u32,
    /// Requests in a turn
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1000..))]
    requests: u32,
    /// Kept connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The lifecycle alone: from a signal to its effect, child processes, many tasks that stop
    Lifecycle,
    /// The server under an axum router: CPU per request beside bare hyper and `axum::serve`, with many connections open;
    /// memory; the stop of many idle connections
    Web,
    /// The event loop: CPU per request beside bare hyper and a bare loop on mio, memory, wakeups
    Manager,
    /// The event loop over TLS: CPU per request beside hyper on tokio-rustls
    ManagerTls,
    /// WebSocket messages of the event loop: CPU beside tokio-tungstenite
    ManagerWebsocket,
    /// The event loop's files: CPU per request beside nginx
    ManagerFiles,
    /// The event loop in Python: CPU per request and throughput beside cymongoose (`benches/python/run` prepares it)
    Python(manager::Python),
    /// One of the servers under measurement (the measurement starts them)
    #[command(hide = true)]
    Server { kind: servers::Kind, site: servers::Site, dir: std::path::PathBuf },
    /// One of the servers of `web` (the measurement starts them)
    #[command(hide = true)]
    WebServer { kind: web::Kind },
    /// One of the event loops under measurement (the measurement starts them)
    #[command(hide = true)]
    Loop { kind: manager::Kind, dir: std::path::PathBuf },
    /// The process that is sent signals (the measurement starts it)
    #[command(hide = true)]
    Victim,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    match arguments.command {
        Some(Command::Server { kind, site, dir }) => {
            drop(out);
            return servers::serve(kind, site, &dir);
        }
        Some(Command::WebServer { kind }) => {
            drop(out);
            return web::serve(kind);
        }
        Some(Command::Loop { kind, dir }) => {
            drop(out);
            return manager::serve(kind, &dir);
        }
        Some(Command::Victim) => {
            drop(out);
            return lifecycle::victim();
        }
        Some(Command::Lifecycle) => {
            writeln!(out, "{}", machine::describe())?;
            return lifecycle::measure(&mut out);
        }
        Some(Command::Web) => {
            writeln!(out, "{}", machine::describe())?;
            return web::measure(&arguments, &mut out);
        }
        Some(Command::Manager) => {
            writeln!(out, "{}", machine::describe())?;
            return manager::measure(&arguments, &mut out);
        }
        Some(Command::ManagerTls) => {
            writeln!(out, "{}", machine::describe())?;
            return manager::measure_tls(&arguments, &mut out);
        }
        Some(Command::ManagerWebsocket) => {
            writeln!(out, "{}", machine::describe())?;
            return manager::measure_websocket(&arguments, &mut out);
        }
        Some(Command::ManagerFiles) => {
            writeln!(out, "{}", machine::describe())?;
            return manager::measure_files(&arguments, &mut out);
        }
        Some(Command::Python(ref python)) => {
            writeln!(out, "{}", machine::describe())?;
            return manager::measure_python(&arguments, python, &mut out);
        }
        None => writeln!(out, "{}", machine::describe())?,
    }
    for site in [servers::Site::Folder, servers::Site::Word] {
        let outcome = cost::compare(site, &arguments)?;
        writeln!(out, "\n{outcome}")?;
    }
    Ok(())
}
