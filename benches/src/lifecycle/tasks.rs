//! How long many tracked tasks take to stop, beside `TaskTracker` and `CancellationToken`.

use crate::ratio::{Ratio, median};
use anyhow::{Context as _, Result};
use exeunt_lifecycle::{Config, Lifecycle, Stop};
use rustix::time::{ClockId, clock_gettime};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const TASKS: usize = 100_000;
const PAIRS: usize = 12;

/// What came of it, by the clock and in CPU time of the process.
pub(crate) struct Comparison {
    took: Sides,
    cpu: Sides,
}

/// Medians in milliseconds, and the ratio of the pairs.
struct Sides {
    ours: f64,
    theirs: f64,
    ratio: Ratio,
}

/// What one stop took.
struct Cost {
    took: Duration,
    cpu: Duration,
}

/// Lets both take turns.
pub(crate) fn compare() -> Result<Comparison> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut took, mut cpu) = (Vec::new(), Vec::new());
    for turn in 0..=PAIRS {
        let (ours, theirs) = if turn % 2 == 0 {
            let ours = ours(&runtime)?;
            (ours, theirs(&runtime))
        } else {
            let theirs = theirs(&runtime);
            (ours(&runtime)?, theirs)
        };
        // The first pair warms up.
        if turn > 0 {
            took.push((milliseconds(ours.took), milliseconds(theirs.took)));
            cpu.push((milliseconds(ours.cpu), milliseconds(theirs.cpu)));
        }
    }
    Ok(Comparison { took: Sides::of(&took)?, cpu: Sides::of(&cpu)? })
}

impl Sides {
    fn of(pairs: &[(f64, f64)]) -> Result<Self> {
        Ok(Self {
            ours: median(pairs.iter().map(|pair| pair.0)),
            theirs: median(pairs.iter().map(|pair| pair.1)),
            ratio: Ratio::of(pairs).context("too few pairs")?,
        })
    }
}

/// Both clocks, from here on.
struct Stopwatch {
    begun: Instant,
    cpu: Duration,
}

impl Stopwatch {
    fn start() -> Self {
        Self { begun: Instant::now(), cpu: cpu() }
    }

    fn read(&self) -> Cost {
        Cost { took: self.begun.elapsed(), cpu: cpu().saturating_sub(self.cpu) }
    }
}

/// What this process has used so far, on all cores.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn ours(runtime: &Runtime) -> Result<Cost> {
    runtime.block_on(async {
        let lifecycle = Lifecycle::install(Config::default())?;
        let tasks = lifecycle.tasks("tasks");
        for _ in 0..TASKS {
            tasks.spawn("task", |stop: Stop| async move {
                POLLED.fetch_add(1, Ordering::Relaxed);
                stop.requested().await;
            });
        }
        settle().await;
        let watch = Stopwatch::start();
        lifecycle.stop().request_stop("measured");
        drop(tasks);
        let report = lifecycle.finished().await;
        let cost = watch.read();
        anyhow::ensure!(report.exit_status() == 0, "{report}");
        Ok(cost)
    })
}

fn theirs(runtime: &Runtime) -> Cost {
    runtime.block_on(async {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        for _ in 0..TASKS {
            let token = token.clone();
            tracker.spawn(async move {
                POLLED.fetch_add(1, Ordering::Relaxed);
                token.cancelled().await;
            });
        }
        settle().await;
        let watch = Stopwatch::start();
        token.cancel();
        tracker.close();
        tracker.wait().await;
        watch.read()
    })
}

/// How many tasks have been polled, in this turn.
static POLLED: AtomicUsize = AtomicUsize::new(0);

/// Until every task waits, however busy the machine is.
async fn settle() {
    while POLLED.load(Ordering::Relaxed) < TASKS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    POLLED.store(0, Ordering::Relaxed);
    // The last of them has been polled, and is about to wait.
    tokio::time::sleep(Duration::from_millis(50)).await;
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the stop of {TASKS} tracked tasks that wait for it")?;
        write!(
            f,
            "method: {PAIRS} interleaved pairs in one process, tokio with 2 workers; from the request until all have\n\
             \x20       ended and, of ours, the report is made; ratio = geometric mean over the pairs, Student's t"
        )?;
        for (what, sides) in [("by the clock", &self.took), ("CPU time", &self.cpu)] {
            let Sides { ours, theirs, ratio } = sides;
            write!(
                f,
                "\n  {what}: ours {ours:.1} ms, theirs {theirs:.1} ms (medians); ours / theirs {ratio}"
            )?;
        }
        write!(f, "\n  wanted: under 2")
    }
}
