//! Presets, and what the log says of them (S7). Alone in its process: whether an event is of interest is remembered by
//! all threads together.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::service::Preset;
use exeunt_lifecycle::{Config, Lifecycle, ShieldOutcome};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a subscriber wrote.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let warnings: Vec<_> = text.lines().filter(|line| line.contains("service manager")).collect();
    let [warning] = warnings[..] else { panic!("{text}") };
    assert!(
        warning.contains("WARN")
            && warning.contains("a shield may take 60.0 s, and docker kills after 10.0 s")
    );
    assert!(warning.contains("the shield \\\"payment\\\" taken at"), "{warning}");

    // One that ends in time is nobody's concern.
    written.0.lock().unwrap().clear();
    let lifecycle = Lifecycle::on_runtime(Config::default().preset(Preset::Kubernetes)).unwrap();
    let stop = lifecycle.stop();
    let shield = stop.shield(seconds(24)).unwrap();
    stop.request_stop("enough");
    tokio::time::sleep(seconds(1)).await;
    drop(shield);
    assert_eq!(lifecycle.finished().await.took, seconds(1));
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("service manager"), "{text}");
}
