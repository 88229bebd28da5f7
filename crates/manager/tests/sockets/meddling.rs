//! Clients and threads that do anything at any time: whatever they do, each connection has one life.

use crate::support::{GET, LAST, LIMIT, client, name};
use exeunt_manager::{Connection, Event, Handler, Limits, Manager, Schedule};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A sequence of numbers that looks random (xorshift), the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[derive(Clone, Default)]
struct Lives {
    told: Arc<Mutex<HashMap<u64, Vec<String>>>>,
    conns: Arc<Mutex<Vec<Connection>>>,
}

impl Lives {
    fn handler(&self) -> Handler {
        let (lives, dice) = (self.clone(), Mutex::new(Dice(77)));
        Arc::new(move |conn: &Connection, event: Event<'_>| {
            lives.told.lock().unwrap().entry(conn.id()).or_default().push(name(&event));
            let roll = dice.lock().unwrap().roll(40);
            if let Event::Open = event {
                lives.conns.lock().unwrap().push(conn.clone());
            }
            if let Event::HttpMessage(_) = event {
                match roll {
                    0..20 => conn.reply(200, &[], "hello"),
                    20..24 => _ = conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
                    24..28 => _ = conn.sse("", "event"),
                    28 => conn.reply(200, &[], vec![b'x'; 3_000_000]),
                    _ => {}
                }
            }
            // Listeners stay.
            if !conn.is_listening() {
                meddle(conn, roll);
            }
        })
    }
}

fn meddle(conn: &Connection, roll: u64) {
    match roll {
        0 => conn.close(),
        1 | 2 => conn.drain(),
        3 | 4 => _ = conn.wakeup("x"),
        5 => conn.poll_events(true),
        6 => conn.poll_events(false),
        7 => _ = conn.send("raw"),
        8 => _ = conn.try_reply(503, &[], "no"),
        9 => _ = conn.try_reply(200, &[("Transfer-Encoding", "chunked")], "begun"),
        10 => _ = conn.chunk("piece"),
        11 => _ = conn.chunk(""),
        12 => _ = conn.consume(100),
        13 => conn.set_data(roll),
        14 => _ = (conn.received(100), conn.is_full(), conn.remote_address()),
        _ => {}
    }
}

fn clients(addresses: [SocketAddr; 2], seed: u64, over: Arc<AtomicBool>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut dice = Dice(seed);
        while !over.load(Ordering::SeqCst) {
            let mut client = client(addresses[dice.roll(2) as usize]);
            client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            // All of it may fail: the other side does what it likes.
            for _ in 0..=dice.roll(4) {
                let text = match dice.roll(6) {
                    0 => &GET[..10],
                    1 => "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
                    2 => "nonsense\r\n\r\n",
                    3 => LAST,
                    _ => GET,
                };
                _ = client.write_all(text.as_bytes());
                _ = client.read(&mut [0; 1000]);
            }
            match dice.roll(3) {
                0 => _ = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)),
                1 => _ = client.shutdown(std::net::Shutdown::Write),
                _ => {}
            }
        }
    })
}

fn meddlers(lives: Lives, seed: u64, over: Arc<AtomicBool>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut dice = Dice(seed);
        while !over.load(Ordering::SeqCst) {
            let conn = {
                let conns = lives.conns.lock().unwrap();
                let recent = conns.len().saturating_sub(20) as u64;
                conns.get((recent + dice.roll(20)) as usize).cloned()
            };
            match conn {
                Some(conn) if !conn.is_listening() => meddle(&conn, dice.roll(60)),
                _ => std::thread::yield_now(),
            }
            if dice.roll(20) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    })
}

#[test]
fn each_connection_has_one_life_whatever_is_done_to_it() {
    for (round, drains) in [(1, false), (2, true), (3, true)] {
        let lives = Lives::default();
        let mut limits = Limits::default();
        limits.connections = 30;
        limits.answer = Some(Duration::from_millis(100));
        limits.body_stall = Duration::from_millis(100);
        let handler = lives.handler();
        let mut manager = Manager::with_limits(limits, move |conn, event| handler(conn, event));
        let listen = |url| crate::support::address(&manager.listen(url).unwrap());
        let addresses = [listen("http://127.0.0.1:0"), listen("tcp://127.0.0.1:0")];
        manager.timer(Schedule::every(Duration::from_millis(1)), |_| {}).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let mut threads: Vec<_> =
            (1..4).map(|i| clients(addresses, round * 10 + i, Arc::clone(&over))).collect();
        threads.extend((4..6).map(|i| meddlers(lives.clone(), round * 10 + i, Arc::clone(&over))));

        let began = Instant::now();
        let lived = || lives.told.lock().unwrap().len();
        while lived() < 300 && began.elapsed() < LIMIT / 4 {
            manager.poll(None).unwrap();
        }
        over.store(true, Ordering::SeqCst);
        if drains {
            manager.drain(Instant::now() + Duration::from_secs(1)).unwrap();
        }
        drop(manager);
        threads.into_iter().for_each(|thread| thread.join().unwrap());

        for (id, told) in lives.told.lock().unwrap().iter() {
            assert_eq!(told.first().unwrap(), "open", "{id} in round {round}: {told:?}");
            assert_eq!(told.last().unwrap(), "close", "{id} in round {round}: {told:?}");
            for once in ["open", "accept", "drain", "close"] {
                let count = told.iter().filter(|line| *line == once).count();
                assert!(count <= 1, "{id} in round {round} has {count} {once}: {told:?}");
            }
        }
        assert!(lives.conns.lock().unwrap().iter().all(|conn| !conn.is_open()));
        assert!(lived() > 50, "{} connections in round {round}", lived());
    }
}
