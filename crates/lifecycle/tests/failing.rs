//! Work that fails is in the report, whatever its error, what it panicked with or whoever is told of it does (L12,
//! L15).

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, Lifecycle, OnFailure, Report};
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::{Once, mpsc};
use std::time::Duration;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata};

/// Long enough for threads to do what they are waited for, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Panics over every error that it is told of, as one does whose stderr is gone.
struct Brittle;

impl tracing::Subscriber for Brittle {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        quietly();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Panics past the panic hook, which would print.
fn quietly() -> ! {
    resume_unwind(Box::new("it broke"))
}

#[derive(Debug)]
struct Mute;

impl fmt::Display for Mute {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        quietly()
    }
}

impl Error for Mute {}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        quietly();
    }
}

struct Undecided;

impl From<Undecided> for Box<dyn Error + Send + Sync> {
    fn from(_: Undecided) -> Self {
        quietly()
    }
}

fn lifecycle() -> Lifecycle {
    static BRITTLE: Once = Once::new();
    BRITTLE.call_once(|| tracing::subscriber::set_global_default(Brittle).unwrap());
    Lifecycle::install(Config::default().grace(2 * PATIENCE).signals([])).unwrap()
}

fn errors(report: &Report) -> Vec<&str> {
    report.failures.iter().map(|failure| failure.error.as_str()).collect()
}

#[test]
fn l12_whatever_fails_stops_the_program_that_needs_it() {
    let fails = |body: fn() -> Result<(), Mute>| {
        let lifecycle = lifecycle();
        lifecycle.thread("poller", move |_| body());
        lifecycle.wait()
    };
    let reports = [
        (fails(|| quietly()), "panicked: it broke"),
        (fails(|| resume_unwind(Box::new(Bomb))), "panicked"),
        (fails(|| Err(Mute)), "an error that cannot be told, since it panicked: it broke"),
    ];
    for (report, error) in reports {
        assert_eq!((errors(&report), report.exit_status()), (vec![error], 1), "{report}");
    }
    let lifecycle = lifecycle();
    lifecycle.thread("poller", |_| Err::<(), _>(Undecided));
    assert_eq!(errors(&lifecycle.wait()), ["panicked: it broke"]);
}

#[test]
fn l13_a_worker_survives_whatever_its_jobs_leave_behind() {
    let lifecycle = lifecycle();
    let (say, hear) = mpsc::channel();
    let pool = lifecycle.pool("resize").workers(1).queue(10);
    let pool = pool
        .start(move |job: u32, _stop| match job {
            0 => resume_unwind(Box::new(Bomb)),
            1 => Err(Mute),
            _ => {
                say.send(job).unwrap();
                Ok(())
            }
        })
        .unwrap();
    for job in 0..=2 {
        pool.push(job).unwrap();
    }
    assert_eq!(hear.recv_timeout(PATIENCE), Ok(2));
    let report = lifecycle.close();
    assert_eq!((report.failures.len(), report.exit_status()), (2, 1), "{report}");
}

#[test]
fn l13_a_worker_that_is_a_task_survives_too() {
    let lifecycle = lifecycle();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (say, hear) = mpsc::channel();
    // Broken when it is begun, when it goes on, and when it is dropped.
    let work = move |job: u32, _stop| {
        if job == 0 {
            quietly();
        }
        let (say, bomb) = (say.clone(), (job == 2).then(|| Bomb));
        async move {
            if job == 1 {
                resume_unwind(Box::new(Bomb));
            }
            say.send(job).unwrap();
            drop(bomb);
        }
    };
    let report = runtime.block_on(async {
        let pool = lifecycle.pool("resize").workers(1).queue(10).start_async(work).unwrap();
        for job in 0..=3 {
            pool.push_async(job).await.unwrap();
        }
        lifecycle.stop().request_stop("enough");
        lifecycle.finished().await
    });
    assert_eq!((errors(&report).len(), report.exit_status()), (3, 1), "{report}");
    assert_eq!(hear.try_iter().collect::<Vec<_>>(), [2, 3], "{report}");
}

#[test]
fn l12_a_destructor_that_panics_fails_its_own_task_and_no_other() {
    let lifecycle = lifecycle();
    let tasks = lifecycle.tasks("mail").on_failure(OnFailure::GoOn);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let bomb = Bomb;
            tasks.spawn("broken", async move |_| {
                let _bomb = bomb;
                std::future::pending::<()>().await;
            });
            tasks.spawn("whole", async |_| std::future::pending::<()>().await);
            tokio::task::yield_now().await;
        });
        // While it is unwinding, the runtime drops both.
        let _runtime = runtime;
        panic_any("no fault of theirs");
    }));
    assert!(unwound.is_err());
    let report = lifecycle.close();
    assert_eq!(errors(&report), ["panicked: it broke (while it was dropped)"]);
    let cut: Vec<_> = report.scopes[0].cut.iter().map(|work| work.name.as_str()).collect();
    assert_eq!((cut, report.exit_status()), (vec!["whole"], 1), "{report}");
}
