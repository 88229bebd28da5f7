//! Tasks, blocking jobs and threads: told, awaited, aborted, named (L12).

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, Lifecycle, OnFailure, Phase, Report, ScopeReport, Tasks};
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Long enough for threads to do what they are waited for, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn install() -> Lifecycle {
    Lifecycle::on_runtime(Config::default()).unwrap()
}

/// A lifecycle on the real clock, for threads: what never ends is over soon.
fn hasty() -> Lifecycle {
    Lifecycle::install(Config::default().grace(Duration::from_millis(60)).signals([])).unwrap()
}

fn only(report: &Report) -> &ScopeReport {
    let [scope] = report.scopes.as_slice() else { panic!("not one scope: {report}") };
    scope
}

/// Sets its flag when it is dropped.
struct Noted(Arc<AtomicBool>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn l12_tasks_are_told_when_the_drain_begins_and_awaited() {
    let lifecycle = Lifecycle::on_runtime(Config::default().lame_duck(2 * SECOND)).unwrap();
    let begun = Instant::now();
    lifecycle.ready();
    let tasks = lifecycle.tasks("mail");
    tasks.spawn("sender", async move |stop| {
        stop.requested().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        stop.reached(Phase::Draining).await;
        assert_eq!(begun.elapsed(), 2 * SECOND);
        sleep(3 * SECOND).await;
    });
    assert_eq!(tasks.in_flight(), 1);
    tokio::task::yield_now().await;
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!((begun.elapsed(), report.exit_status()), (5 * SECOND, 0));
    let scope = only(&report);
    assert_eq!((scope.name.as_str(), scope.in_flight_at_stop, scope.finished), ("mail", 1, 1));
    assert_eq!(tasks.in_flight(), 0, "a handle that is kept holds nothing up");
}

#[tokio::test(start_paused = true)]
async fn l12_a_task_that_does_not_listen_is_aborted_at_the_drain_deadline_and_the_abort_is_awaited() {
    let lifecycle = install();
    let begun = Instant::now();
    let dropped = Arc::new(AtomicBool::new(false));
    let noted = Noted(Arc::clone(&dropped));
    let line = line!() + 1;
    lifecycle.task("deaf", async move |_stop| {
        let _noted = noted;
        pending::<()>().await;
    });
    sleep(SECOND).await;
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert!(dropped.load(Ordering::SeqCst), "its destructors have run");
    assert_eq!((begun.elapsed(), report.exit_status()), (21 * SECOND, 3));
    let [cut] = only(&report).cut.as_slice() else { panic!("{report}") };
    assert_eq!((cut.name.as_str(), cut.kind, cut.age), ("deaf", "task", 21 * SECOND));
    let site = cut.site.unwrap();
    assert!(site.file().ends_with("tests/tasks.rs"), "{site}");
    assert_eq!(site.line(), line);
    assert_eq!(report.time_in(Phase::Closing), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn l12_a_task_that_swallows_what_it_is_told_is_aborted_too() {
    let lifecycle = install();
    lifecycle.task("stubborn", async |stop| {
        loop {
            stop.requested().await;
            sleep(SECOND).await;
        }
    });
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!((report.exit_status(), report.took), (3, 20 * SECOND));
    assert_eq!(only(&report).cut.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn l12_an_abort_takes_as_long_as_the_task_does_not_yield() {
    // A task in the middle of a poll, at the deadline and when it is told of it.
    let lifecycle = hasty();
    let (release, held) = mpsc::channel::<()>();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let inside = runtime.enter();
    lifecycle.task("busy", async move |stop| {
        _ = held.recv();
        stop.requested().await;
        pending::<()>().await;
    });
    drop(inside);
    let (stop, closer) = (lifecycle.stop(), std::thread::spawn(move || lifecycle.close()));
    while stop.phase() < Phase::Closing {
        std::thread::yield_now();
    }
    drop(release);
    let report = closer.join().unwrap();
    runtime.shutdown_background();
    let scope = only(&report);
    assert_eq!((report.exit_status(), scope.finished), (3, 0));
    // Left behind on a machine so slow that the hard deadline came before the task was let go.
    assert_eq!(scope.cut.len() as u64 + scope.left, 1, "{report}");
}

type Spawn = fn(&Tasks);

#[tokio::test(start_paused = true)]
async fn what_fails_is_reported_and_the_program_goes_on_or_stops_as_it_was_told() {
    #[derive(Debug, thiserror::Error)]
    #[error("no route")]
    struct Outer(#[source] std::io::Error);
    let cases: [(&str, Spawn, &str); 6] = [
        ("error", |tasks| tasks.spawn("a", async |_| Err::<(), _>("broken")), "broken"),
        (
            "source",
            |tasks| tasks.spawn("a", async |_| Err::<(), _>(Outer(std::io::Error::other("cable")))),
            "no route: cable",
        ),
        ("panic", |tasks| tasks.spawn("a", async |_| panic!("boom")), "panicked: boom"),
        ("formatted", |tasks| tasks.spawn("a", async |_| panic!("boom {}", 7)), "panicked: boom 7"),
        ("payload", |tasks| tasks.spawn("a", async |_| std::panic::panic_any(7)), "panicked"),
        ("blocking", |tasks| tasks.spawn_blocking("a", |_| panic!("boom")), "panicked: boom"),
    ];
    for (group, spawn, error) in cases {
        let lifecycle = install();
        let tasks = lifecycle.tasks(group);
        spawn(&tasks);
        while tasks.in_flight() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(!lifecycle.stop().is_requested(), "{group}: it goes on");
        lifecycle.stop().request_stop("enough");
        let report = lifecycle.finished().await;
        assert_eq!(report.exit_status(), 1);
        let [failure] = report.failures.as_slice() else { panic!("{report}") };
        assert_eq!((failure.name.as_str(), failure.error.as_str()), (&*format!("{group}: a"), error));

        let lifecycle = install();
        spawn(&lifecycle.tasks(group).on_failure(OnFailure::Stop));
        let report = lifecycle.finished().await;
        assert_eq!(report.exit_status(), 1);
        assert_eq!(report.cause.unwrap().to_string(), format!("{group}: a failed: {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_while_it_is_drained_is_counted_as_failed() {
    let lifecycle = install();
    lifecycle.task("reindex", async |stop| {
        stop.requested().await;
        Err::<(), _>("half done")
    });
    tokio::task::yield_now().await;
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    let scope = only(&report);
    assert_eq!((report.exit_status(), scope.failed, scope.finished), (1, 1, 0));
    assert_eq!(report.failures.first().unwrap().to_string(), "reindex failed: half done");
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_during_the_abort_is_a_failure_and_no_hang() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let lifecycle = install();
    lifecycle.task("bomb", async |_| {
        let _bomb = Bomb;
        pending::<()>().await;
    });
    tokio::task::yield_now().await;
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!((report.exit_status(), report.took), (1, 20 * SECOND));
    assert_eq!((only(&report).failed, only(&report).left), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_spawned_during_the_drain_is_awaited_even_if_the_group_was_idle() {
    let lifecycle = install();
    let (tasks, other) = (lifecycle.tasks("mail"), lifecycle.scope("other"));
    let begun = Instant::now();
    lifecycle.stop().request_stop("enough");
    assert_eq!(lifecycle.stop().phase(), Phase::Draining);
    tasks.spawn("late", async |_| sleep(SECOND).await);
    drop(other);
    let report = lifecycle.finished().await;
    assert_eq!((begun.elapsed(), report.exit_status()), (SECOND, 0));
    let mail = report.scopes.iter().find(|scope| scope.name == "mail").unwrap();
    assert_eq!((mail.finished, mail.left, mail.held), (1, 0, Some(SECOND)));
}

#[tokio::test(start_paused = true)]
async fn what_is_spawned_after_the_deadline_never_begins_and_is_named() {
    let lifecycle = install();
    let (tasks, stop) = (lifecycle.tasks("mail"), lifecycle.stop());
    let scope = lifecycle.scope("holds Closing open");
    let begun = Arc::new(AtomicBool::new(false));
    let late = Noted(Arc::clone(&begun));
    tokio::spawn(async move {
        stop.reached(Phase::Closing).await;
        tasks.spawn("too late", async move |_| drop(late));
        tasks.spawn_thread("too late", |_| ());
        sleep(SECOND).await;
        drop(scope);
    });
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    let mail = report.scopes.iter().find(|scope| scope.name == "mail").unwrap();
    let cut: Vec<_> = mail.cut.iter().map(|work| (work.name.as_str(), work.kind)).collect();
    assert_eq!(cut, [("too late", "task"), ("too late", "thread")]);
    assert_eq!((report.took, report.exit_status()), (21 * SECOND, 3));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_over_before_the_stop_leaves_nothing_behind() {
    let lifecycle = install();
    let tasks = lifecycle.tasks("over");
    tasks.spawn("short", async |_| sleep(SECOND).await);
    drop(tasks);
    sleep(2 * SECOND).await;
    lifecycle.stop().request_stop("enough");
    assert_eq!(lifecycle.finished().await.scopes, []);
}

#[test]
fn without_a_runtime_a_task_fails_and_a_runtime_that_ends_cuts_its_tasks() {
    let lifecycle = hasty();
    lifecycle.task("nowhere", async |_| ());
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 1);
    assert!(report.cause.unwrap().to_string().contains("no tokio runtime"));

    let lifecycle = hasty();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        lifecycle.task("orphan", async |_| pending::<()>().await);
        tokio::task::yield_now().await;
    });
    drop(runtime);
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 3, "{report}");
    assert_eq!(
        only(&report).cut.first().unwrap().name,
        "orphan",
        "cut long before the stop, and still named"
    );
}

#[test]
fn l12_blocking_jobs_that_have_not_begun_are_dropped_and_those_that_have_are_named() {
    let lifecycle = hasty();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let _inside = runtime.enter();
    let (release, held) = mpsc::channel::<()>();
    let jobs = lifecycle.tasks("jobs");
    let (tell, begun) = mpsc::channel();
    jobs.spawn_blocking("endless", move |_| {
        tell.send(()).unwrap();
        _ = held.recv();
    });
    begun.recv_timeout(PATIENCE).unwrap();
    jobs.spawn_blocking("waiting", |_| panic!("never begun"));
    let report = lifecycle.close();
    let scope = only(&report);
    assert_eq!((report.exit_status(), scope.left), (3, 1), "{report}");
    let [left] = scope.left_behind.as_slice() else { panic!("{report}") };
    assert_eq!((left.name.as_str(), left.kind), ("endless", "blocking"));
    let [cut] = scope.cut.as_slice() else { panic!("{report}") };
    assert_eq!((cut.name.as_str(), cut.kind), ("waiting", "blocking"));
    drop(release);
}

#[test]
fn l12_a_thread_is_told_and_awaited_and_named_if_it_never_ends() {
    let lifecycle = hasty();
    let (release, held) = mpsc::channel::<()>();
    let line = line!() + 1;
    lifecycle.thread("endless", move |_| {
        _ = held.recv();
    });
    lifecycle.thread("listens", |stop| {
        assert_eq!(std::thread::current().name(), Some("listens"));
        stop.wait().unwrap();
    });
    lifecycle.thread("odd\0name", |_| ());
    let report = lifecycle.close();
    assert_eq!((report.exit_status(), report.failures.len()), (3, 0), "{report}");
    assert!(report.took >= Duration::from_millis(60), "it delays the end to the hard deadline");
    let left: Vec<_> = report.scopes.iter().flat_map(|scope| &scope.left_behind).collect();
    let [left] = left.as_slice() else { panic!("{report}") };
    assert_eq!((left.name.as_str(), left.kind, left.site.line()), ("endless", "thread", line));
    assert_eq!(report.held_up_by().unwrap().name, "endless");
    assert!(report.to_string().contains("left behind: thread endless, for "), "{report}");
    drop(release);
}

#[test]
fn a_thread_that_panics_is_the_cause_of_a_stop() {
    let lifecycle = hasty();
    let stop = lifecycle.stop();
    lifecycle.thread("poller", |_| panic!("boom"));
    assert!(stop.wait_for(Phase::Stopped, PATIENCE).unwrap());
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 1);
    assert_eq!(report.cause.unwrap().to_string(), "poller failed: panicked: boom");
}

#[tokio::test(start_paused = true)]
async fn a_lifecycle_that_is_dropped_aborts_its_tasks() {
    let lifecycle = install();
    let dropped = Arc::new(AtomicBool::new(false));
    let noted = Noted(Arc::clone(&dropped));
    lifecycle.task("deaf", async move |_| {
        let _noted = noted;
        pending::<()>().await;
    });
    tokio::task::yield_now().await;
    drop(lifecycle);
    sleep(SECOND).await;
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_task_is_accounted_for_once_under_load() {
    for _ in 0..20 {
        let lifecycle = Lifecycle::install(Config::default().signals([])).unwrap();
        let tasks = lifecycle.tasks("many");
        let (stop, spawning) = (lifecycle.stop(), lifecycle.scope("spawning"));
        for index in 0..2_000_u32 {
            if index == 1_000 {
                stop.request_stop("in the middle");
            }
            tasks.spawn("one", async move |stop| {
                match index % 3 {
                    0 => stop.requested().await,
                    1 => return Err("failed"),
                    _ => tokio::task::yield_now().await,
                }
                Ok(())
            });
        }
        drop(spawning);
        let report = lifecycle.finished().await;
        assert_eq!(tasks.in_flight(), 0);
        assert_eq!(tasks.live(10), []);
        assert_eq!(report.failures.len(), 667);
        let scope = report.scopes.iter().find(|scope| scope.name == "many").unwrap();
        assert_eq!((scope.cut.len(), scope.left, scope.left_behind.len()), (0, 0, 0), "{scope}");
        assert!(scope.finished + scope.failed >= 1_000 + scope.in_flight_at_stop, "{scope}");
    }
}
