//! What becomes of a body, whichever way it is left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt::{App, Cause, Config, Error, Phase, Report, Stop};
use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;

/// A deadline that comes soon, for what nothing else ends.
const SHORT: Duration = Duration::from_millis(200);

/// No signals: they would be for all tests at once.
fn config() -> Config {
    Config::default().signals([])
}

fn main_of(config: Config, body: impl AsyncFnOnce(&App) -> Result<(), Error>) -> Report {
    let exit = exeunt::main_with(config, body).never_tell();
    let report = exit.ended().unwrap().clone();
    assert_eq!(exit.status(), report.exit_status());
    report
}

/// A program's own error, as far from ours as can be.
#[derive(Debug, thiserror::Error)]
#[error("the shop cannot open")]
struct ShopError(#[source] std::num::ParseIntError);

fn price(text: &str) -> Result<u32, ShopError> {
    text.parse().map_err(ShopError)
}

#[test]
fn returning_means_ready_and_a_call_ends_it() {
    let report = main_of(config(), async |app| {
        let stop = app.stop();
        tokio::spawn(async move {
            stop.reached(Phase::Running).await;
            stop.request_stop("seen it running");
        });
        Ok(())
    });
    assert_eq!(report.exit_status(), 0, "{report}");
    assert_eq!(report.cause, Some(Cause::Call { why: "seen it running".to_owned() }));
    assert!(report.scopes.is_empty(), "the body was over: {report}");
}

#[test]
fn l3_an_error_of_the_body_is_the_cause_and_status_1() {
    let report = main_of(config(), async |_| {
        price("much")?;
        Ok(())
    });
    assert_eq!(report.exit_status(), 1);
    let cause = report.cause.unwrap().to_string();
    assert_eq!(cause, "main failed: the shop cannot open: invalid digit found in string");
}

#[test]
fn l3_an_error_after_a_stop_request_is_a_clean_stop() {
    let report = main_of(config(), async |app| {
        app.stop().request_stop("changed our mind");
        price("much")?;
        Ok(())
    });
    assert_eq!(report.exit_status(), 0, "{report}");
    assert!(report.failures.is_empty(), "{report}");
}

#[test]
fn a_panic_is_a_failure_even_after_a_stop_request() {
    for stopped_before in [false, true] {
        let report = main_of(config(), async |app| {
            if stopped_before {
                app.stop().request_stop("changed our mind");
            }
            panic!("no such shop")
        });
        assert_eq!(report.exit_status(), 1, "{report}");
        assert_eq!(report.failures[0].to_string(), "main failed: panicked: no such shop");
    }
}

#[test]
fn l5_nothing_closes_under_a_body_that_still_runs() {
    let report = main_of(config(), async |app| {
        let stop = app.stop();
        app.ready();
        stop.request_stop("while it works");
        stop.reached(Phase::Draining).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stop.phase(), Phase::Draining);
        Ok(())
    });
    assert_eq!(report.exit_status(), 0, "{report}");
    assert_eq!(report.scopes[0].finished, 1, "{report}");
}

#[test]
fn a_body_that_never_returns_is_cut_at_the_drain_deadline_and_named() {
    let report = main_of(config().grace(SHORT), async |app| {
        app.stop().request_stop("enough");
        pending().await
    });
    assert_eq!(report.exit_status(), 3, "{report}");
    assert_eq!((report.scopes[0].name.as_str(), report.scopes[0].cut.len()), ("main", 1), "{report}");
}

#[test]
fn l19_a_blocking_job_that_never_returns_does_not_keep_main() {
    let (_never, waits) = mpsc::channel::<()>();
    let report = main_of(config(), async |app| {
        let stop = app.stop();
        tokio::task::spawn_blocking(move || {
            stop.request_stop("it runs");
            waits.recv()
        });
        Ok(())
    });
    assert_eq!(report.exit_status(), 0, "{report}");
}

#[tokio::test]
async fn inside_a_runtime_of_ones_own() {
    let report = exeunt::run(config(), async |app| {
        app.stop().request_stop("done");
        Ok(())
    });
    assert_eq!(report.await.unwrap().exit_status(), 0);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_is_an_error_and_the_body_does_not_run() {
    let error = exeunt::run(config().max_attempts(0), async |_| panic!("it ran")).await.unwrap_err();
    assert!(error.to_string().contains("max_attempts is 0"), "{error}");
}

#[test]
fn a_main_that_cannot_start_says_why_and_has_status_2() {
    let exit = exeunt::main_with(config().max_attempts(0), async |_| panic!("it ran"));
    assert_eq!(exit.status(), 2);
    assert!(exit.ended().is_err());
    assert!(exit.to_string().starts_with("error: max_attempts is 0"), "{exit}");
}

#[tokio::test]
async fn l18_a_program_in_a_program() {
    let outer = exeunt::run(config(), async |app| {
        let inner = exeunt::run(config(), async |app| stops(&app.stop())).await?;
        assert_eq!(inner.exit_status(), 0);
        assert!(!app.stop().is_requested(), "the inner one's stop is its own");
        stops(&app.stop())
    });
    assert_eq!(outer.await.unwrap().exit_status(), 0);
}

fn stops(stop: &Stop) -> Result<(), Error> {
    stop.request_stop("done");
    Ok(())
}
