//! A stop is told while it lasts: who holds it up, in order, in spans (L15).

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, CutWork, HeldUp, Lifecycle, Phase, Progress};
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn install() -> Lifecycle {
    Lifecycle::on_runtime(Config::default()).unwrap()
}

/// What was told, and when.
type Told = Arc<Mutex<Vec<(Duration, Progress)>>>;

fn follow(lifecycle: &Lifecycle) -> Told {
    let told = Told::default();
    let (begun, telling) = (Instant::now(), Arc::clone(&told));
    lifecycle.on_progress(move |progress| telling.lock().unwrap().push((begun.elapsed(), progress.clone())));
    told
}

fn notices(told: &Told) -> Vec<(Duration, HeldUp)> {
    let told = told.lock().unwrap();
    let notices = told.iter().filter_map(|(at, progress)| match progress {
        Progress::HeldUp(held_up) => Some((*at, held_up.clone())),
        _ => None,
    });
    notices.collect()
}

#[tokio::test(start_paused = true)]
async fn l15_who_holds_the_stop_up_is_told_after_5_s_and_then_each_10_s_by_name_age_and_site() {
    let lifecycle = install();
    let told = follow(&lifecycle);
    let line = line!() + 1;
    lifecycle.task("slow", async |_| pending::<()>().await);
    lifecycle.task("quick", async |_| sleep(8 * SECOND).await);
    let kept = lifecycle.scope("kept");
    sleep(2 * SECOND).await;
    lifecycle.stop().request_stop("enough");
    let report = lifecycle.finished().await;
    drop(kept);
    assert_eq!(report.exit_status(), 3);
    let notices = notices(&told);
    let times: Vec<_> = notices.iter().map(|(at, held_up)| (at.as_secs(), held_up.since.as_secs())).collect();
    assert_eq!(times, [(7, 5), (17, 15)]);
    let first = &notices[0].1;
    assert_eq!(first.phase, Phase::Draining);
    let holders: Vec<_> = first.scopes.iter().map(|scope| (scope.name.as_str(), scope.in_flight)).collect();
    assert_eq!(holders, [("slow", 1), ("quick", 1), ("kept", 0)]);
    let oldest = &first.scopes[0].oldest[0];
    assert_eq!((oldest.name.as_str(), oldest.kind, oldest.age), ("slow", "task", 7 * SECOND));
    assert_eq!(oldest.site.line(), line);
    let later: Vec<_> = notices[1].1.scopes.iter().map(|scope| scope.name.as_str()).collect();
    assert_eq!(later, ["slow", "kept"], "who is done holds nothing up");
    let text = first.to_string();
    let start = "held up for 5.0 s in draining by slow (1 in flight): task slow, for 7.0 s, from ";
    assert!(text.starts_with(start) && text.ends_with("; kept (0 in flight)"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_component_that_closes_slowly_is_named_too() {
    let lifecycle = Lifecycle::on_runtime(Config::default().grace(60 * SECOND)).unwrap();
    let told = follow(&lifecycle);
    lifecycle
        .component("database", async { Ok::<_, io::Error>(()) }, async |()| sleep(7 * SECOND).await)
        .await
        .unwrap();
    lifecycle.stop().request_stop("enough");
    assert_eq!(lifecycle.finished().await.exit_status(), 0);
    let notices = notices(&told);
    assert_eq!(notices[0].1.others, ["component database, closing for 5.0 s"]);
    let told = told.lock().unwrap();
    let over = told.iter().find_map(|(_, progress)| match progress {
        Progress::Component(component) => Some(component.to_string()),
        _ => None,
    });
    assert_eq!(over.unwrap(), "database: closed after 7.0 s");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_ten_pieces_of_work_are_named_in_a_notice() {
    let lifecycle = install();
    let told = follow(&lifecycle);
    let tasks = lifecycle.tasks("many");
    for number in 0..50 {
        tasks.spawn(format!("number {number}"), async |_| sleep(6 * SECOND).await);
        sleep(Duration::from_millis(1)).await;
    }
    lifecycle.stop().request_stop("enough");
    _ = lifecycle.finished().await;
    let held = &notices(&told)[0].1.scopes[0];
    let named: Vec<_> = held.oldest.iter().map(|work| work.name.clone()).collect();
    assert_eq!((held.in_flight, named), (50, (0..10).map(|number| format!("number {number}")).collect()));
}

#[tokio::test(start_paused = true)]
async fn everything_is_told_in_order_even_to_followers_who_act_and_panic() {
    let lifecycle = install();
    lifecycle.on_progress(|_| panic!("of a follower"));
    let told = follow(&lifecycle);
    // Acts in the middle of being told: what comes of it is told afterwards.
    let (stop, scope) = (lifecycle.stop(), Mutex::new(Some(lifecycle.scope("http"))));
    let work = Mutex::new(scope.lock().unwrap().as_ref().map(exeunt_lifecycle::Scope::begin));
    lifecycle.on_progress(move |progress| match progress {
        Progress::Phase(Phase::Running) => _ = stop.request_stop("by a follower"),
        Progress::Phase(Phase::Draining) => {
            let (name, kind) = ("GET /".to_owned(), "request");
            work.lock().unwrap().take().unwrap().cut(CutWork {
                name,
                kind,
                peer: None,
                age: SECOND,
                site: None,
            });
            drop(scope.lock().unwrap().take());
        }
        _ => {}
    });
    lifecycle.ready();
    let report = lifecycle.finished().await;
    assert_eq!(report.exit_status(), 3);
    let told: Vec<_> = told.lock().unwrap().iter().map(|(_, progress)| progress.to_string()).collect();
    let expected = [
        "running",
        "stop requested: by a follower",
        "lame duck",
        "draining",
        "http: cut: request GET /, after 1.0 s",
        "closing",
        "stopped",
        "stopped, exit status 3",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_follower_that_blocks_does_not_keep_the_report() {
    let lifecycle = Lifecycle::install(Config::default().signals([])).unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let here = std::thread::current().id();
    lifecycle.on_progress(move |_| {
        if std::thread::current().id() != here {
            _ = held.lock().unwrap().recv();
        }
    });
    let stop = lifecycle.stop();
    // Its thread is the one that is held up.
    let asker = std::thread::spawn(move || stop.request_stop("from another thread"));
    assert!(lifecycle.stop().wait_for(Phase::Stopped, 60 * SECOND).unwrap());
    assert_eq!(lifecycle.close().exit_status(), 0);
    drop(release);
    asker.join().unwrap();
}

#[test]
fn whoever_has_the_report_finds_that_everything_was_told() {
    for _ in 0..200 {
        let lifecycle = Lifecycle::install(Config::default().signals([])).unwrap();
        let last = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&last);
        lifecycle.on_progress(move |progress| *seen.lock().unwrap() = Some(progress.clone()));
        let stop = lifecycle.stop();
        let asker = std::thread::spawn(move || stop.request_stop("from another thread"));
        let report = lifecycle.close();
        assert_eq!(
            *last.lock().unwrap(),
            Some(Progress::Stopped { verdict: report.verdict, exit_status: report.exit_status() })
        );
        asker.join().unwrap();
    }
}
