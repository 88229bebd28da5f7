//! Components, exit work and what a stop does to them, in paused time where there is a runtime.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod order;

use exeunt_lifecycle::{
    Break, Cause, ComponentOutcome, Config, ExitWorkError, Lifecycle, Phase, Report, StartError, Stop,
    StopImminent, Verdict,
};
use order::{Order, SECOND};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn install() -> Lifecycle {
    Lifecycle::on_runtime(Config::default()).unwrap()
}

fn outcomes(report: &Report) -> Vec<(&str, ComponentOutcome)> {
    report.components.iter().map(|component| (component.name.as_str(), component.outcome.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn l4_components_close_in_reverse_order_one_after_the_other() {
    let (lifecycle, order) = (install(), Order::default());
    for name in ["first", "second", "third"] {
        order.component(&lifecycle.components(), name).await.unwrap();
    }
    lifecycle.ready();
    lifecycle.stop().request_stop("enough");
    let begun = Instant::now();
    let report = lifecycle.finished().await;
    assert_eq!(order.names(), ["third", "second", "first"]);
    // Half of the 25 s for the third, half of the rest for the second: a second each is well inside.
    assert_eq!((begun.elapsed(), report.exit_status()), (3 * SECOND, 0));
    assert!(report.components.iter().all(|component| component.outcome == ComponentOutcome::Closed));
    assert_eq!(report.components[0].took, SECOND);
}

#[tokio::test(start_paused = true)]
async fn l4_one_that_fails_panics_or_hangs_does_not_keep_the_next_from_closing() {
    let (lifecycle, order) = (install(), Order::default());
    let ok = || async { Ok::<_, Infallible>(()) };
    order.component(&lifecycle.components(), "first").await.unwrap();
    lifecycle.component("fails", ok(), |()| async { Err("no disk") }).await.unwrap();
    lifecycle.component("panics", ok(), |()| async { panic!("at the end") }).await.unwrap();
    lifecycle
        .component("panics early", ok(), |()| -> std::future::Ready<()> { panic!("at once") })
        .await
        .unwrap();
    lifecycle.component("hangs", ok(), |()| pending::<()>()).close_timeout(2 * SECOND).await.unwrap();
    lifecycle.stop().request_stop("enough");
    let begun = Instant::now();
    let report = lifecycle.finished().await;
    assert_eq!((begun.elapsed(), report.exit_status()), (3 * SECOND, 1));
    assert_eq!(
        outcomes(&report),
        [
            ("hangs", ComponentOutcome::TimedOut),
            ("panics early", ComponentOutcome::Failed),
            ("panics", ComponentOutcome::Failed),
            ("fails", ComponentOutcome::Failed),
            ("first", ComponentOutcome::Closed),
        ]
    );
    let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        failures,
        [
            "hangs failed: it did not close within 2s",
            "panics early failed: closing: panicked: at once",
            "panics failed: closing: panicked: at the end",
            "fails failed: closing: no disk",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn l4_what_hangs_leaves_time_to_the_others() {
    let (lifecycle, order) = (install(), Order::default());
    order.component(&lifecycle.components(), "first").await.unwrap();
    for name in ["second", "third"] {
        let start = async { Ok::<_, Infallible>(()) };
        lifecycle.component(name, start, |()| pending::<()>()).await.unwrap();
    }
    let begun = Instant::now();
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    // 25 s are left: half, then half of what is left, and the first has its second.
    assert_eq!(begun.elapsed(), Duration::from_millis(12_500 + 6_250 + 1_000));
    assert_eq!(order.names(), ["first"]);
    assert_eq!(report.exit_status(), 1);
}

#[tokio::test(start_paused = true)]
async fn l3_a_failed_start_closes_those_before_it_and_is_the_cause() {
    let (lifecycle, order) = (install(), Order::default());
    let body = async {
        order.component(&lifecycle.components(), "first").await?;
        let start = async { Err::<(), _>(std::io::Error::other("refused")) };
        lifecycle.component("second", start, |()| async {}).await?;
        order.component(&lifecycle.components(), "third").await
    };
    let error = body.await.unwrap_err();
    assert!(matches!(&error, StartError::Failed { name, .. } if name == "second"), "{error:?}");
    lifecycle.body_ended(Err(error));
    let report = lifecycle.finished().await;
    assert_eq!(order.names(), ["first"]);
    assert_eq!(report.cause.unwrap().to_string(), "second failed: refused");
    assert_eq!((report.failures.len(), report.verdict), (1, Verdict::Failed));
}

#[tokio::test(start_paused = true)]
async fn l3_a_stop_lets_a_start_finish_and_starts_nothing_further() {
    let (lifecycle, order) = (install(), Order::default());
    let stop = lifecycle.stop();
    order.component(&lifecycle.components(), "first").await.unwrap();
    let start = async {
        stop.request_stop("enough");
        sleep(10 * SECOND).await;
        Ok::<_, Infallible>(7)
    };
    let begun = Instant::now();
    let noted = order.clone();
    let close = move |_| async move { noted.note("second") };
    assert_eq!(lifecycle.component("second", start, close).await.unwrap(), 7);
    assert_eq!(begun.elapsed(), 10 * SECOND);
    let third = order.component(&lifecycle.components(), "third").await;
    assert!(matches!(third, Err(StartError::Stopping { .. })), "{third:?}");
    lifecycle.body_ended(third);
    let report = lifecycle.finished().await;
    assert_eq!(order.names(), ["second", "first"]);
    assert_eq!(report.exit_status(), 0, "a body left because of a stop is a clean stop");
    assert_eq!(report.components.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn l3_a_start_that_takes_too_long_is_given_up_and_is_the_cause() {
    let (lifecycle, order) = (install(), Order::default());
    order.component(&lifecycle.components(), "first").await.unwrap();
    let begun = Instant::now();
    let start = pending::<Result<(), Infallible>>();
    let result = lifecycle.component("second", start, |()| async {}).await;
    assert_eq!(begun.elapsed(), 60 * SECOND);
    assert!(matches!(result, Err(StartError::TimedOut { after, .. }) if after == 60 * SECOND), "{result:?}");
    let report = lifecycle.finished().await;
    assert_eq!(order.names(), ["first"]);
    assert_eq!(report.cause.unwrap().to_string(), "second failed: its start took longer than 60s");
    assert_eq!(report.components[0].outcome, ComponentOutcome::StartTimedOut);
}

#[tokio::test(start_paused = true)]
async fn l3_at_the_drain_deadline_a_start_is_given_up() {
    let (lifecycle, order) = (install(), Order::default());
    order.component(&lifecycle.components(), "first").await.unwrap();
    let stop = lifecycle.stop();
    let begun = Instant::now();
    let start = async {
        stop.request_stop("enough");
        pending::<Result<(), Infallible>>().await
    };
    let result = lifecycle.component("second", start, |()| async {}).await;
    assert_eq!(begun.elapsed(), 20 * SECOND);
    assert!(matches!(result, Err(StartError::TimedOut { .. })), "{result:?}");
    let report = lifecycle.finished().await;
    assert_eq!((order.names(), report.exit_status()), (vec!["first"], 1));
}

#[tokio::test(start_paused = true)]
async fn l3_a_start_that_is_dropped_has_neither_started_nor_failed() {
    let (lifecycle, order) = (install(), Order::default());
    order.component(&lifecycle.components(), "first").await.unwrap();
    let start = pending::<Result<(), Infallible>>();
    let component = lifecycle.component("second", start, |()| async { panic!("never started") });
    assert!(tokio::time::timeout(SECOND, component).await.is_err());
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!((order.names(), report.exit_status()), (vec!["first"], 0));
    assert_eq!(report.components.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn l5_components_close_when_nothing_is_in_flight_or_what_was_cut_has_unwound() {
    let (lifecycle, order) = (install(), Order::default());
    order.component(&lifecycle.components(), "database").await.unwrap();
    let scope = lifecycle.scope("jobs");
    let begun = Instant::now();
    let noted = order.clone();
    tokio::spawn(async move {
        scope.cut_requested().await;
        assert_eq!(begun.elapsed(), 20 * SECOND);
        // A quarter of the reserve is for this.
        sleep(SECOND).await;
        noted.note("unwound");
    });
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!(order.names(), ["unwound", "database"]);
    assert_eq!((begun.elapsed(), report.exit_status()), (22 * SECOND, 0));
}

#[tokio::test(start_paused = true)]
async fn l5_what_does_not_unwind_does_not_keep_components_from_closing() {
    let (lifecycle, order) = (install(), Order::default());
    order.component(&lifecycle.components(), "database").await.unwrap();
    let scope = lifecycle.scope("stubborn");
    lifecycle.stop().request_stop("enough");
    let begun = Instant::now();
    let report = lifecycle.finished().await;
    assert_eq!(order.names(), ["database"]);
    assert_eq!((begun.elapsed(), report.exit_status()), (25 * SECOND, 3));
    drop(scope);
}

#[tokio::test(start_paused = true)]
async fn l8_exit_work_is_done_before_the_components_close_the_latest_first() {
    let (lifecycle, order) = (install(), Order::default());
    order.component(&lifecycle.components(), "database").await.unwrap();
    let stop = lifecycle.stop();
    let exit_work = |stop: &Stop, name| {
        let order = order.clone();
        stop.run_at_exit(name, move || order.note(name))
    };
    exit_work(&stop, "one").unwrap();
    let scope = lifecycle.scope("jobs");
    stop.request_stop("enough");
    exit_work(&stop, "two").unwrap();
    drop(scope);
    let report = lifecycle.finished().await;
    assert_eq!(order.names(), ["two", "one", "database"]);
    assert_eq!((report.exit_status(), report.components.len()), (0, 3));
    assert_eq!(exit_work(&stop, "three"), Err(StopImminent));
}

#[tokio::test(start_paused = true)]
async fn l8_async_exit_work_takes_its_turn_and_has_its_time() {
    let (lifecycle, order) = (install(), Order::default());
    order.component(&lifecycle.components(), "database").await.unwrap();
    let stop = lifecycle.stop();
    let noted = order.clone();
    stop.run_at_exit("blocking", move || noted.note("blocking")).unwrap();
    let noted = order.clone();
    let slow = async move {
        sleep(3 * SECOND).await;
        noted.note("async");
    };
    stop.run_at_exit_async("async", slow).unwrap();
    stop.run_at_exit_async("fails", async { Err::<(), _>("no disk") }).unwrap();
    stop.run_at_exit_async("panics", async { panic!("at the end") }).unwrap();
    stop.run_at_exit_async("hangs", pending::<()>()).unwrap();
    let begun = Instant::now();
    stop.request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!(order.names(), ["async", "blocking", "database"]);
    // Half of the 25 s for the one that hangs.
    assert_eq!((begun.elapsed(), report.exit_status()), (Duration::from_millis(12_500) + 4 * SECOND, 1));
    assert_eq!(
        outcomes(&report),
        [
            ("hangs", ComponentOutcome::TimedOut),
            ("panics", ComponentOutcome::Failed),
            ("fails", ComponentOutcome::Failed),
            ("async", ComponentOutcome::Closed),
            ("blocking", ComponentOutcome::Closed),
            ("database", ComponentOutcome::Closed),
        ]
    );
    let late = stop.run_at_exit_async("late", async {});
    assert_eq!(late, Err(ExitWorkError::Stopping(StopImminent)));
}

/// The runtime's clock is real here, as a forced end needs a signal.
#[cfg(unix)]
#[test]
fn l9_after_a_forced_end_async_exit_work_has_a_second() {
    let signal = exeunt_lifecycle::Signal::new(rustix::process::Signal::URG.as_raw());
    let lifecycle = Lifecycle::install(Config::default().signals([signal]).max_attempts(1)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (stop, order, held) = (lifecycle.stop(), Order::default(), Arc::new(()));
    let closing = Arc::clone(&held);
    runtime.block_on(async {
        order.component(&lifecycle.components(), "database").await.unwrap();
        let hangs = async move {
            let _closing = closing;
            pending::<()>().await;
        };
        stop.run_at_exit_async("hangs", hangs).unwrap();
        let noted = order.clone();
        stop.run_at_exit_async("saves", async move { noted.note("saved") }).unwrap();
    });
    let begun = std::time::Instant::now();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::URG).unwrap();
    stop.wait().unwrap();
    let report = lifecycle.close();
    assert!(begun.elapsed() >= SECOND);
    assert_eq!(report.verdict, Verdict::Forced { signal: signal.number() });
    assert_eq!(order.names(), ["saved"]);
    assert_eq!(
        outcomes(&report),
        [
            ("database", ComponentOutcome::Skipped),
            ("saves", ComponentOutcome::Closed),
            ("hangs", ComponentOutcome::TimedOut),
        ]
    );
    drop(runtime);
    assert_eq!(Arc::strong_count(&held), 1, "aborted");
}

#[test]
fn l8_async_exit_work_needs_a_runtime() {
    let lifecycle = Lifecycle::install(Config::default().signals([])).unwrap();
    let refused = lifecycle.stop().run_at_exit_async("position", async {}).unwrap_err();
    assert_eq!(refused, ExitWorkError::NoRuntime);
    assert!(refused.to_string().contains("Stop::run_at_exit"));
    assert_eq!(lifecycle.close().components, []);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_lifecycle_closes_nothing_and_lets_go_of_what_closes() {
    let (lifecycle, order) = (install(), Order::default());
    let held = Arc::new(());
    let closing = Arc::clone(&held);
    let start = async { Ok::<_, Infallible>(closing) };
    drop(lifecycle.component("first", start, |_| async { panic!("closed") }).await.unwrap());
    order.component(&lifecycle.components(), "second").await.unwrap();
    let stop = lifecycle.stop();
    stop.request_stop("enough");
    let finished = tokio::time::timeout(SECOND / 2, lifecycle.finished());
    assert!(finished.await.is_err());
    assert_eq!(stop.phase(), Phase::Stopped);
    sleep(10 * SECOND).await;
    assert_eq!(order.names(), [""; 0], "the second was being closed, and was aborted");
    let begun = std::time::Instant::now();
    while Arc::strong_count(&held) > 1 && begun.elapsed() < 60 * SECOND {
        // By a thread that nobody waits for.
        std::thread::yield_now();
    }
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn l4_a_component_whose_runtime_is_gone_is_recorded_and_the_next_closes() {
    let lifecycle = Lifecycle::install(Config::default().signals([])).unwrap();
    let order = Order::default();
    let noted = order.clone();
    let close = move |()| noted.note("blocking");
    lifecycle.component_blocking("blocking", || Ok::<_, Infallible>(()), close).start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(order.component(&lifecycle.components(), "async")).unwrap();
    drop(runtime);
    let report = lifecycle.close();
    assert_eq!(order.names(), ["blocking"]);
    assert_eq!(
        report.failures[0].to_string(),
        "async failed: closing: its runtime was shut down before it was closed"
    );
}

#[test]
fn l3_blocking_starts_fail_panic_and_are_given_up() {
    let lifecycle = Lifecycle::install(Config::default().signals([])).unwrap();
    let (stop, order) = (lifecycle.stop(), Order::default());
    let noted = order.clone();
    let close = move |value: i32| noted.note(if value == 1 { "first" } else { "another" });
    let first = lifecycle.component_blocking("first", || Ok::<_, Infallible>(1), close.clone());
    assert_eq!(first.start().unwrap(), 1);
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let hangs = move || finished.recv();
    let second =
        lifecycle.component_blocking("second", hangs, |()| {}).start_timeout(Duration::from_millis(20));
    assert!(matches!(second.start(), Err(StartError::TimedOut { .. })));
    assert!(stop.is_requested());
    let third = lifecycle.component_blocking("third", || -> Result<i32, Infallible> { panic!() }, close);
    assert!(matches!(third.start(), Err(StartError::Stopping { .. })));
    let report = lifecycle.close();
    assert_eq!((order.names(), report.exit_status()), (vec!["first"], 1));
    drop(finish);

    let lifecycle = Lifecycle::install(Config::default().signals([])).unwrap();
    let panics =
        lifecycle.component_blocking("panics", || -> Result<(), Infallible> { panic!("oh") }, |()| {});
    assert!(matches!(panics.start(), Err(StartError::Failed { .. })));
    let report = lifecycle.close();
    assert!(matches!(report.cause, Some(Cause::Failure(failure)) if failure.error == "panicked: oh"));
}

#[tokio::test(start_paused = true)]
async fn sleeping_threads_and_tasks_end_with_the_stop() {
    let lifecycle = install();
    let stop = lifecycle.stop();
    let thread = std::thread::spawn({
        let stop = stop.clone();
        move || stop.sleep(Duration::from_secs(3_600))
    });
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { stop.sleep_async(Duration::from_secs(3_600)).await }
    });
    assert!(stop.sleep(Duration::from_millis(1)) && stop.sleep_async(SECOND).await);
    stop.request_stop("enough");
    assert!(!task.await.unwrap() && !thread.join().unwrap());
    assert!(!stop.sleep(Duration::ZERO));
    assert_eq!(Break::Stop.to_string(), "the program is stopping");
}
