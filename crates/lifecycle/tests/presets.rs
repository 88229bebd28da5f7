//! Presets, and what the log says of them (S7). Alone in its process: whether an event is of interest is remembered by
//! all threads together.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod written;

use exeunt_lifecycle::service::Preset;
use exeunt_lifecycle::{Config, Lifecycle, ShieldOutcome};
use std::time::Duration;
use written::Written;

#[tokio::test(start_paused = true)]
async fn s7_a_shield_that_would_be_killed_is_named_and_ends_with_the_grace() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _subscribed = tracing::subscriber::set_default(subscriber);
    let seconds = Duration::from_secs;

    let lifecycle = Lifecycle::on_runtime(Config::default().preset(Preset::Docker)).unwrap();
    let stop = lifecycle.stop();
    let shorter = stop.shield(seconds(20)).unwrap();
    let shield = stop.shield(seconds(60)).unwrap().named("payment");
    stop.request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!(report.took, seconds(8));
    assert_eq!(report.longest_shield.unwrap().outcome, ShieldOutcome::Expired);
    drop((shield, shorter));
    let text = written.take();
    let warnings: Vec<_> = text.lines().filter(|line| line.contains("service manager")).collect();
    let [warning] = warnings[..] else { panic!("{text}") };
    assert!(
        warning.contains("WARN")
            && warning.contains("a shield may take 60.0 s, and docker kills after 10.0 s")
    );
    assert!(warning.contains("the shield \\\"payment\\\" taken at"), "{warning}");

    // One that ends in time is nobody's concern.
    let lifecycle = Lifecycle::on_runtime(Config::default().preset(Preset::Kubernetes)).unwrap();
    let stop = lifecycle.stop();
    let shield = stop.shield(seconds(24)).unwrap();
    stop.request_stop("enough");
    tokio::time::sleep(seconds(1)).await;
    drop(shield);
    assert_eq!(lifecycle.finished().await.took, seconds(1));
    let text = written.take();
    assert!(!text.contains("service manager"), "{text}");
}
