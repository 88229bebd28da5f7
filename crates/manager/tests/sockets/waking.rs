//! What ends a poll that waits.

use crate::support::{LIMIT, address, client, hello};
use exeunt_lifecycle::{Config, Lifecycle};
use exeunt_manager::{Event, Manager};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn time_ends_it() {
    let mut manager = Manager::new(hello);
    let began = Instant::now();
    manager.poll(Duration::from_millis(30)).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(30));
    manager.poll(Duration::ZERO).unwrap();
}

#[test]
fn a_wake_ends_the_present_or_the_next() {
    let mut manager = Manager::new(hello);
    manager.handle().wake();
    manager.poll(None).unwrap();
    // Each wake is answered by a pass before the next: two would be one.
    let (handle, (passes, passed)) = (manager.handle(), std::sync::mpsc::channel());
    let thread = std::thread::spawn(move || {
        for _ in 0..200 {
            handle.wake();
            passed.recv_timeout(LIMIT).unwrap();
        }
    });
    for _ in 0..200 {
        manager.poll(None).unwrap();
        passes.send(()).unwrap();
    }
    thread.join().unwrap();
}

#[test]
fn each_sort_of_call_from_another_thread_ends_it() {
    type Call = fn(&exeunt_manager::Handle, &exeunt_manager::Connection);
    let calls: [(&str, Call); 5] = [
        ("listen", |handle, _| _ = handle.listen("tcp://127.0.0.1:0").unwrap()),
        ("close", |handle, _| handle.listen("tcp://127.0.0.1:0").unwrap().close()),
        ("send", |_, conn| conn.send("x").unwrap()),
        ("drain", |_, conn| conn.drain()),
        ("wakeup", |handle, _| assert!(handle.wakeup(1, "x"))),
    ];
    for (name, call) in calls {
        let mut manager = Manager::new(hello);
        let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
        let _client = client(address(&listener));
        while manager.connections().len() < 2 {
            manager.poll(None).unwrap();
        }
        while manager.connections().is_empty() {}
        manager.poll(Duration::ZERO).unwrap();
        let (handle, conn) = (manager.handle(), manager.connections().pop().unwrap());
        let called = Arc::new(AtomicBool::new(false));
        let calling = Arc::clone(&called);
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            calling.store(true, Ordering::SeqCst);
            call(&handle, &conn);
        });
        let began = Instant::now();
        while !called.load(Ordering::SeqCst) {
            manager.poll(LIMIT).unwrap();
        }
        assert!(began.elapsed() < LIMIT, "{name}");
        thread.join().unwrap();
    }
}

#[test]
fn a_stop_ends_it_and_answers_say_so() {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let mut manager = Manager::new(|conn, event| {
        if let Event::HttpMessage(_) = event {
            conn.reply(200, &[], "hello");
        }
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let stop = lifecycle.stop();
    manager.follow(&stop);
    let asks = stop.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(5));
        asks.request_stop("the test wants it");
    });
    while !stop.is_requested() {
        manager.poll(None).unwrap();
    }
    thread.join().unwrap();
    let polled = crate::support::Polled::of(manager);
    let client = crate::support::asking(address(&listener), crate::support::GET);
    assert!(crate::support::to_end(client).contains("Connection: close\r\n"), "D2");
    drop(polled);
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn a_stop_that_is_over_before_it_is_followed_ends_it_too() {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    lifecycle.stop().request_stop("before");
    let mut manager = Manager::new(hello);
    manager.follow(&lifecycle.stop());
    manager.poll(None).unwrap();
    drop(manager);
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn what_was_written_down_before_the_wait_is_done_and_ends_it() {
    let told = Arc::new(AtomicBool::new(false));
    let tells = Arc::clone(&told);
    let mut manager = Manager::new(move |_: &exeunt_manager::Connection, event: Event<'_>| {
        if let Event::Wakeup(_) = event {
            tells.store(true, Ordering::SeqCst);
        }
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    manager.poll(Duration::ZERO).unwrap();
    let began = Instant::now();
    listener.wakeup("x").unwrap();
    manager.poll(LIMIT).unwrap();
    assert!(told.load(Ordering::SeqCst) && began.elapsed() < LIMIT);
}
