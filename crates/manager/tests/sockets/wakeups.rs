//! Wakeups, from any thread, any number, any size.

use crate::support::{LAST, LIMIT, Log, Polled, asking, hello, poll_until, to_end};
use exeunt_manager::{Connection, Event, Manager};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn an_answer_may_come_from_a_wakeup() {
    let polled = Polled::new(|conn, event| match event {
        Event::HttpMessage(_) => {
            let conn = conn.clone();
            std::thread::spawn(move || conn.wakeup("worked out").unwrap());
        }
        Event::Wakeup(payload) => conn.reply(200, &[], payload),
        _ => {}
    });
    let address = polled.listen("http://127.0.0.1:0");
    assert!(to_end(asking(address, LAST)).ends_with("worked out"));
}

#[test]
fn a_hundred_thousand_from_many_threads_all_arrive_in_each_ones_order() {
    const SENDERS: u32 = 10;
    const EACH: u32 = 10_000;
    type Seen = HashMap<u32, u32>;
    let seen: Arc<Mutex<(Seen, u32)>> = Arc::default();
    let told = Arc::clone(&seen);
    let (all, everything) = channel();
    let polled = Polled::new(move |_: &Connection, event: Event<'_>| {
        let Event::Wakeup(payload) = event else { return };
        let (sender, number) = payload.split_at(4);
        let sender = u32::from_le_bytes(sender.try_into().unwrap());
        let number = u32::from_le_bytes(number.try_into().unwrap());
        let (next, count) = &mut *told.lock().unwrap();
        let next = next.entry(sender).or_default();
        assert_eq!(number, *next, "of sender {sender}");
        *next += 1;
        *count += 1;
        if *count == SENDERS * EACH {
            all.send(()).unwrap();
        }
    });
    let listener = polled.handle.listen("http://127.0.0.1:0").unwrap();
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (handle, listener) = (polled.handle.clone(), listener.clone());
            scope.spawn(move || {
                for number in 0..EACH {
                    let payload = [sender.to_le_bytes(), number.to_le_bytes()].concat();
                    // Both roads lead to the same inbox.
                    if number % 2 == 0 {
                        assert!(handle.wakeup(listener.id(), payload));
                    } else {
                        listener.wakeup(payload).unwrap();
                    }
                }
            });
        }
    });
    everything.recv_timeout(LIMIT).expect("all of them");
}

#[test]
fn large_ones_arrive_whole() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |_: &Connection, event: Event<'_>| {
        if let Event::Wakeup(payload) = event {
            let same = payload.windows(2).all(|pair| pair[0] == pair[1]);
            told.push(format!("{} {same}", payload.len()));
        }
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    for size in [0, 1, 16_384, 1 << 20] {
        listener.wakeup(vec![7; size]).unwrap();
    }
    manager.poll(Duration::ZERO).unwrap();
    assert_eq!(log.all(), ["0 true", "1 true", "16384 true", "1048576 true"]);
}

#[test]
fn one_to_nobody_is_none() {
    let mut manager = Manager::new(hello);
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    let (handle, id) = (manager.handle(), listener.id());
    assert!(handle.wakeup(id, "x"));
    assert!(!handle.wakeup(id + 1, "x"));
    listener.close();
    poll_until(&mut manager, "its end", || !listener.is_open());
    assert!(!handle.wakeup(id, "x"));
    assert!(listener.wakeup("x").is_err());
}

#[test]
fn one_sent_by_a_handler_comes_in_a_later_pass_and_never_keeps_one_from_ending() {
    let log = Log::default();
    let told = log.clone();
    let mut manager = Manager::new(move |conn: &Connection, event: Event<'_>| {
        if let Event::Wakeup(_) = event {
            told.push("wakeup");
            conn.wakeup("again").unwrap();
        }
    });
    let listener = manager.listen("http://127.0.0.1:0").unwrap();
    listener.wakeup("first").unwrap();
    for _ in 0..10 {
        manager.poll(None).unwrap();
    }
    assert!((10..=40).contains(&log.count("wakeup")), "{}", log.count("wakeup"));
}

#[test]
fn a_sleeping_poll_is_woken_each_time() {
    let (told, tells) = channel();
    let told = Mutex::new(told);
    let polled = Polled::new(move |_, event| {
        if let Event::Wakeup(payload) = event {
            told.lock().unwrap().send(payload.to_vec()).unwrap();
        }
    });
    let listener = polled.handle.listen("http://127.0.0.1:0").unwrap();
    for number in 0..500_u32 {
        listener.wakeup(number.to_le_bytes()).unwrap();
        assert_eq!(tells.recv_timeout(LIMIT).unwrap(), number.to_le_bytes());
    }
}

#[test]
fn what_is_written_as_a_turn_ends_is_not_overlooked() {
    const ROUNDS: u32 = 5000;
    let (writes, conns) = (Arc::new(AtomicU32::new(0)), channel());
    let (count, keep) = (Arc::clone(&writes), Mutex::new(conns.0));
    let polled = Polled::new(move |conn: &Connection, event: Event<'_>| match event {
        Event::Accept => keep.lock().unwrap().send(conn.clone()).unwrap(),
        // The turn is nearly over.
        Event::Write(_) => _ = count.fetch_add(1, Ordering::SeqCst),
        _ => {}
    });
    let mut client = crate::support::client(polled.listen("tcp://127.0.0.1:0"));
    let conn = conns.1.recv_timeout(LIMIT).unwrap();
    for round in 0..ROUNDS {
        conn.send([b'x']).unwrap();
        let began = std::time::Instant::now();
        while writes.load(Ordering::SeqCst) == round {
            assert!(began.elapsed() < LIMIT, "overlooked in round {round}");
            std::hint::spin_loop();
        }
        // A little later each time, to meet the very end of it.
        for _ in 0..round % 500 {
            std::hint::spin_loop();
        }
    }
    std::io::Read::read_exact(&mut client, &mut vec![0; ROUNDS as usize]).unwrap();
}
