//! The load: what the clients of each scenario do, and the book they keep.

mod client;
mod idle;
mod ledger;
mod watch;

pub(crate) use ledger::{Count, Ledger};
pub(crate) use watch::{Limits, Watch};

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
    /// Idle connections that are open and silent.
    pub(crate) silent: Cell<u32>,
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
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: exeunt-drill\r\n\r\n")
        .repeat(count as usize)
        .into_bytes()
}

/// Starts the clients of the load's scenario; the set is empty when each has come to its end.
///
/// Has to be called inside a `LocalSet`.
pub(crate) fn start(load: &Rc<Load>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    let crowd = Rc::new(idle::Door::new());
    for number in 0..load.connections {
        let load = Rc::clone(load);
        match load.scenario {
            Scenario::Keepalive => clients.spawn_local(client::keepalive(load, Duration::ZERO)),
            Scenario::Fresh => clients.spawn_local(client::fresh(load)),
            Scenario::Slow => {
                let delay = load.random.borrow_mut().up_to(Duration::from_millis(500));
                clients.spawn_local(client::keepalive(load, delay))
            }
            Scenario::Idle => clients.spawn_local(idle::idle(load, Rc::clone(&crowd), number)),
        };
    }
    clients
}

impl Load {
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
