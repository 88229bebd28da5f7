//! The classes of work add up when real threads begin and end it. What came before the stop request nobody can say
//! exactly there, so that it is bounded (L13, L15).

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, Lifecycle, OnFailure, Phase, Pool, Report, Scope, Stop, Tasks};
use proptest::prelude::*;
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Long enough for everything to end, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Step {
    Track(How),
    Spawn(How),
    Push(How),
}

#[derive(Clone, Copy, Debug)]
enum How {
    Finish,
    /// Once the drain has begun.
    FinishLate,
    Fail,
    Panic,
    /// By whoever does it; a task or a job panics instead.
    Cut,
}

/// How many pieces of work went this way.
#[derive(Default)]
struct Count {
    all: AtomicU64,
}

/// What becomes of the work of one scope.
#[derive(Default)]
struct Counts {
    begun: Count,
    finished: Count,
    failed: Count,
    cut: Count,
    refused: Count,
}

/// By scope.
#[derive(Default)]
struct Seen {
    hand: Counts,
    group: Counts,
    pool: Counts,
}

impl Count {
    /// Called before it happens.
    fn add(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    fn all(&self) -> u64 {
        self.all.load(Ordering::SeqCst)
    }

    /// How many of them may have come after the stop request: any, since between its publication and the count of what
    /// was in flight a thread may take many steps. What came when is held to the number in paused time (`accounting`).
    fn late(&self) -> RangeInclusive<u64> {
        0..=self.all()
    }
}

impl Counts {
    /// The end of a task or a job.
    fn ends(&self, how: How, stop: &Stop) -> Result<(), String> {
        match how {
            How::Finish => {}
            How::FinishLate => _ = stop.wait_for(Phase::Draining, PATIENCE).unwrap(),
            How::Fail | How::Panic | How::Cut => {
                self.failed.add();
                return match how {
                    How::Fail => Err("as it was told".to_owned()),
                    // Past the panic hook, which would print hundreds.
                    _ => resume_unwind(Box::new("as it was told")),
                };
            }
        }
        self.finished.add();
        Ok(())
    }
}

/// Those who do what the steps say, each in a thread of its own.
struct Doer<'a> {
    stop: Stop,
    hand: &'a Scope,
    group: Tasks,
    pool: Pool<How>,
    seen: &'static Seen,
}

impl Doer<'_> {
    fn take(&self, step: Step) {
        match step {
            Step::Track(how) => self.track(how),
            Step::Spawn(how) => {
                let seen = &self.seen.group;
                seen.begun.add();
                self.group.spawn("task", move |stop| async move {
                    if matches!(how, How::FinishLate) {
                        stop.reached(Phase::Draining).await;
                    }
                    seen.ends(how, &stop)
                });
            }
            Step::Push(how) => {
                let seen = &self.seen.pool;
                seen.begun.add();
                if self.pool.try_push(how).is_err() {
                    seen.refused.add();
                }
            }
        }
    }

    fn track(&self, how: How) {
        let seen = &self.seen.hand;
        seen.begun.add();
        let work = self.hand.track("by hand", "piece");
        match how {
            How::Finish | How::FinishLate => {
                seen.finished.add();
                drop(work);
            }
            How::Fail | How::Panic => {
                seen.failed.add();
                work.fail("as it was told", OnFailure::GoOn);
            }
            How::Cut => {
                seen.cut.add();
                work.cut();
            }
        }
    }
}

fn run(steps: &[Vec<Step>], stop_at: usize, hand_back: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let lifecycle = Lifecycle::install(Config::default().grace(2 * PATIENCE).signals([])).unwrap();
    let seen: &'static Seen = Box::leak(Box::default());
    let hand = lifecycle.scope("hand");
    let pool = lifecycle.pool("pool").workers(2).queue(20);
    let pool = if hand_back { pool.hand_back() } else { pool.finish_queue() };
    let pool = pool.start(move |how, stop| seen.pool.ends(how, stop)).unwrap();
    let group = lifecycle.tasks("group");
    std::thread::scope(|scope| {
        for (number, steps) in steps.iter().enumerate() {
            let (group, pool) = (group.clone(), pool.clone());
            let doer = Doer { stop: lifecycle.stop(), hand: &hand, group, pool, seen };
            scope.spawn(move || {
                for (step, how) in steps.iter().enumerate() {
                    if (number, step) == (0, stop_at) {
                        doer.stop.request_stop("by a step");
                    }
                    doer.take(*how);
                }
            });
        }
    });
    // Before it is idle: of a scope that was before the stop, nobody asks.
    lifecycle.stop().request_stop("no steps are left");
    drop(hand);
    let report = lifecycle.close();
    let rest = pool.take_rest().len() as u64;
    check(&report, seen, rest);
}

fn check(report: &Report, seen: &Seen, rest: u64) {
    assert_eq!(report.scopes.len(), 3, "{report}");
    let mut failures = report.failures_left_out + report.failures.len() as u64;
    for scope in &report.scopes {
        let counts = match scope.name.as_str() {
            "hand" => &seen.hand,
            "group" => &seen.group,
            _ => &seen.pool,
        };
        let handed_back = scope.handed_back.len() as u64;
        let cut = scope.cut.len() as u64;
        let Counts { begun, finished, failed, refused, cut: by_hand } = counts;
        assert!(finished.late().contains(&scope.finished), "finished: {:?}, {report}", finished.late());
        assert!(failed.late().contains(&scope.failed), "failed: {:?}, {report}", failed.late());
        assert!(refused.late().contains(&scope.refused), "refused: {:?}, {report}", refused.late());
        assert_eq!((scope.left, cut), (0, by_hand.all()), "{report}");
        assert_eq!(scope.left_behind, [], "named, and not counted: {report}");
        assert_eq!(handed_back, if scope.name == "pool" { rest } else { 0 }, "{report}");
        let over = finished.all() + failed.all() + refused.all() + cut + handed_back;
        assert_eq!(over, begun.all(), "each piece ends once: {report}");
        let after = scope.finished + scope.failed + scope.refused + handed_back + cut;
        assert!(scope.in_flight_at_stop <= after, "in flight at the stop, and no end of it: {report}");
        failures -= failed.all();
    }
    assert_eq!(failures, 0, "each failure is in the report once: {report}");
}

fn step() -> impl Strategy<Value = Step> {
    let how = || {
        prop_oneof![
            6 => Just(How::Finish),
            2 => Just(How::FinishLate),
            1 => Just(How::Fail),
            1 => Just(How::Panic),
            1 => Just(How::Cut),
        ]
    };
    prop_oneof![how().prop_map(Step::Track), how().prop_map(Step::Spawn), how().prop_map(Step::Push)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn the_classes_add_up_whatever_threads_do(
        steps in prop::collection::vec(prop::collection::vec(step(), 1..300), 3),
        stop_at in 0_usize..300,
        hand_back: bool,
    ) {
        run(&steps, stop_at, hand_back);
    }
}
