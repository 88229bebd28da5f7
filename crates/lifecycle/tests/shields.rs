//! Shields against a real core: in paused time, and from many threads.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Break, Config, Lifecycle, Phase, Progress, Shield, ShieldOutcome, StopImminent};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn install() -> Lifecycle {
    Lifecycle::on_runtime(Config::default()).unwrap()
}

/// Asserts a time that a coarse clock had a part in.
#[track_caller]
fn about(begun: Instant, expected: Duration) {
    let took = begun.elapsed();
    assert!(took >= expected && took < expected + SECOND / 10, "{took:?}, and not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn l6_a_live_shield_holds_closing_and_every_cut_off_until_it_is_dropped() {
    let lifecycle = install();
    let (stop, scope, begun) = (lifecycle.stop(), lifecycle.scope("jobs"), Instant::now());
    let shield = stop.shield(80 * SECOND).unwrap();
    tokio::spawn(async move {
        sleep(40 * SECOND).await;
        assert!(!scope.is_cut());
        drop(shield);
        assert!(scope.is_cut(), "the drain deadline was over");
        sleep(SECOND).await;
        drop(scope);
    });
    stop.request_stop("enough");
    let drain = stop.drain_deadline().unwrap();
    assert!(drain >= (begun + 80 * SECOND).into_std());
    let report = lifecycle.finished().await;
    about(begun, 41 * SECOND);
    assert_eq!((report.exit_status(), report.shields.len()), (0, 0));
    let extended = report.extended.unwrap();
    assert!(extended >= 85 * SECOND && extended < 86 * SECOND, "{extended:?}");
}

#[tokio::test(start_paused = true)]
async fn l6_a_budget_that_runs_out_lets_the_stop_go_on_over_the_straggler() {
    let lifecycle = install();
    let (stop, begun) = (lifecycle.stop(), Instant::now());
    let mut shield = stop.shield(8 * SECOND).unwrap();
    let line = line!() - 1;
    sleep(2 * SECOND).await;
    stop.request_stop("enough");
    let report = lifecycle.finished().await;
    about(begun, 8 * SECOND);
    assert_eq!(shield.allow_break(), Err(Break::Expired));
    assert_eq!(shield.renew(SECOND), Err(Break::Expired));
    let [straggler] = &report.shields[..] else { panic!("{:?}", report.shields) };
    assert_eq!((straggler.site.unwrap().line(), straggler.outcome), (line, ShieldOutcome::Expired));
    assert!(straggler.site.unwrap().file().ends_with("shields.rs"));
    assert_eq!(report.exit_status(), 0);
}

#[tokio::test(start_paused = true)]
async fn l15_the_shield_that_held_the_stop_up_longest_is_in_the_report_by_name_age_and_site() {
    let lifecycle = install();
    let (stop, scope) = (lifecycle.stop(), lifecycle.scope("http"));
    let (work, short) = (scope.begin(), stop.shield(60 * SECOND).unwrap().named("short"));
    sleep(2 * SECOND).await;
    let (long, line) = (stop.shield(60 * SECOND).unwrap().named("long".to_owned()), line!());
    sleep(SECOND).await;
    stop.request_stop("enough");
    sleep(3 * SECOND).await;
    assert_eq!(short.allow_break(), Err(Break::Stop));
    sleep(4 * SECOND).await;
    let in_work = work.shield(60 * SECOND).unwrap();
    drop(long);
    sleep(5 * SECOND).await;
    drop((short, in_work, work, scope));
    let report = lifecycle.finished().await;
    let longest = report.longest_shield.clone().unwrap();
    let (age, held) = (longest.age.as_secs_f64().round(), longest.held.as_secs_f64().round());
    assert_eq!((longest.name.as_deref(), age, held), (Some("long"), 8.0, 7.0));
    assert_eq!((longest.site.unwrap().line(), longest.outcome), (line, ShieldOutcome::Ended));
    assert_eq!(report.shields, []);
    let told = format!("the shield \"long\" taken at {} held the stop up for 7.0 s", longest.site.unwrap());
    assert!(report.to_string().contains(&told), "{report}");
}

#[tokio::test(start_paused = true)]
async fn l15_shields_that_hold_the_stop_up_are_told_the_oldest_first() {
    let lifecycle = install();
    let (stop, scope, notices) =
        (lifecycle.stop(), lifecycle.scope("http"), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&notices);
    lifecycle.on_progress(move |progress| {
        if let Progress::HeldUp(held_up) = progress {
            noted.lock().unwrap().push(held_up.others.clone());
        }
    });
    let work = scope.begin();
    // More than there are slots for one thread, all of which have a name.
    let mut shields = Vec::new();
    for number in 0..60 {
        shields.push(stop.shield(60 * SECOND).unwrap().named(format!("transfer {number}")));
        sleep(SECOND / 10).await;
    }
    // In the place of the first, and the youngest of all.
    drop(shields.remove(0));
    shields.push(stop.shield(60 * SECOND).unwrap().named("transfer 60"));
    stop.request_stop("enough");
    let late = work.shield(60 * SECOND).unwrap();
    sleep(6 * SECOND).await;
    shields.drain(..59);
    let late = late.named("late");
    sleep(10 * SECOND).await;
    drop((shields, late, work, scope));
    let report = lifecycle.finished().await;
    let notices = notices.lock().unwrap();
    let [first, second] = &notices[..] else { panic!("{notices:?}") };
    let site = report.longest_shield.unwrap().site.unwrap();
    assert!(
        first[0].starts_with(&format!("the shield \"transfer 1\" taken at {}:", site.file())),
        "{first:?}"
    );
    assert!(first[0].ends_with(", for 10.9 s"), "{first:?}");
    assert!(first[9].contains("\"transfer 10\""), "{first:?}");
    assert_eq!((first.len(), first[10].as_str()), (11, "51 shields more"));
    assert_eq!(second.len(), 2);
    assert!(second[0].contains("\"transfer 60\"") && second[1].contains("\"late\""), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn l6_the_budget_counts_from_the_last_renewal() {
    let lifecycle = install();
    let (stop, begun) = (lifecycle.stop(), Instant::now());
    let shield = stop.shield(8 * SECOND).unwrap();
    sleep(20 * SECOND).await;
    assert_eq!(shield.allow_break(), Ok(()));
    sleep(SECOND).await;
    stop.request_stop("enough");
    lifecycle.finished().await;
    about(begun, 28 * SECOND);
    drop(shield);
}

#[tokio::test(start_paused = true)]
async fn l6_no_shield_passes_the_hard_limit() {
    let lifecycle = install();
    let (stop, begun) = (lifecycle.stop(), Instant::now());
    let mut shield = stop.shield(3_600 * SECOND).unwrap();
    stop.request_stop("enough");
    sleep(50 * SECOND).await;
    assert_eq!(shield.renew(3_600 * SECOND), Ok(()));
    lifecycle.finished().await;
    assert_eq!(begun.elapsed(), 90 * SECOND);
    assert_eq!(shield.allow_break(), Err(Break::Expired));
}

#[tokio::test(start_paused = true)]
async fn l7_with_a_stop_requested_the_safe_point_ends_the_shielded_work() {
    let lifecycle = install();
    let (stop, begun) = (lifecycle.stop(), Instant::now());
    let shield = stop.shield(Shield::DEFAULT_BUDGET).unwrap();
    assert_eq!(shield.allow_break(), Ok(()));
    stop.request_stop("enough");
    assert_eq!(stop.phase(), Phase::Draining);
    assert_eq!(shield.allow_break(), Err(Break::Stop));
    assert_eq!(stop.phase(), Phase::Stopped, "it holds nothing off any more");
    assert_eq!(shield.allow_break(), Err(Break::Stop));
    lifecycle.finished().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn l8_after_a_stop_request_shields_are_for_counted_work_alone() {
    let lifecycle = install();
    let (stop, scope, begun) = (lifecycle.stop(), lifecycle.scope("http"), Instant::now());
    let work = scope.begin();
    stop.request_stop("enough");
    assert_eq!(stop.shield(SECOND).unwrap_err(), StopImminent);
    let shield = work.shield(60 * SECOND).unwrap();
    sleep(19 * SECOND).await;
    assert_eq!(shield.allow_break(), Ok(()), "work that is drained has until the drain deadline");
    assert_eq!(stop.time_left(), Some(SECOND), "which it does not move");
    sleep(2 * SECOND).await;
    assert!(scope.is_cut());
    assert_eq!(shield.allow_break(), Err(Break::Expired));
    assert_eq!(work.shield(SECOND).unwrap_err(), StopImminent);
    drop((shield, work, scope));
    let report = lifecycle.finished().await;
    about(begun, 21 * SECOND);
    assert_eq!(report.extended, None);
}

#[tokio::test(start_paused = true)]
async fn who_watches_is_told_when_a_shields_time_is_over_and_the_shield_says_why() {
    let lifecycle = install();
    let (stop, scope, told) = (lifecycle.stop(), lifecycle.scope("jobs"), Arc::new(AtomicUsize::new(0)));
    let _busy = scope.begin();
    let count = Arc::clone(&told);
    let watch = stop.on_change(move || _ = count.fetch_add(1, Ordering::SeqCst));
    let (short, long) = (stop.shield(SECOND).unwrap(), stop.shield(60 * SECOND).unwrap());
    assert_eq!((short.outcome(), long.outcome()), (None, None));
    stop.request_stop("enough");
    assert_eq!((short.outcome(), long.outcome()), (None, None));
    let before = told.load(Ordering::SeqCst);
    sleep(2 * SECOND).await;
    assert_eq!((short.outcome(), long.outcome()), (Some(ShieldOutcome::Expired), None));
    assert!(told.load(Ordering::SeqCst) > before, "nothing said that it was over");
    assert_eq!(long.allow_break(), Err(Break::Stop));
    assert_eq!(long.outcome(), Some(ShieldOutcome::Ended));
    drop((watch, short, long, scope, _busy));
    lifecycle.finished().await;
}

#[tokio::test(start_paused = true)]
async fn any_number_of_shields_may_live_at_once() {
    let lifecycle = install();
    let stop = lifecycle.stop();
    // More than there are slots for one thread.
    let mut shields: Vec<_> = (0..100).map(|_| stop.shield(60 * SECOND).unwrap()).collect();
    shields.truncate(70);
    stop.request_stop("enough");
    while shields.len() > 1 {
        shields.pop();
        assert_eq!(stop.phase(), Phase::Draining, "{} live", shields.len());
    }
    drop(shields);
    assert_eq!(stop.phase(), Phase::Stopped);
    lifecycle.finished().await;
}

/// Threads take, renew and drop shields while the stop is requested: whoever was granted one is never closed over.
#[test]
fn l8_whoever_was_granted_a_shield_is_waited_for() {
    for _ in 0..50 {
        let lifecycle = Lifecycle::install(Config::default().signals([])).unwrap();
        let (live, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(5)));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (stop, live, gate) = (lifecycle.stop(), Arc::clone(&live), Arc::clone(&gate));
                std::thread::spawn(move || {
                    gate.wait();
                    let mut granted = 0_u64;
                    while let Ok(shield) = stop.shield(60 * SECOND) {
                        live.fetch_add(1, Ordering::SeqCst);
                        granted += 1;
                        assert!(stop.phase() < Phase::Closing, "closed over a live shield");
                        live.fetch_sub(1, Ordering::SeqCst);
                        drop(shield);
                    }
                    granted
                })
            })
            .collect();
        gate.wait();
        while live.load(Ordering::SeqCst) == 0 && workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::yield_now();
        }
        let report = lifecycle.close();
        let granted: u64 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
        assert!(granted > 0);
        assert_eq!((report.exit_status(), report.shields.len()), (0, 0));
    }
}
