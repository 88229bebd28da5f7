//! The lifecycle on a runtime, in paused time.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{
    Cause, Config, ConfigError, CutWork, InstallError, Lifecycle, Phase, PhaseTime, Verdict,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn install(config: Config) -> Lifecycle {
    Lifecycle::on_runtime(config).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_phase_takes_its_time_and_is_in_the_report() {
    let lifecycle = install(Config::default().grace(10 * SECOND).lame_duck(2 * SECOND));
    let (stop, scope) = (lifecycle.stop(), lifecycle.scope("http"));
    let begun = Instant::now();
    sleep(SECOND).await;
    lifecycle.ready();
    assert_eq!(stop.phase(), Phase::Running);
    sleep(3 * SECOND).await;
    let work = scope.begin();
    assert!(stop.request_stop("enough"));
    assert!(!stop.request_stop("again"));

    let task = tokio::spawn({
        let stop = stop.clone();
        async move {
            stop.requested().await;
            assert_eq!((begun.elapsed(), stop.phase()), (4 * SECOND, Phase::LameDuck));
            assert!(!scope.is_draining());
            stop.reached(Phase::Draining).await;
            scope.drain_requested().await;
            assert!(scope.is_draining() && !scope.is_cut());
            assert_eq!(begun.elapsed(), 6 * SECOND);
            assert_eq!(stop.time_left(), Some(6 * SECOND));
            scope.cut_requested().await;
            assert_eq!(begun.elapsed(), 12 * SECOND);
            assert!(scope.is_cut());
            sleep(SECOND / 2).await;
            work.cut(CutWork {
                name: "GET /".into(),
                kind: "request",
                peer: None,
                age: 8 * SECOND,
                site: None,
            });
        }
    });
    let report = lifecycle.finished().await;
    task.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_millis(12_500));
    let times = [1_000, 3_000, 2_000, 6_000, 500].map(Duration::from_millis);
    let phases: Vec<_> =
        Phase::ALL.into_iter().zip(times).map(|(phase, time)| PhaseTime { phase, time }).collect();
    assert_eq!(report.phases, phases);
    assert_eq!(report.took, Duration::from_millis(8_500));
    assert_eq!(report.cause, Some(Cause::Call { why: "enough".into() }));
    assert_eq!((report.verdict, report.exit_status()), (Verdict::Cut, 3));
    let scope = report.scopes.first().unwrap();
    assert_eq!((scope.in_flight_at_stop, scope.finished, scope.cut.len(), scope.left), (1, 0, 1, 0));
    assert_eq!(scope.held, Some(Duration::from_millis(8_500)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_program_stops_at_once() {
    let lifecycle = install(Config::default());
    let begun = Instant::now();
    lifecycle.ready();
    drop(lifecycle.scope("finished before the stop"));
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    assert_eq!((begun.elapsed(), report.exit_status()), (Duration::ZERO, 0));
    assert_eq!(report.scopes, []);
}

#[tokio::test(start_paused = true)]
async fn the_hard_deadline_comes_though_a_scope_is_never_idle() {
    let lifecycle = install(Config::default());
    let scope = lifecycle.scope("stubborn");
    let begun = Instant::now();
    lifecycle.stop().request_stop("enough");
    let stop = lifecycle.stop();
    let deadlines = stop.drain_deadline().zip(stop.hard_deadline()).unwrap();
    assert_eq!(deadlines, ((begun + 20 * SECOND).into_std(), (begun + 25 * SECOND).into_std()));
    let report = lifecycle.finished().await;
    assert_eq!((begun.elapsed(), report.exit_status()), (25 * SECOND, 3));
    assert_eq!(report.scopes.first().unwrap().held, None);
    drop(scope);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_over_the_deadline_grants_one_pass() {
    let lifecycle = install(Config::default());
    let scope = lifecycle.scope("http");
    let (asks, answers) = tokio::sync::oneshot::channel();
    let worker = tokio::spawn(async move {
        let _work = scope.begin();
        answers.await.unwrap();
        assert!(!scope.is_cut());
    });
    lifecycle.stop().request_stop("enough");
    asks.send(()).unwrap();
    tokio::time::advance(60 * SECOND).await;
    let report = lifecycle.finished().await;
    worker.await.unwrap();
    assert_eq!((report.exit_status(), report.time_in(Phase::Closing)), (0, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn work_that_outlives_its_scope_holds_closing_off() {
    let lifecycle = install(Config::default());
    let scope = lifecycle.scope("jobs");
    let works: Vec<_> = (0..3).map(|_| scope.begin()).collect();
    drop(scope);
    let (stop, begun) = (lifecycle.stop(), Instant::now());
    stop.request_stop("enough");
    tokio::spawn(async move {
        for work in works {
            sleep(SECOND).await;
            drop(work);
        }
    });
    let report = lifecycle.finished().await;
    assert_eq!((begun.elapsed(), report.exit_status()), (3 * SECOND, 0));
    let scope = report.scopes.first().unwrap();
    assert_eq!((scope.in_flight_at_stop, scope.finished, scope.left), (3, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn l15_the_report_knows_who_held_the_stop_up() {
    let lifecycle = install(Config::default());
    let (quick, slow, idle) = (lifecycle.scope("quick"), lifecycle.scope("slow"), lifecycle.scope("idle"));
    lifecycle.stop().request_stop("enough");
    drop(idle);
    tokio::spawn(async move {
        sleep(SECOND).await;
        drop(quick);
        sleep(SECOND).await;
        drop(slow);
    });
    let report = lifecycle.finished().await;
    let held: Vec<_> = report.scopes.iter().map(|scope| scope.held.unwrap()).collect();
    assert_eq!(held, [SECOND, 2 * SECOND, Duration::ZERO]);
    assert_eq!(report.held_up_by().unwrap().name, "slow");
}

#[test]
fn handles_go_anywhere() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Lifecycle>();
    anywhere::<exeunt_lifecycle::Stop>();
    anywhere::<exeunt_lifecycle::Scope>();
    anywhere::<exeunt_lifecycle::Work>();
}

#[tokio::test(start_paused = true)]
async fn work_that_begins_after_the_stop_is_counted_too() {
    let lifecycle = install(Config::default());
    let scope = lifecycle.scope("http");
    drop(scope.begin());
    let work = scope.begin();
    lifecycle.stop().request_stop("enough");
    drop((scope.begin(), work, scope.begin()));
    drop(scope);
    let report = lifecycle.finished().await;
    let scope = report.scopes.first().unwrap();
    assert_eq!((scope.in_flight_at_stop, scope.finished, scope.left), (1, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_lifecycle_lets_nobody_wait() {
    let lifecycle = install(Config::default().lame_duck(SECOND));
    lifecycle.ready();
    let (stop, scope) = (lifecycle.stop(), lifecycle.scope("http"));
    let waiting = tokio::spawn(async move {
        scope.cut_requested().await;
        scope.stop().reached(Phase::Stopped).await;
    });
    tokio::task::yield_now().await;
    drop(lifecycle);
    waiting.await.unwrap();
    assert_eq!((stop.phase(), stop.request_stop("too late")), (Phase::Stopped, false));
}

#[tokio::test(start_paused = true)]
async fn a_start_up_that_fails_is_the_cause_and_one_that_was_told_to_give_up_is_not() {
    let lifecycle = install(Config::default());
    lifecycle.body_ended(Err("no configuration"));
    let report = lifecycle.finished().await;
    assert_eq!(report.exit_status(), 1);
    assert_eq!(report.cause.unwrap().to_string(), "main failed: no configuration");

    let lifecycle = install(Config::default());
    lifecycle.stop().request_stop("enough");
    lifecycle.body_ended(Err("interrupted"));
    assert_eq!(lifecycle.finished().await.exit_status(), 0);

    let lifecycle = install(Config::default());
    lifecycle.body_ended(Ok::<(), &str>(()));
    assert_eq!(lifecycle.stop().phase(), Phase::Running);
}

#[tokio::test(start_paused = true)]
async fn a_stop_requested_from_a_foreign_thread_runs_on_the_paused_clock() {
    let lifecycle = install(Config::default());
    let begun = Instant::now();
    sleep(3_600 * SECOND).await;
    let (stop, scope) = (lifecycle.stop(), lifecycle.scope("stubborn"));
    std::thread::spawn(move || stop.request_stop("from outside")).join().unwrap();
    let report = lifecycle.finished().await;
    assert_eq!((begun.elapsed(), report.took), (3_625 * SECOND, 25 * SECOND));
    drop(scope);
}

#[test]
fn without_a_runtime_or_a_timer_it_is_an_error() {
    assert!(matches!(Lifecycle::on_runtime(Config::default()), Err(InstallError::NoRuntime)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let installed = runtime.block_on(async { Lifecycle::on_runtime(Config::default()) });
    assert!(matches!(installed, Err(InstallError::NoTimer)));
    let error = Lifecycle::on_runtime(Config::default().max_attempts(0)).unwrap_err();
    assert!(matches!(error, InstallError::Config(ConfigError::MaxAttempts)));
}

/// `proc_pid_stat(5)`: the name in parentheses, then the state.
#[cfg(target_os = "linux")]
fn signal_thread_sleeps() -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let mut stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    stats.any(|stat| stat.contains("(exeunt-signals) S"))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_installed_lifecycle_keeps_its_deadlines_when_the_stop_was_called_for() {
    let config = Config::default().grace(Duration::from_millis(50)).signals([]);
    let lifecycle = Lifecycle::install(config).unwrap();
    let (stop, scope) = (lifecycle.stop(), lifecycle.scope("stubborn"));
    // The signal thread waits without a limit, so somebody has to tell it of the deadline.
    while !signal_thread_sleeps() {
        sleep(Duration::from_millis(1)).await;
    }
    stop.request_stop("enough");
    let finished = tokio::time::timeout(60 * SECOND, lifecycle.finished());
    assert_eq!(finished.await.expect("nobody kept the deadline").exit_status(), 3);
    drop(scope);
}

#[test]
fn closing_needs_no_thread_of_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let config = Config::default().grace(Duration::from_millis(50));
    let lifecycle = runtime.block_on(async { Lifecycle::on_runtime(config) }).unwrap();
    let scope = lifecycle.scope("stubborn");
    // Nobody runs the runtime's tasks any more.
    assert_eq!(lifecycle.close().exit_status(), 3);
    drop(scope);
}

#[test]
fn counts_add_up_under_load() {
    for _ in 0..50 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let lifecycle = runtime.block_on(async { Lifecycle::on_runtime(Config::default()) }).unwrap();
        let scope = Arc::new(lifecycle.scope("pool"));
        let gate = Arc::new(std::sync::Barrier::new(5));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (scope, gate) = (Arc::clone(&scope), Arc::clone(&gate));
                std::thread::spawn(move || {
                    gate.wait();
                    let (mut after, mut unaware, mut kept) = (0_u64, 0_u64, Vec::new());
                    for index in 0.. {
                        let work = scope.begin();
                        let aware = scope.stop().is_requested();
                        after += u64::from(aware);
                        if index % 7 == 0 {
                            kept.push(work);
                            unaware += u64::from(!aware);
                        }
                        if after > 10 {
                            break;
                        }
                    }
                    (kept, unaware)
                })
            })
            .collect();
        gate.wait();
        drop(scope);
        let stop = lifecycle.stop();
        stop.request_stop("enough");
        assert!(stop.phase() < Phase::Closing, "closed over work in flight");
        let (kept, unaware): (Vec<_>, Vec<_>) =
            workers.into_iter().map(|worker| worker.join().unwrap()).unzip();
        assert!(stop.phase() < Phase::Closing, "closed over work in flight");
        drop(kept);
        let report = lifecycle.close();
        let scope = report.scopes.first().unwrap();
        assert_eq!((report.exit_status(), scope.left), (0, 0));
        let unaware = unaware.into_iter().sum::<u64>();
        assert!(scope.in_flight_at_stop >= unaware, "{unaware} saw no stop and were not counted: {scope:?}");
        assert!(scope.finished >= scope.in_flight_at_stop, "{scope:?}");
    }
}

#[cfg(feature = "serde")]
#[tokio::test(start_paused = true)]
async fn the_report_for_machines() {
    let lifecycle = install(Config::default());
    lifecycle.ready();
    let scope = lifecycle.scope("http");
    sleep(SECOND).await;
    lifecycle.stop().request_stop("enough");
    scope.begin().cut(CutWork {
        name: "GET /".into(),
        kind: "request",
        peer: None,
        age: SECOND / 2,
        site: None,
    });
    drop(scope);
    let report = serde_json::to_value(lifecycle.finished().await).unwrap();
    let expected = serde_json::json!({
        "cause": {"call": {"why": "enough"}},
        "phases": [
            {"phase": "starting", "time": 0.0},
            {"phase": "running", "time": 1.0},
            {"phase": "lame_duck", "time": 0.0},
            {"phase": "draining", "time": 0.0},
            {"phase": "closing", "time": 0.0},
        ],
        "took": 0.0,
        "scopes": [{
            "name": "http", "in_flight_at_stop": 0, "finished": 0, "failed": 0, "refused": 0, "left": 0,
            "handed_back": [], "handed_back_left_out": 0, "cut_left_out": 0, "left_behind": [], "held": 0.0,
            "cut": [{"name": "GET /", "kind": "request", "peer": null, "age": 0.5, "site": null}],
        }],
        "failures": [],
        "failures_left_out": 0,
        "components": [],
        "shields": [],
        "longest_shield": null,
        "extended": null,
        "hook_failures": [],
        "hook_failures_left_out": 0,
        "scopes_left_out": 0,
        "components_left_out": 0,
        "shields_left_out": 0,
        "ends_by": null,
        "attempts": 0,
        "verdict": "cut",
    });
    assert_eq!(report, expected);
}

#[tokio::test(start_paused = true)]
async fn l9_the_end_hook_sees_the_final_report_and_has_real_time() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let config = Config::default().before_termination({
        let seen = Arc::clone(&seen);
        move |report| {
            // Longer than a paused clock would wait.
            std::thread::sleep(Duration::from_millis(20));
            seen.lock().unwrap().push(report.clone());
            Err::<(), _>("no disk")
        }
    });
    let lifecycle = install(config);
    let scope = lifecycle.scope("stubborn");
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    drop(scope);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let [seen] = seen.try_into().unwrap();
    assert_eq!((seen.verdict, seen.took, &seen.phases), (Verdict::Cut, report.took, &report.phases));
    assert_eq!(seen.hook_failures, []);
    let failures: Vec<_> = report.hook_failures.iter().map(ToString::to_string).collect();
    assert_eq!(failures, ["before_termination failed: no disk"]);
    assert_eq!((report.verdict, report.failures), (Verdict::Cut, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn an_end_hook_that_never_returns_is_left_behind() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let lifecycle =
        install(Config::default().before_termination(move |_| _ = released.lock().unwrap().recv()));
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    let failures: Vec<_> = report.hook_failures.iter().map(ToString::to_string).collect();
    assert_eq!(failures, ["before_termination failed: did not return in time"]);
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn the_end_hook_runs_when_the_lifecycle_is_dropped() {
    let called = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let config = Config::default().before_termination({
        let called = Arc::clone(&called);
        move |_| _ = called.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
    });
    drop(install(config.clone()));
    assert_eq!(called.load(std::sync::atomic::Ordering::SeqCst), 1);
    let lifecycle = install(config);
    lifecycle.stop().request_stop("enough");
    drop(lifecycle.finished());
    assert_eq!(called.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn where_no_signals_are_handled_no_hook_can_be_added() {
    let lifecycle = install(Config::default());
    let error = lifecycle.on_signal(exeunt_lifecycle::Signal::INTERRUPT, |_, _| {}).unwrap_err();
    assert!(matches!(error, InstallError::NoSignals), "{error:?}");
}
