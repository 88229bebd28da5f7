//! What the end of a manager lets go, whoever keeps a handle.

use crate::support::hello;
use exeunt_manager::{Connection, Event, Manager, Schedule};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Counts its drops.
struct Counts(Arc<AtomicU32>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_handler_that_keeps_a_handle_is_let_go() {
    let dropped = Arc::new(AtomicU32::new(0));
    let (counts, own) = (Counts(Arc::clone(&dropped)), Arc::new(OnceLock::new()));
    let kept = Arc::clone(&own);
    let manager = Manager::new(move |_: &Connection, _: Event<'_>| _ = (&counts, kept.get()));
    own.set(manager.handle()).unwrap();
    let handle = manager.handle();
    drop(own);
    manager.close();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert!(handle.is_closed() && handle.connections().is_empty() && !handle.wakeup(1, ""));
    assert!(handle.listen("tcp://127.0.0.1:0").is_err());
    assert!(handle.timer(Schedule::once(Duration::ZERO), |_| {}).is_err());
}

#[test]
fn a_callback_that_keeps_its_timer_is_let_go() {
    let dropped = Arc::new(AtomicU32::new(0));
    let manager = Manager::new(hello);
    let schedules = [Schedule::once(Duration::from_secs(9)), Schedule::once(Duration::MAX)];
    for schedule in schedules {
        let (counts, own) = (Counts(Arc::clone(&dropped)), Arc::new(Mutex::new(None)));
        let kept = Arc::clone(&own);
        let timer = manager.timer(schedule, move |_| _ = (&counts, &kept)).unwrap();
        *own.lock().unwrap() = Some(timer);
    }
    manager.close();
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
}

#[test]
fn a_timer_past_the_end_of_time_is_not_active() {
    let mut manager = Manager::new(hello);
    assert!(!manager.timer(Schedule::once(Duration::MAX), |_| {}).unwrap().is_active());
    let fired = Arc::new(AtomicU32::new(0));
    let fires = Arc::clone(&fired);
    let count = move |_: &exeunt_manager::Handle| _ = fires.fetch_add(1, Ordering::SeqCst);
    let timer = manager.timer(Schedule::every(Duration::MAX).at_once(), count).unwrap();
    assert!(timer.is_active());
    manager.poll(Duration::ZERO).unwrap();
    assert_eq!(fired.load(Ordering::SeqCst), 1);
    assert!(!timer.is_active());
}
