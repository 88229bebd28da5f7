//! Groups that are closed before the program stops, in paused time where there is a runtime.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod order;

use exeunt_lifecycle::{
    ComponentOutcome, Config, GroupReport, Lifecycle, Phase, PoolBuilder, PushError, StartError, Stop,
};
use futures_util::FutureExt as _;
use order::{Order, SECOND};
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn install() -> Lifecycle {
    Lifecycle::on_runtime(Config::default()).unwrap()
}

fn outcomes(report: &GroupReport) -> Vec<(&str, ComponentOutcome)> {
    report.components.iter().map(|component| (component.name.as_str(), component.outcome.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn l4_a_group_closes_by_itself_with_those_within_and_the_rest_with_the_program() {
    let (lifecycle, order) = (install(), Order::default());
    let tenant = lifecycle.group("tenant");
    let inner = tenant.group("inner");
    order.component(&lifecycle.components(), "database").await.unwrap();
    order.component(&inner, "cache").await.unwrap();
    order.component(&tenant, "consumer").await.unwrap();
    order.component(&tenant, "poller").await.unwrap();
    let begun = Instant::now();
    let report = tenant.close(20 * SECOND).await;
    assert_eq!(order.names(), ["cache", "poller", "consumer"]);
    let closed = ["tenant/inner/cache", "tenant/poller", "tenant/consumer"];
    assert_eq!(outcomes(&report), closed.map(|name| (name, ComponentOutcome::Closed)));
    assert_eq!((report.name.as_str(), report.took, begun.elapsed()), ("tenant", 3 * SECOND, 3 * SECOND));
    assert!(report.is_clean() && !lifecycle.stop().is_requested());
    for group in [&tenant, &inner, &inner.group("new")] {
        let refused = group.component("late", async { Ok::<_, Infallible>(()) }, async |()| ()).await;
        assert!(matches!(refused, Err(StartError::GroupClosed { .. })), "{refused:?}");
        assert_eq!(group.close(SECOND).now_or_never().unwrap().components, []);
    }
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!(order.names(), ["cache", "poller", "consumer", "database"]);
    assert_eq!((report.exit_status(), report.components.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn l5_the_work_of_a_group_is_told_and_awaited_and_other_work_goes_on() {
    let (lifecycle, order) = (install(), Order::default());
    let (tenant, other) = (lifecycle.group("tenant"), lifecycle.scope("other"));
    order.component(&tenant, "cache").await.unwrap();
    let (tasks, noted) = (tenant.tasks("refresh"), order.clone());
    let told = tasks.clone();
    tasks.spawn("prices", async move |stop| {
        told.drain_requested().await;
        assert_eq!(stop.phase(), Phase::Starting);
        sleep(2 * SECOND).await;
        noted.note("prices");
    });
    sleep(SECOND).await;
    assert_eq!(tasks.in_flight(), 1);
    let report = tenant.close(20 * SECOND).await;
    assert_eq!((order.names(), report.took), (vec!["prices", "cache"], 3 * SECOND));
    assert!(report.is_clean() && !other.is_draining());
    // What comes too late is cut by name.
    tasks.spawn("late", async |_| panic!("begun"));
    drop(other);
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    let cut: Vec<_> =
        report.scopes.iter().flat_map(|scope| &scope.cut).map(|cut| cut.name.as_str()).collect();
    assert_eq!((cut, report.exit_status()), (vec!["late"], 3));
}

#[tokio::test(start_paused = true)]
async fn l12_at_its_drain_deadline_the_work_of_a_group_is_cut_and_named() {
    let (lifecycle, order) = (install(), Order::default());
    let tenant = lifecycle.group("tenant");
    order.component(&tenant, "cache").await.unwrap();
    tenant.tasks("refresh").spawn("prices", async |_| pending::<()>().await);
    let scope = tenant.group("inner").scope("http");
    let begun = Instant::now();
    let noted = order.clone();
    tokio::spawn(async move {
        scope.drain_requested().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        scope.cut_requested().await;
        assert_eq!(begun.elapsed(), 8 * SECOND);
        sleep(SECOND / 4).await;
        noted.note("unwound");
    });
    let report = tenant.close(10 * SECOND).await;
    assert_eq!(order.names(), ["unwound", "cache"]);
    assert_eq!(report.cut.iter().map(|cut| cut.name.as_str()).collect::<Vec<_>>(), ["prices"]);
    assert_eq!((report.took, report.is_clean()), (9 * SECOND + SECOND / 4, false));
    lifecycle.stop().request_stop("enough");
    assert_eq!(lifecycle.finished().await.exit_status(), 3);
}

#[tokio::test(start_paused = true)]
async fn l13_a_pool_of_a_group_is_finished_handed_back_or_cut_as_its_group_closes() {
    // Policy; how long a job takes; what is done; what is given back. The last is cut at 16 s.
    let cases: [(bool, u32, u64, &[u32]); 3] =
        [(false, 1, 3, &[]), (true, 1, 1, &[2, 3]), (false, 7, 2, &[])];
    for (hand_back, takes, done, rest) in cases {
        let cut: &[_] = if takes == 7 { &["tenant/pool #3"] } else { &[] };
        let (lifecycle, order) = (install(), Order::default());
        let (tenant, begun) = (lifecycle.group("tenant"), Instant::now());
        order.component(&tenant, "cache").await.unwrap();
        let count = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&count);
        let pool = PoolBuilder::new(tenant.scope("pool")).workers(1);
        let pool = if hand_back { pool.hand_back() } else { pool.finish_queue() };
        let pool = pool
            .start_async(move |_: u32, _: Stop| {
                let count = Arc::clone(&counted);
                async move {
                    sleep(takes * SECOND).await;
                    *count.lock().unwrap() += 1;
                }
            })
            .unwrap();
        for job in 1..=3 {
            pool.push_async(job).await.unwrap();
        }
        tokio::task::yield_now().await; // the first is begun
        let report = tenant.close(20 * SECOND).await;
        assert_eq!((*count.lock().unwrap(), pool.take_rest()), (done, rest.to_vec()));
        let named: Vec<_> = report.cut.iter().map(|job| job.name.as_str()).collect();
        assert_eq!((named.as_slice(), order.names()), (cut, vec!["cache"]), "{report:?}");
        let worked = u32::try_from(done).unwrap() * takes;
        let drained = if cut.is_empty() { worked } else { 16 };
        assert_eq!(begun.elapsed(), (drained + 1) * SECOND);
        assert!(matches!(pool.try_push(4), Err(PushError::Draining(4))));
        assert!(!lifecycle.stop().is_requested());
        lifecycle.stop().request_stop("enough");
        assert_eq!(lifecycle.finished().await.exit_status(), if cut.is_empty() { 0 } else { 3 });
    }
}

#[tokio::test(start_paused = true)]
async fn l4_what_fails_or_hangs_in_a_group_is_kept_and_stops_nothing() {
    let (lifecycle, order) = (install(), Order::default());
    let tenant = lifecycle.group("tenant");
    let ok = || async { Ok::<_, Infallible>(()) };
    order.component(&tenant, "never").await.unwrap();
    tenant.component("hangs for long", ok(), |()| pending::<()>()).close_timeout(60 * SECOND).await.unwrap();
    tenant.component("fails", ok(), |()| async { Err("no disk") }).await.unwrap();
    tenant.component("hangs", ok(), |()| pending::<()>()).close_timeout(2 * SECOND).await.unwrap();
    let begun = Instant::now();
    let report = tenant.close(10 * SECOND).await;
    assert_eq!(begun.elapsed(), 10 * SECOND);
    assert_eq!(
        outcomes(&report),
        [
            ("tenant/hangs", ComponentOutcome::TimedOut),
            ("tenant/fails", ComponentOutcome::Failed),
            ("tenant/hangs for long", ComponentOutcome::TimedOut),
            ("tenant/never", ComponentOutcome::Skipped),
        ]
    );
    let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
    let expected = [
        "tenant/hangs failed: it did not close within 2s",
        "tenant/fails failed: closing: no disk",
        "tenant/hangs for long failed: it did not close within 8s",
    ];
    assert_eq!(failures, expected);
    assert!(!lifecycle.stop().is_requested());
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!((report.exit_status(), report.failures.len(), order.names().len()), (1, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn l3_a_start_in_a_group_that_closes_is_given_up_at_its_drain_deadline() {
    let lifecycle = install();
    let tenant = lifecycle.group("tenant");
    let slow = tenant.component("slow", pending::<Result<(), Infallible>>(), async |()| ());
    let slow = tokio::spawn(slow.into_future());
    tokio::task::yield_now().await;
    let report = tenant.close(10 * SECOND).await;
    assert_eq!(outcomes(&report), [("tenant/slow", ComponentOutcome::StartTimedOut)]);
    assert_eq!(report.took, 8 * SECOND);
    assert!(matches!(slow.await.unwrap(), Err(StartError::TimedOut { .. })));
    assert_eq!(
        report.failures[0].to_string(),
        "tenant/slow failed: its group could not wait for its start, which had taken 8s"
    );
    assert!(!lifecycle.stop().is_requested());
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!((report.exit_status(), report.cause.unwrap().to_string()), (1, "enough".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_over_what_a_group_has_not_closed_and_each_closes_once() {
    // Requested before its work is done, while its last and its first are being closed, and when all is closed. The
    // report has those that are over after the request.
    let half = SECOND / 2;
    for (pause, ended, reported) in [(2, 10, 3), (5, 10, 3), (7, 10, 2), (12, 14, 1)]
        .map(|(pause, ended, reported)| (pause * half, ended * half, reported))
    {
        let (lifecycle, order) = (install(), Order::default());
        let (stop, begun) = (lifecycle.stop(), Instant::now());
        let tenant = lifecycle.group("tenant");
        order.component(&lifecycle.components(), "database").await.unwrap();
        order.component(&tenant, "first").await.unwrap();
        order.component(&tenant, "second").await.unwrap();
        tenant.tasks("refresh").spawn("prices", async |_| sleep(2 * SECOND).await);
        let close = tokio::spawn(async move { tenant.close(20 * SECOND).await });
        sleep(pause).await;
        stop.request_stop("enough");
        let report = lifecycle.finished().await;
        assert_eq!(order.names(), ["second", "first", "database"], "after {pause:?}");
        assert_eq!((report.exit_status(), report.components.len()), (0, reported), "after {pause:?}");
        assert_eq!(begun.elapsed(), ended, "after {pause:?}");
        let report = close.await.unwrap();
        assert_eq!((report.components.len(), report.took.as_secs()), (2, 4), "after {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_answered_though_the_lifecycle_is_dropped() {
    let (lifecycle, order) = (install(), Order::default());
    let tenant = lifecycle.group("tenant");
    order.component(&tenant, "first").await.unwrap();
    let closes: Vec<_> = [tenant.clone(), tenant.clone(), lifecycle.components()]
        .map(|group| tokio::spawn(async move { group.close(20 * SECOND).await }))
        .into();
    sleep(SECOND / 2).await;
    drop(lifecycle);
    for close in closes {
        assert_eq!(outcomes(&close.await.unwrap()), [("tenant/first", ComponentOutcome::Skipped)]);
    }
    assert_eq!(order.names(), [""; 0], "it was being closed, and was aborted");
}

#[tokio::test(start_paused = true)]
async fn a_close_goes_on_though_nobody_waits_for_it_any_more() {
    let (lifecycle, order) = (install(), Order::default());
    let tenant = lifecycle.group("tenant");
    order.component(&tenant, "first").await.unwrap();
    assert!(tokio::time::timeout(SECOND / 2, tenant.close(20 * SECOND)).await.is_err());
    sleep(SECOND).await;
    assert_eq!(order.names(), ["first"]);
    lifecycle.stop().request_stop("enough");
    assert_eq!(lifecycle.finished().await.exit_status(), 0);
}

/// Threads close groups and start in them while the stop is requested: what has started closes, once.
#[test]
fn groups_close_on_any_thread_while_the_stop_is_requested() {
    for round in 0..50 {
        let lifecycle = Lifecycle::install(Config::default().signals([])).unwrap();
        let closed = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(std::sync::Barrier::new(5));
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (group, gate) = (lifecycle.group(format!("group {worker}")), Arc::clone(&gate));
                let closed = Arc::clone(&closed);
                std::thread::spawn(move || {
                    let mut started = Vec::new();
                    for number in 0..3 {
                        let id = (worker, number);
                        let closed = Arc::clone(&closed);
                        let close = move |()| closed.lock().unwrap().push(id);
                        let start = || Ok::<_, Infallible>(());
                        match group.component_blocking("part", start, close).start() {
                            Ok(()) => started.push(id),
                            Err(StartError::Stopping { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                        if number == 1 {
                            gate.wait();
                        }
                    }
                    let report = group.close_blocking(60 * SECOND);
                    (started, report.components.len())
                })
            })
            .collect();
        gate.wait();
        for _ in 0..round * 100 {
            std::hint::spin_loop();
        }
        let report = lifecycle.close();
        assert_eq!(report.exit_status(), 0);
        let mut all = Vec::new();
        for worker in workers {
            let (started, _) = worker.join().unwrap();
            all.extend(started);
        }
        let mut closed = closed.lock().unwrap().clone();
        for worker in 0..4 {
            let numbers: Vec<_> =
                closed.iter().filter(|(of, _)| *of == worker).map(|(_, number)| number).collect();
            assert!(numbers.is_sorted_by(|one, other| one > other), "in reverse order: {closed:?}");
        }
        closed.sort_unstable();
        all.sort_unstable();
        assert_eq!(closed, all, "each once");
    }
}

/// A program that opens and closes groups for ever keeps no more of them than its report has room for.
#[tokio::test(start_paused = true)]
async fn l15_of_many_groups_the_report_keeps_a_thousand() {
    let lifecycle = install();
    let ok = || async { Ok::<_, Infallible>(()) };
    for _ in 0..1_100 {
        let tenant = lifecycle.group("tenant");
        tenant.component("well", ok(), async |()| ()).await.unwrap();
        tenant.component("badly", ok(), async |()| Err("no disk")).await.unwrap();
        tenant.tasks("refresh").spawn("prices", async |_| pending::<()>().await);
        let report = tenant.close(SECOND).await;
        assert_eq!((report.components.len(), report.failures.len(), report.cut.len()), (2, 1, 1));
    }
    lifecycle.component("last", ok(), async |()| Err("no disk")).await.unwrap();
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!((report.components.len(), report.scopes.len()), (1_001, 1_000));
    assert!(report.components.iter().all(|component| component.outcome == ComponentOutcome::Failed));
    assert_eq!((report.failures.len(), report.failures_left_out, report.exit_status()), (1_001, 100, 1));
}
