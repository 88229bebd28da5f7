//! The report and its status are settled together: what comes later is after the end (L14, L15).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, Lifecycle, Phase, Pool, Report, Tasks, Verdict};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

/// Long enough for threads to do what they are waited for, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config::default().grace(2 * PATIENCE).signals([])
}

fn is_clean(report: &Report) {
    let trouble = |scope: &exeunt_lifecycle::ScopeReport| scope.left > 0 || !scope.cut.is_empty();
    assert!(!report.scopes.iter().any(trouble) && report.failures.is_empty(), "{report}");
    assert_eq!((report.verdict, report.exit_status()), (Verdict::Clean, 0), "{report}");
}

#[test]
fn l14_what_begins_or_fails_after_the_end_is_not_in_the_report() {
    let late: Arc<OnceLock<(Tasks, Pool<u32>, exeunt_lifecycle::Stop)>> = Arc::default();
    let hook = Arc::clone(&late);
    let lifecycle = Lifecycle::install(config().before_termination(move |_| {
        let (tasks, pool, stop) = hook.get().unwrap();
        tasks.spawn_thread("late", |_| ());
        assert!(pool.try_push(1).is_err());
        stop.fail("late", "after the end");
    }))
    .unwrap();
    let pool = lifecycle.pool("pool").workers(1).start(|_: u32, _| ()).unwrap();
    assert!(late.set((lifecycle.tasks("tasks"), pool, lifecycle.stop())).is_ok());
    let report = lifecycle.close();
    assert_eq!(report.hook_failures, [], "the hook was called whole");
    is_clean(&report);
}

#[test]
fn l15_whoever_pushes_again_and_again_is_never_left_behind() {
    for _ in 0..20 {
        let lifecycle = Lifecycle::install(config()).unwrap();
        let pool = lifecycle.pool("pool").workers(1).start(|_: u32, _| ()).unwrap();
        let goes_on = AtomicBool::new(true);
        let report = thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while goes_on.load(Ordering::SeqCst) {
                        _ = pool.push(1);
                    }
                });
            }
            let report = lifecycle.close();
            goes_on.store(false, Ordering::SeqCst);
            report
        });
        is_clean(&report);
    }
}

#[test]
fn l15_what_was_left_behind_is_cut_once_it_has_unwound() {
    let lifecycle = Lifecycle::install(config().grace(Duration::from_millis(50))).unwrap();
    let scope = lifecycle.scope("imports");
    let [unwinds, stays] = ["orders.csv", "customers.csv"].map(|name| scope.track("import", name));
    lifecycle.stop().request_stop("enough");
    assert!(lifecycle.stop().wait_for(Phase::Stopped, PATIENCE).unwrap());
    unwinds.cut();
    // Too late to be counted: it was left behind.
    scope.track("import", "late.csv").cut();
    let report = lifecycle.wait();
    let scope = &report.scopes[0];
    let names =
        |left: &[exeunt_lifecycle::LiveWork]| left.iter().map(|work| work.name.clone()).collect::<Vec<_>>();
    assert_eq!((scope.left, names(&scope.left_behind)), (1, vec!["customers.csv".to_owned()]), "{report}");
    assert_eq!(scope.cut.iter().map(|work| &*work.name).collect::<Vec<_>>(), ["orders.csv"], "{report}");
    drop(stays);
    // What ends later was left behind all the same.
    assert_eq!(lifecycle.close().scopes[0].left, 1);
}
