//! Timers.

use crate::support::{LIMIT, Log, Polled, hello, poll_until, wait_until};
use exeunt_manager::{Manager, Schedule, Timer};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A callback that counts its calls.
fn counting(count: &Arc<AtomicU32>) -> impl FnMut(&exeunt_manager::Handle) + Send + 'static {
    let count = Arc::clone(count);
    move |_| _ = count.fetch_add(1, Ordering::SeqCst)
}

#[test]
fn once_is_once_and_not_too_soon() {
    let mut manager = Manager::new(hello);
    let count = Arc::default();
    let began = Instant::now();
    let timer = manager.timer(Schedule::once(ms(30)), counting(&count)).unwrap();
    assert!(timer.is_active());
    while count.load(Ordering::SeqCst) == 0 {
        // A poll without limit: the timer ends it.
        manager.poll(None).unwrap();
    }
    assert!(began.elapsed() >= ms(30));
    assert!(!timer.is_active());
    manager.poll(ms(50)).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn nothing_at_all_is_due_in_the_next_pass_and_once_in_it() {
    let mut manager = Manager::new(hello);
    let (once, every, at_once) = (Arc::default(), Arc::default(), Arc::default());
    manager.timer(Schedule::once(Duration::ZERO), counting(&once)).unwrap();
    manager.timer(Schedule::every(Duration::ZERO), counting(&every)).unwrap();
    manager.timer(Schedule::every(LIMIT).at_once(), counting(&at_once)).unwrap();
    for passes in 1..5 {
        manager.poll(Duration::ZERO).unwrap();
        let counts = [&once, &every, &at_once].map(|count: &Arc<AtomicU32>| count.load(Ordering::SeqCst));
        assert_eq!(counts, [1, passes, 1]);
    }
}

#[test]
fn one_that_adds_itself_anew_does_not_keep_the_pass_from_ending() {
    fn again(handle: &exeunt_manager::Handle, count: Arc<AtomicU32>) {
        count.fetch_add(1, Ordering::SeqCst);
        _ = handle.timer(Schedule::once(Duration::ZERO), move |handle| again(handle, Arc::clone(&count)));
    }
    let mut manager = Manager::new(hello);
    let count: Arc<AtomicU32> = Arc::default();
    again(&manager.handle(), Arc::clone(&count));
    for passes in 1..20 {
        assert_eq!(count.load(Ordering::SeqCst), passes);
        manager.poll(Duration::ZERO).unwrap();
    }
}

#[test]
fn a_repeating_one_goes_on_until_it_is_cancelled() {
    let mut manager = Manager::new(hello);
    let count: Arc<AtomicU32> = Arc::default();
    let timer = manager.timer(Schedule::every(ms(2)), counting(&count)).unwrap();
    poll_until(&mut manager, "five firings", || count.load(Ordering::SeqCst) >= 5);
    assert!(timer.is_active());
    timer.cancel();
    timer.cancel();
    assert!(!timer.is_active());
    let fired = count.load(Ordering::SeqCst);
    manager.poll(ms(20)).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), fired);
}

#[test]
fn what_is_late_is_not_made_up_for() {
    let mut manager = Manager::new(hello);
    let count: Arc<AtomicU32> = Arc::default();
    manager.timer(Schedule::every(ms(5)), counting(&count)).unwrap();
    std::thread::sleep(ms(100));
    manager.poll(Duration::ZERO).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn a_callback_may_cancel_itself_and_others() {
    let mut manager = Manager::new(hello);
    let log = Log::default();
    let own: Arc<Mutex<Option<Timer>>> = Arc::default();
    let other_log = log.clone();
    // Due in the same pass, behind the first.
    let cancelled: Arc<Mutex<Option<Timer>>> = Arc::default();
    let (told, this, victim) = (log.clone(), Arc::clone(&own), Arc::clone(&cancelled));
    let timer = manager.timer(Schedule::every(ms(1)), move |_| {
        told.push("first");
        this.lock().unwrap().take().unwrap().cancel();
        victim.lock().unwrap().take().unwrap().cancel();
    });
    *own.lock().unwrap() = Some(timer.unwrap());
    let second = manager.timer(Schedule::once(ms(1)), move |_| other_log.push("second")).unwrap();
    *cancelled.lock().unwrap() = Some(second.clone());
    std::thread::sleep(ms(10));
    poll_until(&mut manager, "the first", || log.has("first"));
    manager.poll(ms(10)).unwrap();
    assert_eq!(log.all(), ["first"]);
    assert!(!second.is_active());
}

#[test]
fn a_timer_wakes_a_poll_that_sleeps_and_so_does_one_that_is_added() {
    let polled = Polled::new(hello);
    let (fired, firing) = channel();
    let began = Instant::now();
    let far = polled.handle.timer(Schedule::once(Duration::from_secs(3600)), |_| {}).unwrap();
    for _ in 0..20 {
        let fired = fired.clone();
        polled.handle.timer(Schedule::once(ms(1)), move |_| fired.send(()).unwrap()).unwrap();
        firing.recv_timeout(LIMIT).unwrap();
    }
    assert!(began.elapsed() < LIMIT && far.is_active());
}

#[test]
fn thousands_fire_in_the_order_of_their_times() {
    let mut manager = Manager::new(hello);
    let order: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (mut cancelled, mut due) = (Vec::new(), Vec::new());
    for i in 0..5000 {
        let after = i * 7919 % 5000; // each once, out of order
        let order = Arc::clone(&order);
        let fires = move |_: &exeunt_manager::Handle| order.lock().unwrap().push(i as usize);
        let (after_us, began) = (Duration::from_micros(after * 10), Instant::now());
        let timer = manager.timer(Schedule::once(after_us), fires).unwrap();
        due.push((began + after_us, Instant::now() + after_us));
        if after % 5 == 0 {
            cancelled.push(timer);
        }
    }
    cancelled.iter().for_each(Timer::cancel);
    poll_until(&mut manager, "all of them", || order.lock().unwrap().len() >= 4000);
    manager.poll(Duration::ZERO).unwrap();
    let order = order.lock().unwrap();
    assert_eq!(order.len(), 4000);
    let mut latest = due[order[0]].0;
    for (earliest_due, latest_due) in order.iter().map(|i| due[*i]) {
        assert!(latest_due >= latest, "one that was due later fired before it");
        latest = latest.max(earliest_due);
    }
}

#[test]
fn cancelling_from_other_threads_leaves_one_firing_at_most() {
    let polled = Polled::new(hello);
    for _ in 0..200 {
        let count: Arc<AtomicU32> = Arc::default();
        let timer = polled.handle.timer(Schedule::every(Duration::ZERO), counting(&count)).unwrap();
        wait_until("a firing", || count.load(Ordering::SeqCst) > 0);
        timer.cancel();
        let after = count.load(Ordering::SeqCst);
        for _ in 0..3 {
            polled.handle.wake();
            std::thread::yield_now();
        }
        assert!(count.load(Ordering::SeqCst) <= after + 1);
    }
}

#[test]
fn what_a_callback_owns_goes_when_it_is_over_or_cancelled() {
    let polled = Polled::new(hello);
    let owned = Arc::new(());
    for schedule in [Schedule::once(Duration::ZERO), Schedule::once(LIMIT), Schedule::every(Duration::ZERO)] {
        for _ in 0..100 {
            let own = Arc::clone(&owned);
            let timer = polled.handle.timer(schedule, move |_| _ = Arc::strong_count(&own)).unwrap();
            if schedule != Schedule::once(Duration::ZERO) {
                timer.cancel();
            }
            // Though the handle is still there.
            wait_until("its end", || Arc::strong_count(&owned) == 1);
            drop(timer);
        }
    }
}

#[test]
fn a_dropped_handle_changes_nothing_and_a_closed_manager_ends_all() {
    let mut manager = Manager::new(hello);
    let count: Arc<AtomicU32> = Arc::default();
    drop(manager.timer(Schedule::every(ms(1)), counting(&count)).unwrap());
    poll_until(&mut manager, "two firings", || count.load(Ordering::SeqCst) >= 2);
    manager.close();
    let fired = count.load(Ordering::SeqCst);
    std::thread::sleep(ms(10));
    assert_eq!(count.load(Ordering::SeqCst), fired);
    assert_eq!(Arc::strong_count(&count), 1, "its callback is dropped");
}

#[test]
fn one_past_the_end_of_time_never_fires_and_does_no_harm() {
    let mut manager = Manager::new(hello);
    let never = manager.timer(Schedule::once(Duration::MAX), |_| panic!("the end of time")).unwrap();
    let far = manager.timer(Schedule::once(Duration::from_secs(1 << 40)), |_| panic!("so soon")).unwrap();
    manager.poll(ms(5)).unwrap();
    never.cancel();
    far.cancel();
}
