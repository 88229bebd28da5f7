//! The small things that hot paths do, beside tokio-util's. Wanted: counting and shields under 60 ns, from two threads
//! too; `allow_break` under 8 ns.

#![allow(clippy::unwrap_used, reason = "a bench that cannot begin is over")]

use divan::{Bencher, black_box};
use exeunt_lifecycle::{Config, Lifecycle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn main() {
    divan::main();
}

fn lifecycle() -> Lifecycle {
    Lifecycle::install(Config::default()).unwrap()
}

#[divan::bench(threads = [1, 2])]
fn count_work_in_and_out(bencher: Bencher<'_, '_>) {
    let lifecycle = lifecycle();
    let scope = lifecycle.scope("bench");
    bencher.bench(|| drop(black_box(scope.begin())));
}

#[divan::bench(threads = [1, 2])]
fn count_work_in_and_out_by_task_tracker(bencher: Bencher<'_, '_>) {
    let tracker = TaskTracker::new();
    bencher.bench(|| drop(black_box(tracker.token())));
}

#[divan::bench(threads = [1, 2])]
fn take_and_drop_a_shield(bencher: Bencher<'_, '_>) {
    let lifecycle = lifecycle();
    let stop = lifecycle.stop();
    bencher.bench(|| drop(black_box(stop.shield(Duration::from_secs(60)).unwrap())));
}

#[divan::bench(threads = [1, 2])]
fn allow_break_with_nothing_happening(bencher: Bencher<'_, '_>) {
    let lifecycle = lifecycle();
    let shield = lifecycle.stop().shield(Duration::from_secs(60)).unwrap();
    bencher.bench(|| black_box(&shield).allow_break());
}

#[divan::bench(threads = [1, 2])]
fn ask_whether_a_stop_is_requested(bencher: Bencher<'_, '_>) {
    let lifecycle = lifecycle();
    let stop = lifecycle.stop();
    bencher.bench(|| black_box(&stop).is_requested());
}

#[divan::bench(threads = [1, 2])]
fn ask_whether_a_token_is_cancelled(bencher: Bencher<'_, '_>) {
    let token = CancellationToken::new();
    bencher.bench(|| black_box(&token).is_cancelled());
}
