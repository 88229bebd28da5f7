//! Metrics, through the `metrics` facade: whichever recorder the program installs has them.
//!
//! | name | sort | labels | meaning |
//! |---|---|---|---|
//! | `exeunt_phase` | gauge | | 0 starting, 1 running, 2 lame duck, 3 draining, 4 closing, 5 stopped |
//! | `exeunt_phase_seconds` | gauge | `phase` | how long the phase lasted, known once the stop is over |
//! | `exeunt_drain_seconds_left` | gauge | | in a stop: until what is in flight is cut |
//! | `exeunt_work_begun_total` | counter | `scope` | work that has begun, such as requests |
//! | `exeunt_work_in_flight` | gauge | `scope` | work in flight, as of the last [`Stop::record_metrics`] or notice |
//! | `exeunt_work_failed_total` | counter | `scope` | work that ended by an error or a panic |
//! | `exeunt_work_cut_total` | counter | `scope` | work that was ended before it was finished |
//! | `exeunt_stop_seconds` | gauge | | from the stop request to the end |
//! | `exeunt_last_stop_timestamp_seconds` | gauge | | when the stop before this start was over, since 1970 |
//! | `exeunt_last_stop_exit_status` | gauge | | its exit status |
//! | `exeunt_last_stop_seconds` | gauge | | how long it took |
//! | `exeunt_last_stop_cut`, `_left`, `_failures`, `_attempts` | gauge | | how much was cut, left behind, failed; stop signals |

use crate::counts::Totals;
use crate::follow::Progress;
#[cfg(feature = "report-file")]
use crate::report::count;
use crate::report::{PhaseTime, Report};
use crate::stop::Stop;
use crate::watch::Watch;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Stop {
    /// Brings `exeunt_work_in_flight` up to date: counting work takes no look at any recorder, so call this where
    /// metrics are collected, as before a scrape. It is done by itself at each phase and held-up notice.
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # let recorder = metrics_util::debugging::DebuggingRecorder::new();
    /// # let scraped = recorder.snapshotter();
    /// # metrics::with_local_recorder(&recorder, || {
    /// let lifecycle = Lifecycle::install(Config::default())?;
    /// let scope = lifecycle.scope("http");
    /// let _request = scope.begin();
    /// lifecycle.stop().record_metrics(); // before each scrape
    /// # let found = scraped.snapshot().into_hashmap();
    /// # assert!(found.keys().any(|key| key.key().name() == "exeunt_work_in_flight"));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn record_metrics(&self) {
        #[cfg(feature = "report-file")]
        if let Some(last) = self.core().report_file().and_then(crate::report::ReportFile::last) {
            last.record_metrics();
        }
        let Some(state) = self.core().state() else { return };
        let scopes: Vec<_> = state.scopes.values().map(|entry| entry.shared.clone()).collect();
        drop(state);
        // Scopes may share a name.
        let mut counts = BTreeMap::<_, Totals>::new();
        for scope in &scopes {
            let count = counts.entry(scope.name.as_str()).or_default();
            *count = [*count, scope.totals()].into_iter().sum();
        }
        for (scope, count) in counts {
            metrics::gauge!("exeunt_work_in_flight", "scope" => scope.to_owned())
                .set(float(count.in_flight()));
            metrics::counter!("exeunt_work_begun_total", "scope" => scope.to_owned()).absolute(count.begun);
        }
        metrics::gauge!("exeunt_phase").set(f64::from(self.phase() as u8));
        if let Some(left) = self.time_left() {
            metrics::gauge!("exeunt_drain_seconds_left").set(left.as_secs_f64());
        }
        for collector in self.core().collectors().acts() {
            if let Some(collect) = collector.upgrade() {
                self.core().follow().contained("metrics", move || collect());
            }
        }
    }

    /// Has `collect` called whenever metrics are brought up to date, by whoever does that, until the [`Watch`] is
    /// dropped: for counts of one's own that are too dear to be told of each time. A panic in it is among the report's
    /// [`hook_failures`](Report::hook_failures).
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, Lifecycle};
    /// # use std::sync::{Arc, Mutex};
    /// # let lifecycle = Lifecycle::install(Config::default())?;
    /// let queue = Arc::new(Mutex::new(vec!["a job"]));
    /// # let kept = Arc::clone(&queue);
    /// # let recorder = metrics_util::debugging::DebuggingRecorder::new();
    /// # let scraped = recorder.snapshotter();
    /// # metrics::with_local_recorder(&recorder, || {
    /// let stop = lifecycle.stop();
    /// let watch = stop.on_record_metrics(move || {
    ///     metrics::gauge!("shop_queue_length").set(queue.lock().unwrap().len() as f64);
    /// });
    /// stop.record_metrics(); // before each scrape
    /// # let found = scraped.snapshot().into_hashmap();
    /// # assert!(found.keys().any(|key| key.key().name() == "shop_queue_length"));
    /// # drop(watch); });
    /// # assert_eq!(lifecycle.close().exit_status(), 0);
    /// # Ok::<(), exeunt_lifecycle::InstallError>(())
    /// ```
    pub fn on_record_metrics(&self, collect: impl Fn() + Send + Sync + 'static) -> Watch {
        self.core().collectors().add(Arc::new(collect))
    }
}

/// What a piece of news is in numbers.
pub(crate) fn progress(progress: &Progress) {
    match progress {
        Progress::Phase(phase) => metrics::gauge!("exeunt_phase").set(f64::from(*phase as u8)),
        Progress::HeldUp(held_up) => {
            for scope in &held_up.scopes {
                metrics::gauge!("exeunt_work_in_flight", "scope" => scope.name.clone())
                    .set(float(scope.in_flight));
            }
        }
        Progress::Cut { scope, .. } => {
            metrics::counter!("exeunt_work_cut_total", "scope" => scope.clone()).increment(1);
        }
        _ => {}
    }
}

/// How long everything took, once it is over.
pub(crate) fn report(report: &Report) {
    for PhaseTime { phase, time } in &report.phases {
        metrics::gauge!("exeunt_phase_seconds", "phase" => phase.to_string()).set(time.as_secs_f64());
    }
    metrics::gauge!("exeunt_stop_seconds").set(report.took.as_secs_f64());
}

#[cfg(feature = "report-file")]
impl crate::LastStop {
    /// Sets the `exeunt_last_stop_*` gauges. Done by itself when a lifecycle is installed, for a recorder that is
    /// there by then, and by [`Stop::record_metrics`].
    ///
    /// ```
    /// # use exeunt_lifecycle::{Config, LastStop, Lifecycle};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.json");
    /// # let config = Config::default().report_file(&path);
    /// # drop(Lifecycle::install(config)?.close());
    /// # let recorder = metrics_util::debugging::DebuggingRecorder::new();
    /// # let scraped = recorder.snapshotter();
    /// # metrics::with_local_recorder(&recorder, || {
    /// if let Some(last) = LastStop::read(&path)? {
    ///     last.record_metrics();
    /// }
    /// # let found = scraped.snapshot().into_hashmap();
    /// # assert!(found.keys().any(|key| key.key().name() == "exeunt_last_stop_exit_status"));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn record_metrics(&self) {
        let ended_at = self.ended_at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("exeunt_last_stop_timestamp_seconds").set(ended_at.as_secs_f64());
        metrics::gauge!("exeunt_last_stop_exit_status").set(f64::from(self.exit_status));
        metrics::gauge!("exeunt_last_stop_seconds").set(self.took.as_secs_f64());
        metrics::gauge!("exeunt_last_stop_cut").set(float(self.cut));
        metrics::gauge!("exeunt_last_stop_left").set(float(self.left));
        metrics::gauge!("exeunt_last_stop_failures")
            .set(float(count(&self.failures).saturating_add(self.failures_left_out)));
        metrics::gauge!("exeunt_last_stop_attempts").set(f64::from(self.attempts));
    }
}

/// A piece of work has failed.
pub(crate) fn work_failed(scope: &str) {
    metrics::counter!("exeunt_work_failed_total", "scope" => scope.to_owned()).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats, exact up to 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
