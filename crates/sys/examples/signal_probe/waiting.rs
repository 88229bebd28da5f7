//! How the inbox waits.

use crate::die_with_the_test;
use crate::signals::{handled, send_self, wait_for};
use exeunt_sys::signal::Inbox;
use libc::SIGTERM;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::{Duration, Instant};

pub(crate) fn run(scenario: &str) {
    die_with_the_test();
    let _handler = handled(SIGTERM);
    let inbox = Inbox::open().unwrap();
    match scenario {
        "idle" => idle(inbox),
        "prompt" => prompt(inbox),
        "interrupted" => interrupted(inbox),
        "without-pipe" => without_pipe(inbox),
        "late" => late(inbox),
        other => panic!("no scenario {other:?}"),
    }
}

/// Nothing arrives, and nobody wakes up for it.
fn idle(inbox: &'static Inbox) {
    let waiting = std::thread::spawn(|| {
        let mut empty = 0;
        while inbox.wait(None).is_empty() {
            empty += 1;
        }
        empty
    });
    // Time for who wakes up now and then to do so. Where there is too little, the scenario passes; it never fails.
    std::thread::sleep(Duration::from_millis(300));
    send_self(SIGTERM);
    assert!(waiting.join().unwrap() <= 1, "it wakes up, and there is nothing");
}

/// What is there already is not waited for.
fn prompt(inbox: &Inbox) {
    const TIMES: i64 = 200;
    let before = times_slept();
    for _ in 0..TIMES {
        inbox.wake();
        assert_eq!(inbox.wait(None), []);
    }
    let slept = times_slept() - before;
    assert!(slept < TIMES / 2, "slept {slept} times in {TIMES} waits for nothing");
}

/// A signal that lands on the very thread that waits interrupts its wait, and is not waited for once more.
fn interrupted(inbox: &Inbox) {
    const TIMES: i64 = 50;
    let _alarm = handled(libc::SIGALRM);
    let before = times_slept();
    for _ in 0..TIMES {
        let mut timer = unsafe { MaybeUninit::<libc::itimerval>::zeroed().assume_init() };
        timer.it_value.tv_usec = 2_000;
        assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) }, 0);
        while inbox.wait(None).is_empty() {}
    }
    let slept = times_slept() - before;
    assert!(slept < TIMES * 3 / 2, "slept {slept} times for {TIMES} signals");
}

/// Somebody has closed every descriptor. What cannot be waited for is looked at now and then, and not all the time.
fn without_pipe(inbox: &Inbox) {
    const TIMES: u32 = 20;
    for descriptor in 3..100 {
        unsafe { libc::close(descriptor) };
    }
    let begun = Instant::now();
    for _ in 0..TIMES {
        assert_eq!(inbox.wait(None), []);
    }
    assert!(begun.elapsed() >= TIMES * Duration::from_millis(10), "it spins");
    // What does not fit into the pipe is counted.
    send_self(SIGTERM);
    assert_eq!(wait_for(1).len(), 1);
}

/// A record that is read late says when the signal was delivered, across a second's turn.
fn late(inbox: &Inbox) {
    let before = Instant::now();
    send_self(SIGTERM);
    let after = Instant::now();
    std::thread::sleep(Duration::from_millis(1_100));
    let record = *inbox.wait(None).first().unwrap();
    // The clock is read a moment after the instant that it stands for, so `at` may be a little early, and never late.
    assert!(record.at <= after, "{:?} too late", record.at - after);
    assert!(record.at + Duration::from_secs(1) >= before, "{:?} too early", before - record.at);
}

/// How often this thread has given its processor away to wait for something.
fn times_slept() -> i64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) }, 0);
    unsafe { usage.assume_init() }.ru_nvcsw
}
