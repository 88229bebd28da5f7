//! What a child process costs: its start beside the standard library's, and how soon its end is noticed.

use anyhow::{Result, ensure};
use exeunt_lifecycle::{Child, Config, Lifecycle};
use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Children of each kind; the first tenth warms up.
const CHILDREN: usize = 500;

/// Medians and the like.
pub(crate) struct Times {
    ours: Vec<Duration>,
    bare: Vec<Duration>,
    noticed: Vec<Duration>,
}

/// Starts children in turn by ours and by `std::process`, and kills ours.
pub(crate) fn measure() -> Result<Times> {
    let lifecycle = Lifecycle::install(Config::default())?;
    let mut times = Times { ours: Vec::new(), bare: Vec::new(), noticed: Vec::new() };
    for round in 0..CHILDREN {
        let begun = Instant::now();
        let child = lifecycle.child("child", trivial()).start()?;
        let ours = begun.elapsed();
        let begun = Instant::now();
        let mut bare = trivial().spawn()?;
        let alone = begun.elapsed();
        bare.kill()?;
        bare.wait()?;
        let noticed = death_to_notice(&child)?;
        if round >= CHILDREN / 10 {
            times.ours.push(ours);
            times.bare.push(alone);
            times.noticed.push(noticed);
        }
    }
    ensure!(lifecycle.close().exit_status() == 0, "a child was lost");
    [&mut times.ours, &mut times.bare, &mut times.noticed]
        .into_iter()
        .for_each(|times| times.sort_unstable());
    Ok(times)
}

fn trivial() -> Command {
    let mut command = Command::new("sleep");
    command.arg("3600").stdin(Stdio::null());
    command
}

/// From kill(2) to the return of a wait; the child's own end is among that.
fn death_to_notice(child: &Child) -> Result<Duration> {
    let begun = Instant::now();
    child.signal(exeunt_lifecycle::Signal::new(9))?;
    child.wait()?;
    Ok(begun.elapsed())
}

fn percentile(times: &[Duration], percent: usize) -> f64 {
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "child processes")?;
        writeln!(
            f,
            "method: {} times sleep(1), started by Lifecycle::child and by std::process in turn, then killed",
            self.ours.len()
        )?;
        for (name, times) in [("start, ours", &self.ours), ("start, std::process", &self.bare)] {
            writeln!(
                f,
                "  {name:20} median {:.2} ms, p99 {:.2} ms",
                percentile(times, 50),
                percentile(times, 99)
            )?;
        }
        let more = percentile(&self.ours, 50) - percentile(&self.bare, 50);
        writeln!(f, "  ours takes {more:.2} ms more (wanted: under 2)")?;
        write!(
            f,
            "  killed to noticed    median {:.2} ms, p99 {:.2} ms (wanted: under 5)",
            percentile(&self.noticed, 50),
            percentile(&self.noticed, 99)
        )
    }
}
