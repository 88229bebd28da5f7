//! Lifecycles that outlive the runtime whose clock they are on.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, Lifecycle, Phase, Report};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn runtime(paused: bool) -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap()
}

/// On a runtime that is gone.
fn orphan(config: Config, paused: bool) -> Lifecycle {
    let runtime = runtime(paused);
    runtime.block_on(async { Lifecycle::on_runtime(config).unwrap() })
}

fn closed(lifecycle: Lifecycle) -> Report {
    let (say, hear) = channel();
    std::thread::spawn(move || say.send(Box::new(lifecycle.close())));
    *hear.recv_timeout(PATIENCE).expect("it hangs")
}

#[test]
fn its_deadlines_come_in_real_time_even_where_time_was_paused() {
    for paused in [false, true] {
        let grace = Duration::from_millis(300);
        let lifecycle = orphan(Config::default().grace(grace), paused);
        let scope = lifecycle.scope("stubborn");
        let _work = scope.begin();
        let begun = Instant::now();
        let report = closed(lifecycle);
        assert_eq!((report.exit_status(), report.scopes[0].left), (3, 1), "{report}");
        assert!(begun.elapsed() >= grace && report.took >= grace, "{report}");
    }
}

#[test]
fn it_is_finished_on_another_runtime() {
    for paused in [false, true] {
        let lifecycle = orphan(Config::default().grace(Duration::from_millis(100)), paused);
        let _busy = lifecycle.scope("stubborn");
        lifecycle.stop().request_stop("enough");
        let finished = async { tokio::time::timeout(PATIENCE, lifecycle.finished()).await };
        let report = runtime(false).block_on(finished).expect("it hangs");
        assert_eq!(report.exit_status(), 3, "{report}");
    }
}

#[test]
fn what_blocks_is_closed_in_a_thread() {
    let lifecycle = orphan(Config::default(), false);
    let (say, hear) = channel();
    let saves = say.clone();
    let open = || Ok::<_, std::io::Error>(());
    lifecycle.component_blocking("db", open, move |()| say.send("closed")).start().unwrap();
    lifecycle.stop().run_at_exit("save", move || saves.send("saved")).unwrap();
    let report = closed(lifecycle);
    assert_eq!(report.exit_status(), 0, "{report}");
    assert_eq!(hear.iter().collect::<Vec<_>>(), ["saved", "closed"]);
}

#[test]
fn what_is_async_fails_at_once_as_it_has_nowhere_to_run() {
    let lost = runtime(false);
    let lifecycle = lost.block_on(async {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let open = async { Ok::<_, std::io::Error>(()) };
        lifecycle.component("db", open, async |()| ()).await.unwrap();
        lifecycle
    });
    drop(lost);
    assert!(lifecycle.stop().run_at_exit_async("late", async {}).is_err());
    let report = closed(lifecycle);
    let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
    assert_eq!(failures, ["db failed: closing: its runtime was shut down before it was closed"]);
}

#[test]
fn one_that_is_dropped_leaves_no_thread_to_keep_its_time() {
    let lifecycle = orphan(Config::default(), false);
    let stop = lifecycle.stop();
    let token = std::sync::Arc::new(());
    let weak = std::sync::Arc::downgrade(&token);
    let open = || Ok::<_, std::io::Error>(());
    lifecycle.component_blocking("db", open, move |()| drop(token)).start().unwrap();
    drop(lifecycle);
    assert_eq!(stop.phase(), Phase::Stopped);
    drop(stop);
    let begun = Instant::now();
    while weak.upgrade().is_some() {
        assert!(begun.elapsed() < PATIENCE, "something keeps the core");
        std::thread::sleep(Duration::from_millis(1));
    }
}
