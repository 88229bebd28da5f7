//! Work that a stop makes end by an error has not failed, even through an error type of the program's own (L3, L12).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Break, Config, Forked, Lifecycle, Outcome, Phase, Shield, Stop, StopImminent};
use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

/// Long enough for threads to do what they are waited for, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

type Boxed = Box<dyn Error + Send + Sync>;

/// A program's own.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the export has stopped half-way")]
    Stopped(#[from] Break),
    #[error(transparent)]
    Refused(#[from] StopImminent),
    #[error("the disk is full")]
    Full,
}

fn lifecycle() -> Lifecycle {
    Lifecycle::install(Config::default().grace(2 * PATIENCE).signals([])).unwrap()
}

fn rounds(stop: &Stop, begun: &mpsc::Sender<()>) -> Result<(), ExportError> {
    let shield = stop.shield(Shield::DEFAULT_BUDGET)?;
    begun.send(()).unwrap();
    loop {
        shield.allow_break()?;
        std::thread::yield_now();
    }
}

/// Runs it in a thread of its own until the stop, and answers the exit status.
fn status<R: Outcome>(body: impl FnOnce(Stop, mpsc::Sender<()>) -> R + Send + 'static) -> u8 {
    let lifecycle = lifecycle();
    let (begin, begun) = mpsc::channel();
    lifecycle.thread("export", move |stop| body(stop, begin));
    begun.recv_timeout(PATIENCE).unwrap();
    let report = lifecycle.close();
    assert_eq!(report.failures.is_empty(), report.exit_status() == 0, "{report}");
    assert_eq!(report.scopes[0].finished, u64::from(report.exit_status() == 0), "{report}");
    report.exit_status()
}

#[test]
fn l12_an_error_that_a_stop_made_is_no_failure() {
    let bare = status(|stop, begin| -> Result<(), Boxed> {
        let shield = stop.shield(Shield::DEFAULT_BUDGET)?;
        begin.send(())?;
        while stop.sleep(Duration::from_millis(1)) {}
        shield.allow_break()?;
        Ok(())
    });
    let own = status(|stop, begin| rounds(&stop, &begin));
    let boxed = status(|stop, begin| -> Result<(), Boxed> { Ok(rounds(&stop, &begin)?) });
    let refused = status(|stop, begin| -> Result<(), ExportError> {
        begin.send(()).unwrap();
        stop.wait().unwrap();
        _ = stop.shield(Shield::DEFAULT_BUDGET)?;
        Ok(())
    });
    assert_eq!([bare, own, boxed, refused], [0; 4]);
}

#[test]
fn l12_other_errors_of_work_that_ends_in_a_stop_are_failures() {
    let full = status(|stop, begin| {
        begin.send(()).unwrap();
        stop.wait().map_err(|Forked| ExportError::Full).and(Err::<(), _>(ExportError::Full))
    });
    let expired = status(|stop, begin| {
        begin.send(()).unwrap();
        stop.wait().unwrap();
        Err::<(), _>(ExportError::Stopped(Break::Expired))
    });
    assert_eq!([full, expired], [1; 2]);
}

#[test]
fn l12_without_a_stop_of_its_own_lifecycle_it_is_a_failure() {
    let lifecycle = lifecycle();
    lifecycle.thread("export", |_| Err::<(), _>(ExportError::Stopped(Break::Stop)));
    assert!(lifecycle.stop().wait_for(Phase::Stopped, PATIENCE).unwrap());
    let report = lifecycle.close();
    let cause = report.cause.unwrap().to_string();
    assert_eq!(cause, "export failed: the export has stopped half-way: the program is stopping");
}

#[cfg(feature = "tokio")]
#[test]
fn l12_so_for_tasks_blocking_jobs_and_jobs_of_pools() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let report = runtime.block_on(async {
        let lifecycle = lifecycle();
        let (begin, begun) = mpsc::channel();
        let begin_async = begin.clone();
        lifecycle.task("task", async move |stop: Stop| -> Result<(), ExportError> {
            let shield = stop.shield(Shield::DEFAULT_BUDGET)?;
            begin_async.send(()).unwrap();
            stop.requested().await;
            Ok(shield.allow_break()?)
        });
        let begin_blocking = begin.clone();
        lifecycle.blocking("blocking", move |stop| rounds(&stop, &begin_blocking));
        let pool = lifecycle.pool("pool").workers(1).start(move |begin, stop| rounds(stop, &begin)).unwrap();
        pool.push_async(begin).await.unwrap();
        for _ in 0..3 {
            tokio::task::block_in_place(|| begun.recv_timeout(PATIENCE).unwrap());
        }
        lifecycle.stop().request_stop("enough");
        lifecycle.finished().await
    });
    let finished: u64 = report.scopes.iter().map(|scope| scope.finished).sum();
    assert_eq!((report.exit_status(), finished), (0, 3), "{report}");
}
