//! One round: start the server, load it, stop it, watch it go, look at what it left.

mod ready;
mod signaller;
mod void;

pub(crate) use ready::answers;
pub use void::Void;

use crate::error::Error;
use crate::load::{self, Ledger, Limits, Load, Signalled};
use crate::process::{Exit, Process, Server};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::signal::StopSignal;
use crate::verdict::{Fault, FaultKind};
use signaller::Signaller;
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

/// A SYN still unanswered so long after the process has gone was refused in all but name.
const CONNECT_SETTLE: Duration = Duration::from_millis(30);
/// What is unanswered so long after the process has gone is held by somebody else, or by nobody. Above the
/// retransmission of a first request that a full queue swallowed (200 and 600 ms after it was sent, tcp(7)).
const SETTLE: Duration = Duration::from_secs(1);
/// Children may follow their parent so long after it.
const CHILDREN_SETTLE: Duration = Duration::from_millis(250);
/// Silence before the signal in `idle`; elsewhere some time for a server to take what was sent; the bound for getting
/// there.
const SILENCE: Duration = Duration::from_millis(300);
const STANDING: Duration = Duration::from_millis(100);
const IN_PLACE_WITHIN: Duration = Duration::from_secs(15);

/// What a round needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    /// Whether the command names the port, for the hint when it never opens.
    pub(crate) names_port: bool,
    pub(crate) address: SocketAddr,
    /// The path that has to answer before the load begins.
    pub(crate) probe: String,
    pub(crate) path: String,
    /// The path that takes bodies, in `half-sent`.
    pub(crate) upload: Option<String>,
    pub(crate) goodbye: String,
    pub(crate) scenario: Scenario,
    pub(crate) connections: u32,
    pub(crate) flight: Duration,
    pub(crate) pipeline: u32,
    pub(crate) signal: StopSignal,
    pub(crate) to_group: bool,
    pub(crate) deadline: Duration,
    pub(crate) start_deadline: Duration,
}

/// What a round showed.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) ledger: Ledger,
    pub(crate) signal: Option<Instant>,
    pub(crate) exit: Option<Exit>,
    pub(crate) faults: Vec<Fault>,
    /// Why the round proves nothing, where it does not.
    pub(crate) void: Option<Void>,
    pub(crate) left_over: Vec<Process>,
    pub(crate) output: String,
}

impl Setup {
    /// Holds a round. Dropped on the way, it leaves no process behind.
    ///
    /// Has to be polled inside a `LocalSet`.
    pub(crate) async fn hold(&self) -> Result<Round, Error> {
        let mut server = Server::start(&self.program, &self.args)?;
        let mut round = match ready::ready(&mut server, self).await {
            Ok(()) => self.rehearse(&mut server).await,
            Err(fault) => Round { faults: vec![fault], ..Round::default() },
        };
        round.output = server.output();
        server.end().await;
        Ok(round)
    }

    async fn rehearse(&self, server: &mut Server) -> Round {
        let mut random = Random::new();
        let warm_up = match self.scenario {
            Scenario::Keepalive | Scenario::Fresh | Scenario::Flight | Scenario::Http2 => {
                Some(Duration::from_millis(200) + random.up_to(Duration::from_millis(100)))
            }
            Scenario::Slow => Some(Duration::from_millis(600) + random.up_to(Duration::from_millis(400))),
            _ => None,
        };
        let batch = if self.scenario.pipelines() { self.pipeline } else { 1 };
        let load = Rc::new(Load {
            address: self.address,
            scenario: self.scenario,
            connections: self.connections,
            flight: self.flight,
            batch,
            request: load::request_of(self.scenario, self.address, &self.path, batch),
            path: self.path.clone(),
            upload: self.upload.as_ref().map(|path| load::upload(self.address, path)),
            goodbye: self.goodbye.clone(),
            limits: Limits::default(),
            signal: Signalled::default(),
            planned: warm_up.map(|warm_up| Instant::now() + warm_up),
            gone: Cell::new(false),
            closed: Cell::new(false),
            ledger: RefCell::default(),
            random: RefCell::new(random),
            standing: Cell::new(0),
        });
        let mut clients = load::start(&load);
        let send = server.signaller(self.signal.raw(), self.to_group);
        let mut round = Round::default();

        let Some(signal) = stop(&load, server, &mut clients, send).await else {
            load.gone.set(server.exit().is_some());
            watch_the_end(&load, &mut clients).await;
            let status = server.exit().map(|exit| exit.status);
            round.exit = server.exit();
            round.faults.push(Fault::new(FaultKind::DiedDuringLoad { status }));
            round.ledger = load.ledger.take();
            return round;
        };
        let standing = load.standing.get();
        let exit = tokio::select! {
            exit = server.ended() => Some(exit),
            () = sleep_until((signal + self.deadline).into()) => None,
        };
        load.gone.set(exit.is_some());
        watch_the_end(&load, &mut clients).await;

        round.signal = Some(signal);
        round.exit = exit;
        round.ledger = load.ledger.take();
        round.void = void::void(self.scenario, self.connections, &round.ledger, signal, standing);
        match exit {
            Some(exit) => self.look_round(server, exit, &mut round).await,
            None => round.faults.push(Fault::new(FaultKind::IgnoredSignal {
                signal: self.signal.to_string(),
                deadline_ms: self.deadline.as_millis().try_into().unwrap_or(u64::MAX),
            })),
        }
        round.faults.extend(Fault::refused_before(&round.ledger));
        round
    }

    /// The leader has gone: what did it leave?
    async fn look_round(&self, server: &Server, exit: Exit, round: &mut Round) {
        let until = exit.at + CHILDREN_SETTLE;
        let answers = loop {
            round.left_over = server.left_over();
            let answers = answers(self.address).await;
            if (round.left_over.is_empty() && !answers) || Instant::now() >= until {
                break answers;
            }
            sleep(Duration::from_millis(5)).await;
        };
        if !round.left_over.is_empty() {
            let names = round.left_over.iter().map(|left| format!("{} ({})", left.name, left.pid)).collect();
            round.faults.push(Fault::new(FaultKind::LeftOver { processes: names }));
        }
        if answers {
            round.faults.push(Fault::new(FaultKind::PortNotFree { port: self.address.port() }));
        }
        round.faults.extend(Fault::crashed(exit.status, self.signal));
    }
}

/// Sends the signal at its moment; `None` if the process ended before it.
async fn stop(
    load: &Rc<Load>,
    server: &mut Server,
    clients: &mut JoinSet<()>,
    send: impl FnOnce() + Send + 'static,
) -> Option<Instant> {
    let at = match load.planned {
        Some(planned) => planned,
        None => tokio::select! {
            () = in_place(load, clients) => {
                Instant::now() + load.random.borrow_mut().up_to(Duration::from_millis(50))
            }
            _ = server.ended() => return None,
        },
    };
    // From a thread of its own: sent by the load's thread, it could only come while no client is sending.
    let signaller = Signaller::new(load.signal.clone(), at, send);
    tokio::select! {
        biased;
        () = load.signal.wait() => {}
        _ = server.ended() => {}
    }
    drop(signaller);
    let signal = load.signal.at()?;
    server.exit().is_none_or(|exit| exit.at >= signal).then_some(signal)
}

/// Until every client has taken its place or has left, and some time more.
async fn in_place(load: &Load, clients: &mut JoinSet<()>) {
    let settled = async {
        loop {
            while let Some(ended) = clients.try_join_next() {
                pass_on(ended);
            }
            if clients.len() == load.standing.get() as usize {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    // Whoever is not there by then is missing from the count, which makes the round void.
    _ = timeout(IN_PLACE_WITHIN, settled).await;
    sleep(if load.scenario == Scenario::Idle { SILENCE } else { STANDING }).await;
}

/// Lets the clients see the end of what they began, as long as that makes sense.
async fn watch_the_end(load: &Load, clients: &mut JoinSet<()>) {
    load.closed.set(true);
    if load.gone.get() && timeout(CONNECT_SETTLE, all_ended(clients)).await.is_err() {
        load.limits.end_connects();
        _ = timeout(SETTLE, all_ended(clients)).await;
    }
    load.limits.end();
    all_ended(clients).await;
}

async fn all_ended(clients: &mut JoinSet<()>) {
    while let Some(ended) = clients.join_next().await {
        pass_on(ended);
    }
}

/// A client that panicked has requests that nobody counted: no verdict can stand on that.
fn pass_on(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
