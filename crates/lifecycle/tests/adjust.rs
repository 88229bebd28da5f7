//! What may change while the program runs, and what a signal has come to.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

use exeunt_lifecycle::{Config, Lifecycle, Phase, ShieldOutcome, Signal};
use nix::sys::signal::{Signal as Raw, raise};
use std::sync::Mutex;
use std::time::Duration;

/// Signals are the process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const LONG: Duration = Duration::from_secs(10);

/// To this thread: it has been delivered when raise(3) returns. One to the process may be on its way to another thread.
fn send(lifecycle: &Lifecycle, signal: Raw) {
    raise(signal).unwrap();
    assert!(lifecycle.settle(LONG), "not taken note of in time");
}

fn config() -> Config {
    Config::default().signals([Signal::HANGUP, Signal::USER1]).notify(false)
}

#[test]
fn l9_what_a_signal_came_to_is_seen_once_it_has_settled() {
    let _one = ONE_AT_A_TIME.lock().unwrap();
    let lifecycle = Lifecycle::install(config()).unwrap();
    let (stop, scope) = (lifecycle.stop(), lifecycle.scope("endless"));
    let shield = stop.shield(LONG).unwrap();
    for attempt in 1..=3 {
        send(&lifecycle, Raw::SIGUSR1);
        assert!(stop.is_requested());
        assert_eq!(stop.is_forced(), attempt == 3);
    }
    assert_eq!(shield.outcome(), Some(ShieldOutcome::Forced));
    drop((scope, shield));
    assert_eq!(lifecycle.close().exit_status(), 128 + Signal::USER1.number().unsigned_abs() as u8);
}

#[test]
fn l9_attempts_may_change_at_any_time() {
    let _one = ONE_AT_A_TIME.lock().unwrap();
    let lifecycle = Lifecycle::install(config()).unwrap();
    let scope = lifecycle.scope("endless");
    lifecycle.adjust(&config().max_attempts(5)).unwrap();
    (0..3).for_each(|_| send(&lifecycle, Raw::SIGUSR1));
    assert!(!lifecycle.stop().is_forced());
    lifecycle.adjust(&config().max_attempts(4)).unwrap();
    send(&lifecycle, Raw::SIGUSR1);
    assert!(lifecycle.stop().is_forced());
    drop(scope);
    _ = lifecycle.close();
}

#[test]
fn l2_times_change_before_the_stop_alone() {
    let _one = ONE_AT_A_TIME.lock().unwrap();
    let lifecycle = Lifecycle::install(config()).unwrap();
    let (stop, scope) = (lifecycle.stop(), lifecycle.scope("endless"));
    assert!(lifecycle.adjust(&config().max_attempts(0)).is_err());
    lifecycle.adjust(&config().grace(100 * LONG)).unwrap();
    stop.request_stop("enough");
    let left = stop.time_left().unwrap();
    assert!(left > 90 * LONG, "{left:?}");
    lifecycle.adjust(&config()).unwrap();
    assert!(stop.time_left().unwrap() > 90 * LONG);
    drop(scope);
    _ = lifecycle.close();
}

#[test]
fn l16_whether_sighup_stops_may_change() {
    let _one = ONE_AT_A_TIME.lock().unwrap();
    let lifecycle = Lifecycle::install(config()).unwrap();
    lifecycle.ready();
    lifecycle.adjust(&config().terminate_on_hup(false)).unwrap();
    send(&lifecycle, Raw::SIGHUP);
    assert_eq!(lifecycle.stop().phase(), Phase::Running);
    lifecycle.adjust(&config()).unwrap();
    send(&lifecycle, Raw::SIGHUP);
    assert!(lifecycle.stop().is_requested());
    _ = lifecycle.close();
}
