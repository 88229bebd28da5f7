use super::Setup;
use crate::load::{Limits, request, speaks_http2};
use crate::observe::{Answer, Connection, Opened};
use crate::process::Server;
use crate::scenario::Scenario;
use crate::verdict::{Fault, FaultKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until, timeout};

/// Between two tries; a server that starts in a few milliseconds is not kept waiting.
const EVERY: Duration = Duration::from_millis(5);
/// One try: a server that takes longer to answer is asked again.
const ONE_TRY: Duration = Duration::from_secs(2);
/// Somebody who accepts on loopback does so at once.
const CONNECT: Duration = Duration::from_millis(200);

/// Waits until the path answers with 200 to 399, the process ends, or the start deadline passes.
pub(super) async fn ready(server: &mut Server, setup: &Setup) -> Result<(), Fault> {
    let until = Instant::now() + setup.start_deadline;
    let mut last = Probe::Closed;
    let asking = async {
        loop {
            last = timeout(ONE_TRY, probe(setup.address, &setup.probe)).await.unwrap_or(Probe::Silent);
            if matches!(last, Probe::Status(200..=399)) {
                return;
            }
            sleep(EVERY).await;
        }
    };
    let died = tokio::select! {
        // Not if it has ended: whoever answers then is somebody else.
        biased;
        exit = server.ended() => Some(exit.status),
        () = asking => return speaks(setup).await,
        () = sleep_until(until.into()) => None,
    };
    let after_ms = setup.start_deadline.as_millis().try_into().unwrap_or(u64::MAX);
    let port = setup.address.port();
    let path = setup.probe.clone();
    Err(Fault::new(match (died, last) {
        (Some(status), _) => FaultKind::DiedAtStart { status, port },
        (None, Probe::Closed) => FaultKind::NeverOpened { port, after_ms, names_port: setup.names_port },
        (None, Probe::Silent) => FaultKind::NeverReady { path, status: None, after_ms },
        (None, Probe::Status(status)) => FaultKind::NeverReady { path, status: Some(status), after_ms },
    }))
}

/// Whether anybody accepts, or at least swallows SYNs, at this address.
pub(crate) async fn answers(address: SocketAddr) -> bool {
    match timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream.local_addr().is_ok_and(|local| local != address),
        Ok(Err(_)) => false,
        Err(_) => true,
    }
}

/// Whether it speaks what the scenario does.
async fn speaks(setup: &Setup) -> Result<(), Fault> {
    if setup.scenario != Scenario::Http2 {
        return Ok(());
    }
    let mut watch = Limits::default().watch();
    let speaks = match Connection::open(setup.address, &mut watch).await {
        Opened::Connection(connection) => speaks_http2(connection, &mut watch).await,
        Opened::Not(_) | Opened::OwnTrouble(_) => false,
    };
    if speaks { Ok(()) } else { Err(Fault::new(FaultKind::NoHttp2)) }
}

#[derive(Clone, Copy, Debug)]
enum Probe {
    Closed,
    Silent,
    Status(u16),
}

async fn probe(address: SocketAddr, path: &str) -> Probe {
    let mut watch = Limits::default().watch();
    let Opened::Connection(mut connection) = Connection::open(address, &mut watch).await else {
        return Probe::Closed;
    };
    connection.send(&request(address, path, 1), true);
    match connection.answer(&mut watch).await {
        (Answer::Whole { status, .. }, _) => Probe::Status(status),
        _ => Probe::Silent,
    }
}
