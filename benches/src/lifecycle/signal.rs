//! From kill(2) to the first effect: a thread that waits for the stop has woken.

use anyhow::{Context as _, Result, ensure};
use exeunt_lifecycle::{Config, Lifecycle};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Signals sent; the first tenth warms up.
const SIGNALS: usize = 3_000;

/// Latencies in order.
pub(crate) struct Latencies(Vec<Duration>);

/// Sends signals to a process whose main thread is blocked.
pub(crate) fn measure() -> Result<Latencies> {
    let mut victim = Command::new(std::env::current_exe()?)
        .arg("victim")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let pid = Pid::from_child(&victim);
    let mut says = BufReader::new(victim.stdout.take().context("no stdout")?).lines();
    let mut line = || says.next().context("the victim ended")?.context("unreadable");
    let mut latencies = Vec::new();
    for round in 0..SIGNALS {
        ensure!(line()? == "ready", "the victim is confused");
        let sent = now();
        kill_process(pid, Signal::TERM)?;
        let seen = Duration::from_nanos(line()?.parse()?);
        if round >= SIGNALS / 10 {
            latencies.push(seen.saturating_sub(sent));
        }
    }
    drop(victim.stdin.take());
    victim.wait()?;
    latencies.sort_unstable();
    Ok(Latencies(latencies))
}

/// The process that is stopped, again and again; its main thread reads until stdin ends.
pub(crate) fn victim() -> Result<()> {
    std::thread::spawn(|| -> Result<()> {
        let mut out = std::io::stdout().lock();
        loop {
            let lifecycle = Lifecycle::install(Config::default())?;
            let stop = lifecycle.stop();
            let waits = std::thread::spawn(move || stop.wait().map(|()| now()));
            writeln!(out, "ready")?;
            out.flush()?;
            let seen = waits.join().ok().context("the waiter panicked")??;
            drop(lifecycle.close());
            writeln!(out, "{}", seen.as_nanos())?;
        }
    });
    std::io::stdin().read_exact(&mut [0]).or(Ok(()))
}

/// The clock that all processes share.
fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

impl Latencies {
    fn percentile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "from a signal to its first effect, with the main thread blocked in read(2)")?;
        writeln!(
            f,
            "method: {} times SIGTERM by kill(2) to another process; the time, on CLOCK_MONOTONIC, until a thread in\n\
             \x20       Stop::wait has woken",
            self.0.len()
        )?;
        write!(
            f,
            "  median {:.0} us, p99 {:.0} us, longest {:.0} us (wanted: p99 under 5000)",
            self.percentile(50),
            self.percentile(99),
            self.percentile(100)
        )
    }
}
