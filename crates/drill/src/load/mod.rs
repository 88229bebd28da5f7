//! The load: what the clients of each scenario do, and the book they keep.

mod client;
mod events;
mod half_sent;
mod http2;
mod idle;
mod ledger;
mod slow_reader;
mod watch;
mod websocket;

pub(crate) use http2::speaks_http2;
pub(crate) use ledger::{Count, Ledger};
pub(crate) use watch::{Limits, Watch};

use crate::observe::Observation;
use crate::random::Random;
use crate::scenario::Scenario;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// New connections are made at this rate, all clients together, but for the time around the signal: 28,000
/// ephemeral ports have to last for a whole run.
const CONNECTS_PER_SECOND: u32 = 4_000;
/// Around the signal nobody holds back.
const SPRINT_BEFORE: Duration = Duration::from_millis(50);
const SPRINT_AFTER: Duration = Duration::from_millis(100);

/// Bytes of the bodies of `half-sent`: more than a server reads with the head.
const BODY: usize = 16 * 1024;
/// In `http2`, streams at a time on a connection; readers in `slow-reader` are a fourth of the connections.
const STREAMS: u32 = 8;
const READERS: u32 = 4;

/// What all clients of one round share.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) scenario: Scenario,
    pub(crate) connections: u32,
    pub(crate) flight: Duration,
    /// How many requests `request` holds.
    pub(crate) batch: u32,
    pub(crate) request: Vec<u8>,
    /// What `request` asks for.
    pub(crate) path: String,
    /// A request with a body, where one can be sent.
    pub(crate) upload: Option<Vec<u8>>,
    /// The event by which a stream says goodbye.
    pub(crate) goodbye: String,
    pub(crate) limits: Limits,
    pub(crate) signal: Signalled,
    /// When the signal is meant to be sent, where that is known from the start.
    pub(crate) planned: Option<Instant>,
    /// The process has ended.
    pub(crate) gone: Cell<bool>,
    /// Nothing new is begun any more.
    pub(crate) closed: Cell<bool>,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) random: RefCell<Random>,
    /// Clients that have taken the place in which the scenario wants them at the signal: silent, half sent, streaming.
    pub(crate) standing: Cell<u32>,
}

/// The instant of the signal, set right before it is sent and read by everybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signalled {
    at: Arc<OnceLock<Instant>>,
    sent: CancellationToken,
}

impl Signalled {
    /// Notes the instant, calls `send`, then wakes who waits for the signal.
    pub(crate) fn set(&self, send: impl FnOnce()) {
        // An instant too early rather than too late: a refusal must never seem to precede the signal.
        _ = self.at.set(Instant::now());
        send();
        self.sent.cancel();
    }

    pub(crate) fn at(&self) -> Option<Instant> {
        self.at.get().copied()
    }

    pub(crate) async fn wait(&self) {
        self.sent.cancelled().await;
    }
}

/// `count` requests in one piece.
pub(crate) fn request(address: SocketAddr, path: &str, count: u32) -> Vec<u8> {
    head("GET", address, path, "").repeat(count as usize).into_bytes()
}

/// What the clients of this scenario ask for.
pub(crate) fn request_of(scenario: Scenario, address: SocketAddr, path: &str, count: u32) -> Vec<u8> {
    let more = match scenario {
        Scenario::Sse => "Accept: text/event-stream\r\n",
        // The key of RFC 6455 §1.3: any will do for who asks only how it ends.
        Scenario::Websocket => {
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
        _ => return request(address, path, count),
    };
    head("GET", address, path, more).into_bytes()
}

/// A request with a body.
pub(crate) fn upload(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut request = head("POST", address, path, &format!("Content-Length: {BODY}\r\n")).into_bytes();
    request.resize(request.len() + BODY, b'x');
    request
}

fn head(method: &str, address: SocketAddr, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: exeunt-drill\r\n{more}\r\n")
}

/// Starts the clients of the load's scenario; the set is empty when each has come to its end.
///
/// Has to be called inside a `LocalSet`.
pub(crate) fn start(load: &Rc<Load>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    let crowd = Rc::new(idle::Door::new());
    for number in 0..clients_of(load.scenario, load.connections) {
        let load = Rc::clone(load);
        match load.scenario {
            Scenario::Keepalive => clients.spawn_local(client::keepalive(load, Duration::ZERO)),
            Scenario::Fresh => clients.spawn_local(client::fresh(load)),
            Scenario::Flight => {
                let delay = load.random.borrow_mut().up_to(load.flight);
                clients.spawn_local(client::keepalive(load, delay))
            }
            Scenario::Http2 => clients.spawn_local(http2::http2(load, number)),
            Scenario::HalfSent => clients.spawn_local(half_sent::half_sent(load, number)),
            Scenario::SlowReader => clients.spawn_local(slow_reader::slow_reader(load)),
            Scenario::Websocket => clients.spawn_local(websocket::websocket(load, number)),
            Scenario::Sse => clients.spawn_local(events::events(load)),
            Scenario::Slow => {
                let delay = load.random.borrow_mut().up_to(Duration::from_millis(500));
                clients.spawn_local(client::keepalive(load, delay))
            }
            Scenario::Idle => clients.spawn_local(idle::idle(load, Rc::clone(&crowd), number)),
        };
    }
    clients
}

/// How many clients make so many connections' load.
pub(crate) fn clients_of(scenario: Scenario, connections: u32) -> u32 {
    match scenario {
        Scenario::Http2 => connections.div_ceil(STREAMS),
        Scenario::SlowReader => connections.div_ceil(READERS),
        _ => connections,
    }
}

impl Load {
    /// A client has taken its place.
    fn stand(&self) {
        self.standing.set(self.standing.get() + 1);
    }

    /// It has lost it, if that was before the signal: the kernel may have told us before the signal's waker did.
    fn fall(&self) {
        if self.signal.at().is_none() {
            self.standing.set(self.standing.get().saturating_sub(1));
        }
    }

    /// Enters what is known now of a request.
    fn enter(&self, seen: Observation, opening: bool) {
        let seen = Observation { gone: self.gone.get(), ended: Instant::now(), ..seen };
        self.ledger.borrow_mut().record(seen, opening, self.signal.at());
    }

    /// How long a client waits before its next connection, so that the ports last.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let sprint = match (self.signal.at(), self.planned) {
            (Some(at), _) => now < at + SPRINT_AFTER,
            (None, Some(planned)) => now + SPRINT_BEFORE > planned,
            (None, None) => false,
        };
        if sprint {
            return Duration::ZERO;
        }
        let mean = Duration::from_secs(1) * self.connections / CONNECTS_PER_SECOND;
        self.random.borrow_mut().up_to(mean * 2)
    }
}
