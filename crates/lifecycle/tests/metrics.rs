//! Metrics, as a recorder sees them (L15).

#![cfg(all(feature = "metrics", feature = "report-file", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, Lifecycle};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::time::Duration;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// By name and labels.
fn values(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let snapshot = snapshotter.snapshot().into_vec().into_iter();
    let values = snapshot.map(|(key, _, _, value)| {
        let key = key.key();
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let value = match value {
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Counter(count) => count as f64,
            DebugValue::Histogram(_) => panic!("there are no histograms"),
        };
        (format!("{} {}", key.name(), labels.join(",")).trim_end().to_owned(), value)
    });
    values.collect()
}

#[test]
fn l15_phase_work_in_flight_cut_and_duration_and_the_last_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    std::fs::write(
        &path,
        r#"{"exit_status": 3, "took": 2.5, "ended_at": 1000.0, "attempts": 2,
            "scopes": [{"left": 4, "cut": [1, 2]}], "failures": [{}]}"#,
    )
    .unwrap();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let middle = metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let lifecycle = Lifecycle::on_runtime(Config::default().report_file(&path)).unwrap();
            lifecycle.ready();
            let tasks = lifecycle.tasks("mail");
            for _ in 0..2 {
                tasks.spawn("deaf", async |_| pending::<()>().await);
            }
            tasks.spawn("broken", async |_| Err::<(), _>("broken"));
            sleep(SECOND).await;
            lifecycle.stop().record_metrics();
            let middle = values(&snapshotter);
            lifecycle.stop().request_stop("enough");
            _ = lifecycle.finished().await;
            middle
        })
    });
    let expected = [
        ("exeunt_last_stop_attempts", 2.0),
        ("exeunt_last_stop_cut", 2.0),
        ("exeunt_last_stop_exit_status", 3.0),
        ("exeunt_last_stop_failures", 1.0),
        ("exeunt_last_stop_left", 4.0),
        ("exeunt_last_stop_seconds", 2.5),
        ("exeunt_last_stop_timestamp_seconds", 1000.0),
        ("exeunt_phase", 1.0),
        ("exeunt_work_begun_total scope=mail", 3.0),
        ("exeunt_work_failed_total scope=mail", 1.0),
        ("exeunt_work_in_flight scope=mail", 2.0),
    ];
    assert_eq!(middle, expected.map(|(name, value)| (name.to_owned(), value)).into());
    let end = values(&snapshotter);
    let expected = [
        ("exeunt_drain_seconds_left", 0.0),
        ("exeunt_phase", 5.0),
        ("exeunt_phase_seconds phase=draining", 20.0),
        ("exeunt_stop_seconds", 20.0),
        ("exeunt_work_cut_total scope=mail", 2.0),
        ("exeunt_work_in_flight scope=mail", 0.0),
    ];
    for (name, value) in expected {
        assert_eq!(end.get(name), Some(&value), "{name} in {end:?}");
    }
    let documented =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/report.md")).unwrap();
    let names: BTreeSet<_> =
        middle.keys().chain(end.keys()).filter_map(|name| name.split(' ').next()).collect();
    for name in names {
        assert!(documented.contains(&format!("| `{name}` |")), "docs/report.md does not tell of {name}");
    }
}
