//! The stop of a loop by a lifecycle.

use crate::support::{GET, LIMIT, Log, address, asking, hello, name, read_to, to_end};
use exeunt_lifecycle::{Config, Lifecycle};
use exeunt_manager::{Connection, Event, Manager};
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn d2_in_the_lame_duck_new_clients_are_served_and_told() {
    let lifecycle = Lifecycle::install(Config::default().lame_duck(Duration::from_millis(700))).unwrap();
    lifecycle.ready();
    let mut manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let (stop, address) = (lifecycle.stop(), address(&listener));
    let thread = std::thread::spawn(move || {
        let mut before = asking(address, GET);
        assert!(!read_to(&mut before, "hello").contains("Connection: close"));
        stop.request_stop("the balancer looks elsewhere");
        let new = to_end(asking(address, GET));
        before.write_all(GET.as_bytes()).unwrap();
        (to_end(before), new)
    });
    let drained = manager.run(&lifecycle).unwrap();
    assert!(drained.is_clean(), "{drained}");
    for answer in <[String; 2]>::from(thread.join().unwrap()) {
        assert!(answer.contains("Connection: close\r\n") && answer.ends_with("hello"), "{answer}");
    }
    drop(manager);
    assert_eq!(lifecycle.close().exit_status(), 0);
}

#[test]
fn a_stop_at_any_moment_ends_the_run() {
    for round in 0..150_u64 {
        let lifecycle = Lifecycle::install(Config::default()).unwrap();
        let mut manager = Manager::new(hello);
        let listener = manager.listen("http://127.0.0.1:0").unwrap();
        let (stop, address) = (lifecycle.stop(), address(&listener));
        let thread = std::thread::spawn(move || {
            // From before the run begins to some way into it; with a client every now and then.
            std::thread::sleep(Duration::from_micros(round * 7));
            let client = (round % 5 == 0).then(|| asking(address, GET));
            stop.request_stop("at any moment");
            client.map(to_end)
        });
        let began = Instant::now();
        let drained = manager.run(&lifecycle).unwrap();
        assert!(drained.is_clean() && began.elapsed() < LIMIT, "{drained}");
        if let Some(answer) = thread.join().unwrap() {
            assert!(answer.ends_with("hello"), "round {round}: {answer}");
        }
        drop(manager);
        assert_eq!(lifecycle.close().exit_status(), 0);
    }
}

#[test]
fn a_run_counts_requests_as_work_and_a_vanished_client_is_none() {
    let lifecycle = Lifecycle::install(Config::default()).unwrap();
    let kept: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let (log, keep) = (Log::default(), Arc::clone(&kept));
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if !conn.is_listening() {
            told.push(name(&event));
        }
        // It would answer later, and keeps the handle: but the client does not wait.
        if let Event::HttpMessage(_) = event {
            keep.lock().unwrap().push(conn.clone());
        }
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let client = asking(address(&listener), GET);
    let stop = lifecycle.stop();
    let thread = std::thread::spawn(move || {
        crate::support::wait_until("the request", || log.has("message"));
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        stop.request_stop("the client is gone");
    });
    let drained = manager.run(&lifecycle).unwrap();
    thread.join().unwrap();
    assert!(drained.is_clean(), "{drained}");
    let report = lifecycle.close();
    assert_eq!(report.exit_status(), 0, "{report}");
    assert!(!kept.lock().unwrap()[0].is_open());
}

#[test]
fn whoever_follows_the_stop_may_ask_connections_when_a_request_is_cut() {
    let lifecycle = Lifecycle::install(Config::default().grace(Duration::from_millis(1500))).unwrap();
    let conns: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let keep = Arc::clone(&conns);
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            keep.lock().unwrap().push(conn.clone());
        }
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let client = asking(address(&listener), GET);
    let (log, asked) = (Log::default(), Arc::clone(&conns));
    let told = log.clone();
    let asks = move || asked.lock().unwrap().iter().for_each(|conn| _ = conn.unsent_len());
    let also_asks = asks.clone();
    let watch = lifecycle.stop().on_change(asks);
    lifecycle.on_progress(move |progress| {
        also_asks();
        if let exeunt_lifecycle::Progress::Cut { work, .. } = progress {
            told.push(work.name.clone());
        }
    });
    let stop = lifecycle.stop();
    let thread = std::thread::spawn(move || {
        crate::support::wait_until("the request", || !conns.lock().unwrap().is_empty());
        stop.request_stop("the test wants it");
    });
    let drained = manager.run(&lifecycle).unwrap();
    assert_eq!(drained.cut_count, 1, "{drained}");
    thread.join().unwrap();
    assert!(to_end(client).starts_with("HTTP/1.1 503 "));
    drop((watch, manager));
    assert_eq!(lifecycle.close().exit_status(), 3);
    assert_eq!(log.all(), ["GET /"]);
}
