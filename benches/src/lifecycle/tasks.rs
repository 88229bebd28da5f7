//! How long many tracked tasks take to stop, beside `TaskTracker` and `CancellationToken`.

use crate::ratio::Ratio;
use anyhow::{Context as _, Result};
use exeunt_lifecycle::{Config, Lifecycle, Stop};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const TASKS: usize = 100_000;
const PAIRS: usize = 12;

/// What came of it: medians in milliseconds, and the ratio of the pairs.
pub(crate) struct Comparison {
    ours: f64,
    theirs: f64,
    ratio: Ratio,
}

/// Lets both take turns.
pub(crate) fn compare() -> Result<Comparison> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut pairs = Vec::new();
    for turn in 0..=PAIRS {
        let mut times = [0.0; 2];
        for which in if turn % 2 == 0 { [0, 1] } else { [1, 0] } {
            let took = if which == 0 { ours(&runtime)? } else { theirs(&runtime) };
            times[which] = took.as_secs_f64() * 1e3;
        }
        // The first pair warms up.
        if turn > 0 {
            pairs.push((times[0], times[1]));
        }
    }
    Ok(Comparison {
        ours: crate::cost::median(pairs.iter().map(|pair| pair.0)),
        theirs: crate::cost::median(pairs.iter().map(|pair| pair.1)),
        ratio: Ratio::of(&pairs).context("too few pairs")?,
    })
}

fn ours(runtime: &Runtime) -> Result<Duration> {
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
        let begun = Instant::now();
        lifecycle.stop().request_stop("measured");
        drop(tasks);
        let report = lifecycle.finished().await;
        let took = begun.elapsed();
        anyhow::ensure!(report.exit_status() == 0, "{report}");
        Ok(took)
    })
}

fn theirs(runtime: &Runtime) -> Duration {
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
        let begun = Instant::now();
        token.cancel();
        tracker.close();
        tracker.wait().await;
        begun.elapsed()
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
        writeln!(
            f,
            "method: {PAIRS} interleaved pairs in one process, tokio with 2 workers; from the request until all have\n\
             \x20       ended and, of ours, the report is made; ratio = geometric mean over the pairs, Student's t"
        )?;
        writeln!(f, "  ours                                {:7.1} ms (median)", self.ours)?;
        writeln!(f, "  TaskTracker with CancellationToken  {:7.1} ms (median)", self.theirs)?;
        write!(f, "  ours / theirs {} (wanted: under 2)", self.ratio)
    }
}
