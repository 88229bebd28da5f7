//! Events and spans, as a subscriber sees them (L15). Alone in its process: whether an event is of interest is
//! remembered by all threads together.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod written;

use exeunt_lifecycle::{Config, Lifecycle};
use std::future::pending;
use written::Written;

#[tokio::test(start_paused = true)]
async fn l15_each_event_is_in_the_span_of_its_phase() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .finish();
    let _subscribed = tracing::subscriber::set_default(subscriber);
    let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
    lifecycle.ready();
    lifecycle.task("slow", async |_| pending::<()>().await);
    lifecycle.stop().request_stop("enough");
    _ = lifecycle.finished().await;
    let written = written.take();
    insta::assert_snapshot!(without_lines(&written), @r#"
    INFO phase{phase=running}: phase phase=running
    INFO stop{cause=enough}: stop requested cause=enough
    INFO stop{cause=enough}:phase{phase=lame duck}: phase phase=lame duck
    INFO stop{cause=enough}:phase{phase=draining}: phase phase=draining
    WARN stop{cause=enough}:phase{phase=draining}: the stop is held up phase=draining since=5.0 in_flight=1 by=slow (1 in flight): task slow, for 5.0 s, from SITE
    WARN stop{cause=enough}:phase{phase=draining}: the stop is held up phase=draining since=15.0 in_flight=1 by=slow (1 in flight): task slow, for 15.0 s, from SITE
    INFO stop{cause=enough}:phase{phase=closing}: phase phase=closing
    WARN stop{cause=enough}:phase{phase=closing}: cut scope="slow" name="slow" kind="task" age=20.0 site=SITE
    INFO stop{cause=enough}:phase{phase=stopped}: phase phase=stopped
    INFO stop{cause=enough}:phase{phase=stopped}: stopped verdict=Cut status=3
    "#);
}

/// The snapshot must not change with the lines of this file.
fn without_lines(text: &str) -> String {
    let lines = text.lines().map(|line| match line.find("crates/lifecycle/tests/spans.rs:") {
        Some(at) => {
            let (before, after) = line.split_at(at);
            let rest = after.trim_start_matches(|character: char| !character.is_whitespace());
            format!("{}SITE{rest}", before.trim_start())
        }
        None => line.trim_start().to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
