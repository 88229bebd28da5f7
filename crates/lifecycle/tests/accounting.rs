//! Each piece of work is in one class, and the classes add up, in whatever order things happen (L13, L15).

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{
    Config, CutWork, Lifecycle, OnFailure, Phase, Pool, Report, Scope, ScopeReport, Stop, Tasks, Tracked,
    Work,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Track,
    Spawn,
    Push,
    /// Ends one of those that were not told to end; a job perhaps before it has begun.
    End(prop::sample::Index, How),
    /// For so many ms, on the clock that the deadlines are on.
    Wait(u64),
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Finish,
    Fail,
    Panic,
    Cut,
}

/// What the test itself has seen of one piece of work.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The name of its scope.
    place: &'static str,
    fate: Fate,
    /// That is, before the stop request.
    begun_before: bool,
    ended_before: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    InFlight,
    Finished,
    Failed,
    /// It was dropped before it had ended: cut.
    Dropped,
    HandedBack,
    Refused,
}

/// All pieces of work; their places are their names.
#[derive(Clone)]
struct Log {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Stop,
}

/// Goes with a piece of work, and writes down what becomes of it.
struct Witness {
    log: Log,
    id: usize,
    fate: Fate,
}

/// A task or a job, which ends when and as it is told.
struct Order {
    witness: Witness,
    told: oneshot::Receiver<How>,
}

/// What a piece of work can be ended by.
enum Held {
    Plain(Work, Witness),
    Named(Tracked, Witness),
    Told(oneshot::Sender<How>),
}

impl Log {
    fn begins(&self, place: &'static str) -> Witness {
        let mut seen = self.seen.lock().unwrap();
        let before = !self.stop.is_requested();
        seen.push(Seen { place, fate: Fate::InFlight, begun_before: before, ended_before: false });
        Witness { log: self.clone(), id: seen.len() - 1, fate: Fate::Dropped }
    }
}

impl Witness {
    fn ends(mut self, fate: Fate) {
        self.fate = fate;
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let ended_before = !self.log.stop.is_requested();
        let seen = &mut self.log.seen.lock().unwrap()[self.id];
        (seen.fate, seen.ended_before) = (self.fate, ended_before);
    }
}

impl Order {
    async fn done(self) -> Result<(), String> {
        let Self { witness, told } = self;
        let Ok(how) = told.await else { return std::future::pending().await };
        witness.ends(if how == How::Finish { Fate::Finished } else { Fate::Failed });
        match how {
            How::Finish => Ok(()),
            How::Fail => Err("as it was told".to_owned()),
            // Past the panic hook, which would print hundreds.
            How::Panic | How::Cut => resume_unwind(Box::new("as it was told")),
        }
    }
}

/// One history, and all that takes part in it.
struct Run {
    lifecycle: Lifecycle,
    log: Log,
    hand: Scope,
    group: Tasks,
    pool: Pool<Order>,
    ours: Vec<Held>,
}

impl Run {
    fn new(hand_back: bool) -> Self {
        let config = Config::default().grace(Duration::from_secs(10)).lame_duck(Duration::from_secs(1));
        let lifecycle = Lifecycle::on_runtime(config).unwrap();
        let pool = lifecycle.pool("pool").workers(3).queue(6);
        let pool = pool.job_name(|order: &Order| order.witness.id.to_string());
        let pool = if hand_back { pool.hand_back() } else { pool.finish_queue() };
        lifecycle.ready();
        Self {
            log: Log { seen: Arc::default(), stop: lifecycle.stop() },
            hand: lifecycle.scope("hand"),
            group: lifecycle.tasks("group"),
            pool: pool.start_async(|order: Order, _stop| order.done()).unwrap(),
            lifecycle,
            ours: Vec::new(),
        }
    }

    async fn take(&mut self, step: Step) {
        if self.is_over() {
            return;
        }
        match step {
            Step::Begin => {
                let work = self.hand.begin();
                self.ours.push(Held::Plain(work, self.log.begins("hand")));
            }
            Step::Track => {
                let witness = self.log.begins("hand");
                self.ours.push(Held::Named(self.hand.track("by hand", witness.id.to_string()), witness));
            }
            Step::Spawn => {
                let order = self.order("group");
                self.group.spawn(order.witness.id.to_string(), move |_stop| order.done());
            }
            Step::Push => {
                let order = self.order("pool");
                if let Err(refused) = self.pool.try_push(order) {
                    refused.into_job().witness.ends(Fate::Refused);
                }
            }
            Step::End(which, how) if !self.ours.is_empty() => {
                let index = which.index(self.ours.len());
                self.ours.swap_remove(index).end(how);
            }
            Step::End(..) => {}
            Step::Wait(time) => tokio::time::sleep(Duration::from_millis(time)).await,
            Step::Stop => _ = self.lifecycle.stop().request_stop("by a step"),
        }
    }

    fn is_over(&self) -> bool {
        self.lifecycle.stop().phase() == Phase::Stopped
    }

    fn order(&mut self, place: &'static str) -> Order {
        let (tell, told) = oneshot::channel();
        self.ours.push(Held::Told(tell));
        Order { witness: self.log.begins(place), told }
    }

    /// The end; what is in our hands stays there if we `leave` it.
    async fn over(mut self, leave: bool, hand_back: bool) {
        self.lifecycle.stop().request_stop("no steps are left");
        // What ends after the end was left behind.
        if !leave && !self.is_over() {
            self.ours.drain(..).for_each(|held| held.end(How::Finish));
        }
        drop(self.hand);
        let report = self.lifecycle.finished().await;
        let fate = if hand_back { Fate::HandedBack } else { Fate::Dropped };
        self.pool.take_rest().into_iter().for_each(|order| order.witness.ends(fate));
        let seen = self.log.seen.lock().unwrap().clone();
        check(&seen, &report);
    }
}

impl Held {
    fn end(self, how: How) {
        match (self, how) {
            (Self::Told(tell), how) => _ = tell.send(how),
            (Self::Plain(work, witness), How::Finish) => {
                drop(work);
                witness.ends(Fate::Finished);
            }
            (Self::Plain(work, witness), _) => {
                let name = witness.id.to_string();
                work.cut(CutWork { name, kind: "by hand", peer: None, age: Duration::ZERO, site: None });
            }
            (Self::Named(work, witness), How::Finish) => {
                drop(work);
                witness.ends(Fate::Finished);
            }
            (Self::Named(work, _), How::Cut) => work.cut(),
            (Self::Named(work, witness), How::Fail | How::Panic) => {
                work.fail("as it was told", OnFailure::GoOn);
                witness.ends(Fate::Failed);
            }
        }
    }
}

/// What the report says against what was seen.
fn check(seen: &[Seen], report: &Report) {
    let mut failed = BTreeSet::new();
    for scope in &report.scopes {
        let pieces: Vec<_> = seen.iter().enumerate().filter(|(_, seen)| seen.place == scope.name).collect();
        let count = |is: &dyn Fn(&Seen) -> bool| pieces.iter().filter(|(_, seen)| is(seen)).count() as u64;
        let after = |fate| count(&|seen| seen.fate == fate && !seen.ended_before);
        let named = |fate| -> Vec<String> {
            pieces.iter().filter(|(_, seen)| seen.fate == fate).map(|(id, _)| id.to_string()).collect()
        };
        let sorted = |names: Vec<&String>| {
            let mut names: Vec<_> = names.into_iter().cloned().collect();
            names.sort_by_key(|name| name.parse::<usize>().unwrap());
            names
        };
        let at_stop = count(&|seen| seen.begun_before && !seen.ended_before);
        assert_eq!(scope.in_flight_at_stop, at_stop, "in flight at the stop: {report}");
        assert_eq!(scope.finished, after(Fate::Finished), "finished: {report}");
        assert_eq!(scope.failed, after(Fate::Failed), "failed: {report}");
        assert_eq!(scope.refused, after(Fate::Refused), "refused: {report}");
        assert_eq!(scope.left, after(Fate::InFlight), "left: {report}");
        assert!(scope.name == "hand" || scope.left == 0, "tasks are aborted: {report}");
        // Work that was only begun has no name.
        assert!(scope.left_behind.len() as u64 <= scope.left, "{report}");
        let cut = scope.cut.iter().map(|work| &work.name).collect();
        assert_eq!(sorted(cut), named(Fate::Dropped), "cut: {report}");
        let handed_back = scope.handed_back.iter().map(|work| &work.name).collect();
        assert_eq!(sorted(handed_back), named(Fate::HandedBack), "handed back: {report}");
        failed.extend(named(Fate::Failed).into_iter().map(|id| format!("{}: {id}", scope.name)));
    }
    assert_eq!(report.scopes.len(), 3, "{report}");
    assert_eq!(report.failures.iter().map(|failure| failure.name.clone()).collect::<BTreeSet<_>>(), failed);
    assert_eq!(report.failures.len(), failed.len(), "each fails once: {report}");
    // A scope that is held to the end may have got work at any time.
    let troubled = |scope: &ScopeReport| !scope.cut.is_empty() || scope.left > 0 || scope.held.is_none();
    let trouble = report.scopes.iter().any(troubled);
    let status = if !failed.is_empty() {
        1
    } else if trouble {
        3
    } else {
        0
    };
    assert_eq!(report.exit_status(), status, "{report}");
}

fn step() -> impl Strategy<Value = Step> {
    let how =
        prop_oneof![3 => Just(How::Finish), 1 => Just(How::Fail), 1 => Just(How::Panic), 1 => Just(How::Cut)];
    prop_oneof![
        20 => Just(Step::Begin),
        20 => Just(Step::Track),
        30 => Just(Step::Spawn),
        30 => Just(Step::Push),
        60 => (any::<prop::sample::Index>(), how).prop_map(|(which, how)| Step::End(which, how)),
        30 => (0_u64..200).prop_map(Step::Wait),
        2 => (0_u64..9_000).prop_map(Step::Wait),
        1 => Just(Step::Stop),
    ]
}

proptest! {
    #[test]
    fn each_piece_of_work_is_in_one_class_and_the_classes_add_up(
        steps in prop::collection::vec(step(), 0..400),
        hand_back: bool,
        leave: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let mut run = Run::new(hand_back);
            for step in steps {
                run.take(step).await;
            }
            run.over(leave, hand_back).await;
        });
    }
}
