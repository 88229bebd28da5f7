//! A poll, a run and a drain that end early, and go on.

use crate::support::{LIMIT, Log, address, client, name, poll_until};
use exeunt_lifecycle::{Config, Lifecycle};
use exeunt_manager::{Connection, Event, Manager, Passed, Schedule};
use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A manager whose handler wants the thread back after each wakeup, request or notice of the drain.
fn interrupting() -> (Manager, Log) {
    let log = Log::default();
    let told = log.clone();
    let manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if matches!(event, Event::Wakeup(_) | Event::Read(_) | Event::Drain) {
            told.push(name(&event));
            conn.manager().unwrap().interrupt();
        }
    });
    (manager, log)
}

#[test]
fn each_turn_may_be_the_last_of_its_pass() {
    let (mut manager, log) = interrupting();
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let mut clients: Vec<_> = (0..3).map(|_| client(address(&listener))).collect();
    let handle = manager.handle();
    poll_until(&mut manager, "the clients", || handle.connections().len() == 4);
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    for number in 1..=3 {
        listener.wakeup(number.to_string()).unwrap();
    }
    let (timed, handle) = (log.clone(), manager.handle());
    let at_once = Schedule::once(Duration::ZERO);
    for _ in 0..3 {
        let (timed, handle) = (timed.clone(), handle.clone());
        manager
            .timer(at_once, move |_| {
                timed.push("timer");
                handle.interrupt();
            })
            .unwrap();
    }
    for so_far in 1..=9 {
        assert_eq!(manager.poll(LIMIT).unwrap(), Passed::Interrupted);
        assert_eq!(log.all().len(), so_far, "one thing in each pass: {:?}", log.all());
    }
    assert_eq!(manager.poll(Duration::ZERO).unwrap(), Passed::Whole);
    let all = log.all();
    assert_eq!(all[..3], ["wakeup 1", "wakeup 2", "wakeup 3"]);
    assert_eq!((log.count("read"), log.count("timer")), (3, 3));
}

#[test]
fn an_interrupt_between_passes_ends_the_next() {
    let (mut manager, _log) = interrupting();
    manager.handle().interrupt();
    assert_eq!(manager.poll(None).unwrap(), Passed::Interrupted);
    assert_eq!(manager.poll(Duration::ZERO).unwrap(), Passed::Whole);
}

#[test]
fn a_drain_may_be_broken_off_and_gone_on_with() {
    let (mut manager, log) = interrupting();
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    let clients: Vec<_> = (0..3).map(|_| client(address(&listener))).collect();
    let handle = manager.handle();
    poll_until(&mut manager, "the clients", || handle.connections().len() == 4);
    let broken_off = |passed| match passed {
        Passed::Interrupted => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    for so_far in 1..=3 {
        let report = manager.drain_with(Instant::now() + LIMIT, broken_off).unwrap();
        assert!(report.is_none(), "{report:?}");
        assert_eq!(log.count("drain"), so_far);
    }
    assert_eq!(handle.connections().iter().filter(|conn| !conn.is_listening()).count(), 3);
    let report = manager.drain_with(Instant::now() + LIMIT, broken_off).unwrap().unwrap();
    assert!(report.is_clean() && report.listeners.len() == 1, "{report}");
    assert_eq!((log.count("drain"), handle.connections().len()), (3, 0));
    drop(clients);
}

#[test]
fn a_run_may_be_broken_off_and_gone_on_with() {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let (mut manager, log) = interrupting();
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    listener.wakeup("x").unwrap();
    let report = manager.run_with(&lifecycle, |_| ControlFlow::Break(())).unwrap();
    assert!(report.is_none() && log.has("wakeup x"));
    lifecycle.stop().request_stop("the test");
    assert!(manager.run(&lifecycle).unwrap().is_clean());
    drop(manager);
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn what_a_signal_handler_writes_ends_the_wait_each_time() {
    let (mut manager, _log) = interrupting();
    for bytes in [1, 7, 1000] {
        // Before the wait, as by a signal that comes at the worst moment.
        let fd = manager.signal_fd().unwrap().try_clone_to_owned().unwrap();
        UnixStream::from(fd).write_all(&vec![2; bytes]).unwrap();
        assert_eq!(manager.poll(None).unwrap(), Passed::Interrupted);
        assert_eq!(manager.poll(Duration::ZERO).unwrap(), Passed::Whole);
    }
    // It never blocks, though nobody reads: a signal handler could not wait.
    let fd = manager.signal_fd().unwrap().as_fd().try_clone_to_owned().unwrap();
    let mut full = UnixStream::from(fd);
    let error = std::iter::repeat_with(|| full.write(&[0; 4096])).find_map(Result::err).unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(manager.poll(None).unwrap(), Passed::Interrupted);
    // And there is room again.
    assert_eq!(full.write(&[2]).unwrap(), 1);
}

#[test]
fn what_comes_at_a_source_of_the_programs_ends_the_wait_of_each_manager() {
    let (mut one, _log) = interrupting();
    let (mut other, _log) = interrupting();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut read = ours.try_clone().unwrap();
    let source = Arc::new(OwnedFd::from(ours));
    for manager in [&mut one, &mut other] {
        manager.interrupted_by(&source).unwrap();
        manager.interrupted_by(&source).unwrap();
    }
    for _ in 0..2 {
        theirs.write_all(b"x").unwrap();
        assert_eq!(one.poll(None).unwrap(), Passed::Interrupted);
        assert_eq!(other.poll(None).unwrap(), Passed::Interrupted);
        assert_eq!(read.read(&mut [0; 8]).unwrap(), 1);
        assert_eq!(one.poll(Duration::ZERO).unwrap(), Passed::Whole);
    }
    // Another takes its place.
    let (ours, _theirs) = UnixStream::pair().unwrap();
    one.interrupted_by(&Arc::new(ours.into())).unwrap();
    theirs.write_all(b"x").unwrap();
    assert_eq!(one.poll(Duration::ZERO).unwrap(), Passed::Whole);
    assert_eq!(other.poll(Duration::ZERO).unwrap(), Passed::Interrupted);
}

#[test]
fn whoever_embeds_a_manager_is_around_its_waits_and_not_around_its_handlers() {
    thread_local!(static INSIDE: Cell<bool> = const { Cell::new(false) });
    let waits = Arc::new(AtomicUsize::new(0));
    let (count, told) = (Arc::clone(&waits), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&told);
    let mut manager = Manager::new(move |_, event| {
        if let Event::Wakeup(_) = event {
            assert!(!INSIDE.get());
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert!(manager.around_waits(move |wait| {
        INSIDE.set(true);
        let looked = wait(false);
        assert!(wait(true) && (!looked || wait(false)));
        INSIDE.set(false);
        count.fetch_add(1, Ordering::SeqCst);
    }));
    assert!(!manager.around_waits(|_| unreachable!()));
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    manager.poll(Duration::ZERO).unwrap();
    assert_eq!(waits.load(Ordering::SeqCst), 0);
    let (handle, id) = (manager.handle(), listener.id());
    let waker = std::thread::spawn(move || handle.wakeup(id, "x"));
    poll_until(&mut manager, "the wakeup", || told.load(Ordering::SeqCst) == 1);
    assert!(waker.join().unwrap());
    manager.poll(Duration::from_millis(1)).unwrap();
    assert!(waits.load(Ordering::SeqCst) > 0);
}
