//! Nobody holds up the others, whatever he does, and nobody is judged by the time of another.

use crate::support::{LIMIT, Log, address, asking, client, hello, poll_until, read_to, to_end};
use exeunt_lifecycle::{Config, Lifecycle};
use exeunt_manager::{Connection, Event, Limits, Manager, Schedule};
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_pump_lets_the_others_have_their_turns() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::Read(_) => conn.send([0; 100]).unwrap(),
        Event::Write(_) => {
            told.push("write");
            // The kernel takes as much as that, though the peer reads nothing yet.
            match log_len(&told) {
                200 => conn.drain(),
                _ => conn.send([0; 100]).unwrap(),
            }
        }
        _ => {}
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    // The listener has its place before the client comes, who else would have two turns in his first pass.
    manager.poll(Duration::ZERO).unwrap();
    let mut pump = asking(address(&listener), "pump");
    let mut before = 0;
    while before < 200 {
        poll_until(&mut manager, "some more", || log_len(&log) > before);
        assert!(log_len(&log) <= before + 16, "{} from {before} on, in one pass", log_len(&log));
        before = log_len(&log);
    }
    let reader = std::thread::spawn(move || pump.read_to_end(&mut Vec::new()).unwrap());
    poll_until(&mut manager, "the end", || reader.is_finished());
    assert_eq!(reader.join().unwrap(), 20_000);
}

fn log_len(log: &Log) -> usize {
    log.all().len()
}

#[test]
fn a_pass_tells_a_bounded_number_of_wakeups_and_the_next_goes_on() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |_: &Connection, event: Event<'_>| {
        if let Event::Wakeup(payload) = event {
            told.push(String::from_utf8_lossy(payload));
        }
    });
    let listener = manager.listen("tcp://127.0.0.1:0").unwrap();
    for number in 0..3000 {
        listener.wakeup(number.to_string()).unwrap();
    }
    let expected: Vec<_> = (0..3000).map(|number| number.to_string()).collect();
    for so_far in [1024, 2048, 3000] {
        // Does not wait, since there are more.
        manager.poll(None).unwrap();
        assert_eq!(log.all(), expected[..so_far]);
    }
}

#[test]
fn what_waits_when_the_deadline_is_found_to_have_passed_is_done_pass_after_pass() {
    // There are 100 ms for it, which is plenty, if nobody else has the processor.
    let answered = || {
        let asked = Arc::new(Mutex::new(None));
        let place = Arc::clone(&asked);
        let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| match event {
            Event::HttpMessage(_) => *place.lock().unwrap() = Some(conn.clone()),
            Event::Wakeup(b"answer") => conn.reply(200, &[], "hello"),
            _ => {}
        });
        let listener = manager.listen("http://127.0.0.1:0").unwrap();
        let client = asking(address(&listener), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        poll_until(&mut manager, "the request", || asked.lock().unwrap().is_some());
        let conn = asked.lock().unwrap().take().unwrap();
        (0..3000).for_each(|_| conn.wakeup("").unwrap());
        conn.wakeup("answer").unwrap();
        let report = manager.drain(Instant::now()).unwrap();
        report.is_clean() && to_end(client).ends_with("hello")
    };
    assert!((0..20).any(|_| answered()));
}

#[test]
fn a_long_pass_ends_with_the_deadline_and_whoever_is_cut_then_is_answered_and_named() {
    // Longer than what a deadline leaves to what is ready.
    let mut manager = Manager::new(|conn: &Connection, event: Event<'_>| {
        if let Event::HttpMessage(_) = event {
            std::thread::sleep(ms(200));
            conn.reply(200, &[], "hello");
        }
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut clients: Vec<_> = (0..8).map(|_| client(address(&listener))).collect();
    let handle = manager.handle();
    poll_until(&mut manager, "the clients", || handle.connections().len() == 9);
    for client in &mut clients {
        client.write_all(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }
    let readers: Vec<_> = clients.into_iter().map(|c| std::thread::spawn(move || to_end(c))).collect();
    let report = manager.drain(Instant::now()).unwrap();
    let answers: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    let cut = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 503 ")).count();
    assert!(cut >= 6 && answers.iter().all(|answer| answer.contains("Connection: close\r\n")), "{answers:?}");
    let named = report.cut.iter().filter(|cut| cut.name == "GET /late").count();
    assert_eq!(named, cut, "{report}");
    // It was not looked whether anybody was in the queue still.
    assert_eq!(report.cut.iter().filter(|cut| cut.kind == "queue").count(), 1, "{report}");
    assert!(!report.is_clean());
}

#[test]
fn the_time_of_one_handler_is_not_the_silence_of_another() {
    let mut limits = Limits::default();
    limits.answer = Some(ms(300));
    let first = AtomicBool::new(true);
    let mut manager = Manager::with_limits(limits, move |conn: &Connection, event: Event<'_>| {
        let Event::HttpMessage(_) = event else { return };
        if first.swap(false, Ordering::SeqCst) {
            std::thread::sleep(ms(500));
            return conn.reply(200, &[], "hello");
        }
        let asked = conn.clone();
        let answer = move |_: &exeunt_manager::Handle| asked.reply(200, &[], "hello");
        conn.manager().unwrap().timer(Schedule::once(ms(20)), answer).unwrap();
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut clients = [client(address(&listener)), client(address(&listener))];
    let handle = manager.handle();
    poll_until(&mut manager, "both", || handle.connections().len() == 3);
    for client in &mut clients {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    }
    let readers = clients.map(|client| std::thread::spawn(move || to_end(client)));
    poll_until(&mut manager, "the end", || handle.connections().len() == 1);
    for reader in readers {
        let answer = reader.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn the_kernel_is_asked_before_anybody_is_called_silent() {
    let mut limits = Limits::default();
    limits.body_stall = ms(1500);
    let (blocks, is_blocked) = channel();
    let (sent, was_sent) = channel();
    let was_sent = Mutex::new(was_sent);
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::with_limits(limits, move |conn: &Connection, event: Event<'_>| match event {
        Event::HttpHeaders(request) if request.uri() == "/body" => told.push("headers"),
        Event::HttpMessage(request) => {
            if request.uri() == "/block" {
                // What the kernel told of in this pass is known by now: what comes from here on is not.
                blocks.send(()).unwrap();
                was_sent.lock().unwrap().recv_timeout(LIMIT).unwrap();
                std::thread::sleep(ms(1700));
            }
            conn.reply(200, &[], "hello");
        }
        _ => {}
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let mut blocker = client(address(&listener));
    let handle = manager.handle();
    poll_until(&mut manager, "the blocker", || handle.connections().len() == 2);
    let head = "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nConnection: close\r\n\r\n";
    let mut body = asking(address(&listener), format!("{head}half"));
    let headers = log.clone();
    poll_until(&mut manager, "the head", || headers.has("headers"));
    let reader = std::thread::spawn(move || {
        is_blocked.recv_timeout(LIMIT).unwrap();
        body.write_all(b"rest").unwrap();
        sent.send(()).unwrap();
        to_end(body)
    });
    blocker.write_all(b"GET /block HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let blocker = std::thread::spawn(move || to_end(blocker));
    poll_until(&mut manager, "the end", || handle.connections().len() == 1);
    let answer = reader.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    blocker.join().unwrap();
}

#[test]
fn what_lingers_behind_the_cut_does_not_pass_the_hard_deadline() {
    let lifecycle = Lifecycle::install(Config::default().grace(ms(1500))).unwrap();
    let mut limits = Limits::default();
    limits.drain.linger = 2 * LIMIT;
    let mut manager = Manager::with_limits(limits, |_: &Connection, _: Event<'_>| {});
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    // Has 503 in the end, and does not close.
    let client = asking(address(&listener), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let handle = manager.handle();
    poll_until(&mut manager, "the client", || handle.connections().len() == 2);
    lifecycle.stop().request_stop("the test");
    let began = Instant::now();
    let report = manager.run(&lifecycle).unwrap();
    assert!(began.elapsed() < LIMIT, "{report}");
    assert_eq!(report.cut_count, 1, "{report}");
    assert!(to_end(client).starts_with("HTTP/1.1 503 "));
    drop(manager);
    _ = lifecycle.close();
}

#[test]
fn it_follows_the_last_stop_that_it_is_given() {
    let mut manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let first = Lifecycle::install(Config::default()).unwrap();
    manager.follow(&first.stop());
    first.stop().request_stop("the first");
    _ = first.close();
    let second = Lifecycle::install(Config::default()).unwrap();
    manager.follow(&second.stop());
    let mut client = asking(address(&listener), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let handle = manager.handle();
    poll_until(&mut manager, "the client", || handle.connections().len() == 2);
    let reader = std::thread::spawn(move || read_to(&mut client, "hello"));
    poll_until(&mut manager, "the answer", || reader.is_finished());
    assert!(!reader.join().unwrap().contains("Connection: close"));
    _ = second.close();
}
