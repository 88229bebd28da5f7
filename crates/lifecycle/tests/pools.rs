//! Worker pools: no job is lost in silence, and stopping needs no worker (L13).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, Lifecycle, Phase, Pool, PushError, Report, ScopeReport};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Long enough for threads to do what they are waited for, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn patient() -> Lifecycle {
    Lifecycle::install(Config::default().grace(2 * PATIENCE).signals([])).unwrap()
}

/// What never ends is over soon.
fn hasty() -> Lifecycle {
    Lifecycle::install(Config::default().grace(Duration::from_millis(60)).signals([])).unwrap()
}

fn only(report: &Report) -> &ScopeReport {
    let [scope] = report.scopes.as_slice() else { panic!("not one scope: {report}") };
    scope
}

/// A pool of one worker that is in its first job, number 0, until the sender is dropped.
struct Held {
    pool: Pool<u32>,
    done: Arc<Mutex<Vec<u32>>>,
    release: mpsc::Sender<()>,
}

fn held(lifecycle: &Lifecycle, hand_back: bool, queue: usize) -> Held {
    let done = Arc::new(Mutex::new(Vec::new()));
    let (release, held) = mpsc::channel::<()>();
    let (tell, begun) = mpsc::channel();
    let held = Mutex::new(held);
    let builder = lifecycle.pool("resize").workers(1).queue(queue).job_name(|job| format!("picture {job}"));
    let builder = if hand_back { builder.hand_back() } else { builder.finish_queue() };
    let worker_done = Arc::clone(&done);
    let pool = builder
        .start(move |job: u32, _stop| {
            if job == 0 {
                tell.send(()).unwrap();
                _ = held.lock().unwrap().recv();
            }
            worker_done.lock().unwrap().push(job);
        })
        .unwrap();
    pool.push(0).unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    Held { pool, done, release }
}

#[test]
fn l13_what_waits_is_finished_or_handed_back() {
    // Policy; what is done; what is handed back.
    let cases: [(bool, &[u32], &[u32]); 2] = [(false, &[0, 1, 2, 3], &[]), (true, &[0], &[1, 2, 3])];
    for (hand_back, done, rest) in cases {
        let lifecycle = patient();
        let held = held(&lifecycle, hand_back, 10);
        let line = line!() + 2;
        for job in 1..=3 {
            held.pool.push(job).unwrap();
        }
        assert_eq!((held.pool.waiting(), held.pool.in_flight(), held.pool.take_rest()), (3, 4, vec![]));
        lifecycle.stop().request_stop("enough");
        // The only worker is busy still: none of this needs it.
        assert_eq!(held.pool.take_rest(), rest);
        assert!(matches!(held.pool.push(9), Err(PushError::Draining(9))));
        assert!(matches!(held.pool.try_push(9), Err(PushError::Draining(9))));
        drop(held.release);
        let report = lifecycle.close();
        assert_eq!(*held.done.lock().unwrap(), done);
        let scope = only(&report);
        assert_eq!((report.exit_status(), scope.in_flight_at_stop, scope.refused), (0, 4, 2));
        assert_eq!((scope.finished as usize, scope.left, scope.cut.len()), (done.len(), 0, 0));
        let named: Vec<_> = scope.handed_back.iter().map(|job| (job.name.clone(), job.site.line())).collect();
        let expected: Vec<_> = rest.iter().map(|job| (format!("picture {job}"), line)).collect();
        assert_eq!(named, expected);
        assert!(held.pool.take_rest().is_empty(), "taken once");
    }
}

#[test]
fn l13_a_pool_whose_every_worker_is_busy_for_ever_stops_at_the_deadline() {
    for hand_back in [false, true] {
        let lifecycle = hasty();
        let held = held(&lifecycle, hand_back, 10);
        for job in 1..=2 {
            held.pool.push(job).unwrap();
        }
        let report = lifecycle.close();
        let scope = only(&report);
        assert_eq!((report.exit_status(), scope.left), (3, 1), "{report}");
        let [busy] = scope.left_behind.as_slice() else { panic!("{report}") };
        assert_eq!((busy.name.as_str(), busy.kind), ("picture 0", "job"));
        let cut: Vec<_> = scope.cut.iter().map(|job| (job.name.as_str(), job.kind)).collect();
        let queued: &[_] = &[("picture 1", "queued job"), ("picture 2", "queued job")];
        let (expected, handed_back) = if hand_back { (&[][..], 2) } else { (queued, 0) };
        assert_eq!((cut.as_slice(), scope.handed_back.len()), (expected, handed_back), "{report}");
        assert_eq!(held.pool.take_rest(), [1, 2], "what was not begun is not lost either way");
        drop(held.release);
    }
}

#[test]
fn a_push_that_waits_for_room_is_given_its_job_back_when_the_drain_begins() {
    let lifecycle = patient();
    let held = held(&lifecycle, false, 1);
    held.pool.push(1).unwrap();
    assert!(matches!(held.pool.try_push(2), Err(PushError::Full(2))));
    let pool = held.pool.clone();
    let pusher = std::thread::spawn(move || pool.push(3));
    while held.pool.in_flight() < 3 {
        std::thread::yield_now();
    }
    lifecycle.stop().request_stop("enough");
    let refused = pusher.join().unwrap().unwrap_err();
    assert!(matches!(refused, PushError::Draining(_)), "{refused:?}");
    assert_eq!(refused.into_job(), 3);
    drop(held.release);
    let report = lifecycle.close();
    let scope = only(&report);
    assert_eq!(
        (scope.in_flight_at_stop, scope.finished, scope.refused, scope.left),
        (3, 2, 1, 0),
        "{report}"
    );
    assert_eq!(*held.done.lock().unwrap(), [0, 1]);
}

#[test]
fn a_push_waits_for_room() {
    let lifecycle = patient();
    let held = held(&lifecycle, false, 1);
    held.pool.push(1).unwrap();
    let pool = held.pool.clone();
    let pusher = std::thread::spawn(move || pool.push(2));
    while held.pool.in_flight() < 3 {
        std::thread::yield_now();
    }
    drop(held.release);
    pusher.join().unwrap().unwrap();
    lifecycle.stop().request_stop("enough");
    assert_eq!(lifecycle.close().exit_status(), 0);
    assert_eq!(*held.done.lock().unwrap(), [0, 1, 2]);
}

#[test]
fn a_job_that_fails_is_reported_and_its_worker_goes_on() {
    let lifecycle = patient();
    let (tell, done) = mpsc::channel();
    let pool = lifecycle.pool("resize").workers(1).start(move |job: u32, _| {
        tell.send((job, std::thread::current().id())).unwrap();
        match job {
            0 => panic!("boom"),
            1 => Err("no such picture"),
            _ => Ok(()),
        }
    });
    let pool = pool.unwrap();
    for job in 0..3 {
        pool.push(job).unwrap();
    }
    let threads: BTreeSet<_> = (0..3)
        .map(|job| {
            let (done, thread) = done.recv_timeout(PATIENCE).unwrap();
            assert_eq!(done, job);
            format!("{thread:?}")
        })
        .collect();
    assert_eq!(threads.len(), 1);
    assert!(!lifecycle.stop().is_requested());
    let report = lifecycle.close();
    let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
    let expected = ["resize: resize #1 failed: panicked: boom", "resize: resize #2 failed: no such picture"];
    assert_eq!((report.exit_status(), failures), (1, expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_pool_whose_last_handle_is_dropped_finishes_its_queue_and_leaves() {
    for hand_back in [false, true] {
        let lifecycle = patient();
        let Held { pool, done, release } = held(&lifecycle, hand_back, 10);
        pool.push(1).unwrap();
        drop(pool);
        lifecycle.stop().request_stop("enough");
        drop(release);
        assert_eq!(lifecycle.close().exit_status(), 0);
        assert_eq!(*done.lock().unwrap(), [0, 1], "nobody was left to hand anything back to");
    }
}

#[test]
fn a_pool_that_is_made_after_the_stop_accepts_nothing() {
    let lifecycle = patient();
    let scope = lifecycle.scope("holds Draining open");
    lifecycle.stop().request_stop("enough");
    let pool = lifecycle.pool("late").start(|_: u32, _| ()).unwrap();
    assert!(matches!(pool.push(1), Err(PushError::Draining(1))));
    drop(scope);
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn workers_have_the_pools_name_without_what_a_thread_cannot_have() {
    let lifecycle = patient();
    let (tell, name) = mpsc::channel();
    let pool = lifecycle.pool("re\0size").workers(1).start(move |(), _| {
        tell.send(std::thread::current().name().map(str::to_owned)).unwrap();
    });
    pool.unwrap().push(()).unwrap();
    assert_eq!(name.recv_timeout(PATIENCE).unwrap().as_deref(), Some("resize 1"));
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn a_job_that_is_not_taken_comes_with_the_reason() {
    let reasons =
        [PushError::Full(1), PushError::Draining(1), PushError::Forked(1)].map(|error| error.to_string());
    let expected = ["queue is full", "is stopping", "was forked"];
    assert!(reasons.iter().zip(expected).all(|(reason, part)| reason.contains(part)), "{reasons:?}");
}

#[test]
fn every_job_is_done_refused_or_handed_back_and_only_once() {
    for round in 0..60 {
        let lifecycle = patient();
        let builder = lifecycle.pool("resize").workers(3).queue(4);
        let builder = if round % 2 == 0 { builder.hand_back() } else { builder };
        let (done, after) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
        let worker_done = Arc::clone(&done);
        let pool = builder.start(move |job: u32, _| worker_done.lock().unwrap().push(job)).unwrap();
        let pushers: Vec<_> = (0..3)
            .map(|pusher| {
                let (pool, after) = (pool.clone(), Arc::clone(&after));
                std::thread::spawn(move || {
                    let mut refused = Vec::new();
                    for job in (pusher * 1_000..).take(1_000) {
                        match if job % 2 == 0 { pool.push(job) } else { pool.try_push(job) } {
                            Ok(()) => {}
                            Err(error) => {
                                after.fetch_add(
                                    u32::from(matches!(error, PushError::Draining(_))),
                                    Ordering::SeqCst,
                                );
                                refused.push(error.into_job());
                            }
                        }
                    }
                    refused
                })
            })
            .collect();
        while done.lock().unwrap().len() < 100 {
            std::thread::yield_now();
        }
        lifecycle.stop().request_stop("enough");
        let refused: Vec<_> = pushers.into_iter().flat_map(|pusher| pusher.join().unwrap()).collect();
        let stop = lifecycle.stop();
        assert!(stop.wait_for(Phase::Stopped, PATIENCE).unwrap());
        let report = lifecycle.close();
        let rest = pool.take_rest();
        let mut all: Vec<_> = done.lock().unwrap().iter().chain(&refused).chain(&rest).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..3_000).collect::<Vec<_>>(), "each job once");
        assert_eq!(report.exit_status(), 0, "{report}");
        let scope = only(&report);
        assert_eq!((scope.handed_back.len(), scope.left), (rest.len(), 0), "{report}");
    }
}

#[cfg(feature = "tokio")]
mod tasks {
    use super::{Config, Lifecycle, PATIENCE, PushError, only, patient};
    use exeunt_lifecycle::Stop;
    use futures_util::FutureExt as _;
    use std::future::pending;
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn l13_workers_that_are_tasks_finish_the_queue() {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let begun = Instant::now();
        let pool =
            lifecycle.pool("mail").workers(2).queue(10).start_async(|seconds: u32, _stop| async move {
                sleep(seconds * SECOND).await;
                if seconds == 3 { Err("no route") } else { Ok(()) }
            });
        let pool = pool.unwrap();
        for seconds in [1, 2, 3, 4] {
            pool.push_async(seconds).await.unwrap();
        }
        lifecycle.stop().request_stop("enough");
        assert!(matches!(pool.push_async(9).await, Err(PushError::Draining(9))));
        let report = lifecycle.finished().await;
        assert_eq!((begun.elapsed(), report.exit_status()), (6 * SECOND, 1));
        let scope = only(&report);
        assert_eq!((scope.finished, scope.failed, scope.refused, scope.left), (3, 1, 1, 0), "{report}");
    }

    #[tokio::test(start_paused = true)]
    async fn l13_workers_that_are_tasks_are_aborted_at_the_deadline_and_what_waits_is_kept() {
        for (hand_back, cut, handed_back) in [(false, 3, 0), (true, 1, 2)] {
            let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
            let builder = lifecycle.pool("mail").workers(1).queue(10);
            let builder = if hand_back { builder.hand_back() } else { builder };
            let pool = builder.start_async(|_: u32, _| pending::<()>()).unwrap();
            for job in 0..3 {
                pool.push_async(job).await.unwrap();
            }
            sleep(SECOND).await;
            assert_eq!(pool.waiting(), 2);
            lifecycle.stop().request_stop("enough");
            let report = lifecycle.finished().await;
            let scope = only(&report);
            assert_eq!((scope.cut.len(), scope.handed_back.len(), scope.left), (cut, handed_back, 0));
            assert_eq!((report.took, report.exit_status()), (20 * SECOND, 3));
            assert_eq!(pool.take_rest(), [1, 2]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_async_push_waits_for_room_and_is_given_its_job_back() {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let pool =
            lifecycle.pool("mail").workers(1).queue(1).start_async(|_: u32, _| sleep(PATIENCE)).unwrap();
        pool.push_async(0).await.unwrap();
        tokio::task::yield_now().await;
        pool.push_async(1).await.unwrap();
        assert!(matches!(pool.try_push(2), Err(PushError::Full(2))));
        let waited = tokio::time::timeout(SECOND, pool.push_async(2)).await;
        assert!(waited.is_err(), "there was no room");
        assert_eq!(pool.in_flight(), 2, "a push that is given up was none");
        let pusher = tokio::spawn({
            let pool = pool.clone();
            async move { pool.push_async(3).await.map_err(PushError::into_job) }
        });
        tokio::task::yield_now().await;
        lifecycle.stop().request_stop("enough");
        assert_eq!(pusher.await.unwrap(), Err(3));
        let report = lifecycle.finished().await;
        assert_eq!((only(&report).refused, only(&report).cut.len()), (1, 2), "{report}");
    }

    #[test]
    fn l13_jobs_whose_workers_are_gone_with_their_runtime_are_cut_by_name() {
        let lifecycle = patient();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pool = runtime
            .block_on(async { lifecycle.pool("mail").workers(1).start_async(async |_: u32, _| ()) })
            .unwrap();
        for job in 1..=2 {
            pool.push(job).unwrap();
        }
        drop(pool);
        drop(runtime);
        let report = lifecycle.close();
        let cut: Vec<_> = only(&report).cut.iter().map(|job| (job.name.as_str(), job.kind)).collect();
        assert_eq!(cut, [("mail #1", "queued job"), ("mail #2", "queued job")]);
        assert_eq!(report.exit_status(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_waits_for_room_and_is_withdrawn_never_was() {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let pool = lifecycle.pool("mail").workers(1).queue(1);
        let pool = pool.start_async(async |_: u32, stop: Stop| stop.requested().await).unwrap();
        pool.push_async(0).await.unwrap();
        tokio::task::yield_now().await; // begun
        pool.push_async(1).await.unwrap();
        let mut withdrawn = Box::pin(pool.push_async(2));
        assert!((&mut withdrawn).now_or_never().is_none());
        assert_eq!(pool.in_flight(), 3);
        drop(withdrawn);
        assert_eq!(pool.in_flight(), 2);
        // One that has got its room stays, though nobody looks after it any more.
        let mut waits = Box::pin(pool.push_async(3));
        assert!((&mut waits).now_or_never().is_none());
        lifecycle.stop().request_stop("enough");
        assert!(waits.await.is_err(), "the drain has begun");
        let report = lifecycle.finished().await;
        let scope = only(&report);
        assert_eq!((scope.finished, scope.refused, scope.cut.len()), (2, 1, 0), "{report}");
    }
}
