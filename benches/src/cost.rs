//! CPU time per request, in interleaved pairs.

use crate::Arguments;
use crate::client::Client;
use crate::machine::pin;
use crate::process::Running;
use crate::ratio::{Ratio, median};
use crate::servers::{Kind, Site};
use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use std::fmt;

/// The page's size in the folder, in bytes.
const PAGE: usize = 1024;

/// What came of one comparison.
pub(crate) struct Comparison {
    site: Site,
    pairs: u32,
    requests: u32,
    connections: u32,
    /// Medians, in microseconds of CPU per request.
    ours: f64,
    bare: f64,
    ratio: Ratio,
}

/// Runs both servers and lets them take turns.
pub(crate) fn compare(site: Site, arguments: &Arguments) -> Result<Comparison> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("index.html"), "x".repeat(PAGE))?;
    let start = |kind: Kind| {
        let names = [kind.to_possible_value(), site.to_possible_value()];
        let words = names.iter().flatten().map(|value| value.get_name().into());
        Running::start(std::iter::once("server".into()).chain(words).chain([folder.path().into()]))
    };
    let (ours, bare) = (start(Kind::Ours)?, start(Kind::Bare)?);
    let pairs = std::thread::scope(|scope| {
        scope
            .spawn(|| measure(&ours, &bare, arguments))
            .join()
            .unwrap_or_else(|_| anyhow::bail!("the client panicked"))
    })?;
    Ok(Comparison {
        site,
        pairs: arguments.pairs,
        requests: arguments.requests,
        connections: arguments.connections,
        ours: median(pairs.iter().map(|pair| pair.0)),
        bare: median(pairs.iter().map(|pair| pair.1)),
        ratio: Ratio::of(&pairs).context("too few pairs")?,
    })
}

/// Pairs of (ours, bare) in microseconds per request. Who goes first changes from pair to pair.
fn measure(ours: &Running, bare: &Running, arguments: &Arguments) -> Result<Vec<(f64, f64)>> {
    pin(1)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut clients = [
            Client::connect(ours.address, arguments.connections).await?,
            Client::connect(bare.address, arguments.connections).await?,
        ];
        let mut pairs = Vec::new();
        for turn in 0..=arguments.pairs {
            let mut costs = [0.0; 2];
            for which in if turn % 2 == 0 { [0, 1] } else { [1, 0] } {
                let server = [ours, bare][which];
                let before = server.cpu_time()?;
                let requests = clients[which].turn(arguments.requests).await?;
                let used = server.cpu_time()? - before;
                costs[which] = used as f64 / 1e3 / requests as f64;
            }
            // The first pair warms up.
            if turn > 0 {
                pairs.push((costs[0], costs[1]));
            }
        }
        Ok(pairs)
    })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.site {
            Site::Folder => format!("a file of {PAGE} bytes from a folder (ServeDir)"),
            Site::Word => "13 bytes from memory".to_owned(),
        };
        writeln!(f, "CPU time per request of the server, {what}")?;
        writeln!(
            f,
            "method: {} interleaved pairs of {} requests over {} kept connections; server on core 0, client on core 1;\n\
             \x20       CPU time from /proc/PID/task/*/schedstat; ratio = geometric mean over the pairs, Student's t",
            self.pairs, self.requests, self.connections
        )?;
        writeln!(f, "  ours        {:6.2} us (median)", self.ours)?;
        writeln!(f, "  bare hyper  {:6.2} us (median)", self.bare)?;
        write!(f, "  ours / bare {}", self.ratio)
    }
}
