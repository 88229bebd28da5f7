//! Sockets of a loop with itself, on TLS and without, to which both ends and other threads do anything at any time.

use crate::certificates::{localhost, trusting};
use crate::support::{LIMIT, address, name};
use exeunt_manager::{Connect, Connection, Event, Handle, Limits, Listen, Manager, Schedule, Tls, WsOp};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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

#[derive(Clone)]
struct Lives {
    told: Arc<Mutex<HashMap<u64, Vec<String>>>>,
    conns: Arc<Mutex<Vec<Connection>>>,
    dice: Arc<Mutex<Dice>>,
    tls: Tls,
}

impl Lives {
    fn new(seed: u64) -> Self {
        let dice = Arc::new(Mutex::new(Dice(seed)));
        Self { told: Arc::default(), conns: Arc::default(), dice, tls: localhost().tls() }
    }

    fn tell(&self, conn: &Connection, event: Event<'_>) {
        let name = match event {
            Event::WsOpen(_) => "ws open".to_owned(),
            Event::WsMessage(_) => "ws message".to_owned(),
            Event::WsControl(_) => "ws control".to_owned(),
            other => name(&other),
        };
        self.told.lock().unwrap().entry(conn.id()).or_default().push(name);
        if conn.is_listening() {
            return;
        }
        let roll = self.dice.lock().unwrap().roll(60);
        match event {
            Event::Open => self.conns.lock().unwrap().push(conn.clone()),
            // What is not answered now another thread upgrades, or nobody does.
            Event::HttpMessage(_) if roll < 50 => _ = conn.ws_upgrade(&[]),
            Event::WsOpen(_) => _ = conn.ws_send(WsOp::Text, "hello"),
            Event::WsMessage(message) => _ = conn.ws_send(WsOp::Binary, message.data()),
            _ => {}
        }
        self.meddle(conn, roll);
    }

    fn meddle(&self, conn: &Connection, roll: u64) {
        match roll {
            0 => conn.close(),
            1 => conn.drain(),
            2 => _ = conn.ws_close(1000, "meddled"),
            3 => _ = conn.ws_send(WsOp::Close, ""),
            4 | 5 => _ = conn.ws_send(WsOp::Binary, vec![b'x'; 50_000]),
            6 => _ = conn.ws_send(WsOp::Ping, "x"),
            7 => _ = conn.start_tls(&self.tls),
            8 => _ = conn.ws_upgrade(&[]),
            9 => _ = conn.send("raw"),
            10 => conn.reply(200, &[], "no"),
            11 => _ = conn.request("GET", "/", &[], ""),
            12 => conn.set_handler(None),
            13 => _ = (conn.consume(7), conn.received(9), conn.unsent(9), conn.is_full(), conn.tls_info()),
            14 => _ = conn.ws_send(WsOp::Binary, vec![b'x'; 100_001]),
            _ => {}
        }
    }
}

/// Connects, and meddles with those who are there.
fn meddles(handle: &Handle, lives: &Lives, ports: [u16; 2], seed: u64, over: &AtomicBool) {
    let mut dice = Dice(seed);
    while !over.load(Ordering::SeqCst) {
        let conns = lives.conns.lock().unwrap().clone();
        if dice.roll(4) == 0 {
            let [plain, tls] = ports;
            _ = match dice.roll(2) {
                0 => handle.ws_connect(&format!("ws://127.0.0.1:{plain}/"), &[]),
                _ => {
                    let how = Connect::new().tls(trusting());
                    handle.ws_connect_with(&format!("wss://localhost:{tls}/"), &[], how)
                }
            };
        }
        let recent = conns.len().saturating_sub(40) as u64;
        if let Some(conn) = conns.get((recent + dice.roll(40)) as usize) {
            lives.meddle(conn, dice.roll(100));
        }
        std::thread::sleep(Duration::from_micros(dice.roll(2000)));
    }
}

#[test]
fn each_websocket_has_one_life_whatever_is_done_to_it() {
    for (round, drains) in [(1, false), (2, true), (3, true)] {
        let lives = Lives::new(round + 700);
        let mut limits = Limits::default();
        limits.handshake = Duration::from_secs(1);
        limits.connect = Duration::from_secs(1);
        limits.ws_close = Duration::from_millis(200);
        limits.ws_ping = Some(Duration::from_millis(300));
        limits.ws_close_spread = Duration::from_millis(100);
        limits.ws_message_bytes = 100_000;
        limits.send_pause = 20_000;
        limits.answer = Some(Duration::from_millis(200));
        // Whoever began an answer with something raw does not go on with it.
        limits.half_closed = Duration::from_millis(200);
        let telling = lives.clone();
        let mut manager = Manager::with_limits(limits, move |conn, event| telling.tell(conn, event));
        let plain = address(&manager.listen("ws://127.0.0.1:0").unwrap()).port();
        let tls = Listen::new().tls(lives.tls.clone());
        let tls = address(&manager.listen_with("wss://127.0.0.1:0", tls).unwrap()).port();
        manager.timer(Schedule::every(Duration::from_millis(1)), |_| {}).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (1..4)
            .map(|i| {
                let (handle, lives, over) = (manager.handle(), lives.clone(), Arc::clone(&over));
                std::thread::spawn(move || meddles(&handle, &lives, [plain, tls], round * 10 + i, &over))
            })
            .collect();
        let began = Instant::now();
        let count = |event: &str| {
            let told = lives.told.lock().unwrap();
            told.values().filter(|life| life.iter().any(|line| line == event)).count()
        };
        while count("ws message") < 150 && began.elapsed() < LIMIT / 4 {
            manager.poll(None).unwrap();
        }
        // Others go on in the drain, and connect anew.
        if drains {
            manager.drain(Instant::now() + Duration::from_secs(1)).unwrap();
        }
        over.store(true, Ordering::SeqCst);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(manager);

        for (id, told) in lives.told.lock().unwrap().iter() {
            let what = format!("{id} in round {round}: {told:?}");
            assert_eq!(told.first().unwrap(), "open", "{what}");
            assert_eq!(told.last().unwrap(), "close", "{what}");
            let first = |event: &str| told.iter().position(|line| line == event);
            for once in ["open", "accept", "connect", "TlsHandshake", "ws open", "drain", "close"] {
                assert!(told.iter().filter(|line| *line == once).count() <= 1, "{once} of {what}");
            }
            for behind in ["ws message", "ws control"] {
                assert!(first(behind).is_none_or(|at| first("ws open") < Some(at)), "{what}");
            }
            let secret = first("TlsHandshake").unwrap_or_default();
            assert!(first("read").is_none_or(|at| secret <= at), "{what}");
        }
        assert!(lives.conns.lock().unwrap().iter().all(|conn| !conn.is_open()));
        assert!(count("ws message") > 50 && count("TlsHandshake") > 20, "{}", count("ws message"));
    }
}
