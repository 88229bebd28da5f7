//! Servers with one known fault each, and a careful one, for the drill's own tests: `faulty MODE PORT`.
//!
//! None of the project's code is used: a judge is not tried on its own kin.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::exit,
    clippy::print_stderr,
    clippy::zombie_processes,
    reason = "a test's server may die loudly"
)]

mod connection;
mod http2;
mod listener;
mod streams;

use std::cell::Cell;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio, abort, exit};
use std::rc::Rc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::sleep;

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing.
    Good,
    /// Exits in the instant of the signal.
    AtOnce,
    /// Accepts late, and closes its listener with connections in the queue; serves what it accepted.
    DropsQueue,
    /// After the signal, half of each answer.
    Truncates,
    /// After the signal, no answer and no close.
    Hangs,
    /// After the signal, 503.
    Errors,
    /// Closes connections that wait for their next request in the instant of the signal.
    ClosesIdle,
    /// Closes connections with half a request as if they were idle.
    ClosesHalves,
    /// Ends streams in its stop without a word: `WebSockets`, events, HTTP/2.
    TearsStreams,
    /// Says Close 1011 in its stop, and in HTTP/2 that it will answer what it does not.
    SaysWrongly,
    /// Says Close 1001 in its stop, and forgets a message that it had.
    DropsMessages,
    /// In HTTP/2, says GOAWAY in one step.
    GoesAwayAtOnce,
    /// Stops well, but for a child in a session of its own.
    LeavesChild,
    /// A child takes its port over.
    LeavesHeir,
    /// Does not react.
    Ignores,
    /// Never listens.
    NeverOpens,
    /// Exits after some hundred requests.
    DiesUnderLoad,
    /// Stops listening after some hundred requests.
    StopsListening,
    /// Ends by SIGABRT.
    Crashes,
    /// Says `Connection: close` on every answer.
    KeepsNothing,
    /// Answers what is not HTTP.
    Babbles,
}

const MODES: [(&str, Mode); 21] = [
    ("good", Mode::Good),
    ("at-once", Mode::AtOnce),
    ("drops-queue", Mode::DropsQueue),
    ("truncates", Mode::Truncates),
    ("hangs", Mode::Hangs),
    ("errors", Mode::Errors),
    ("closes-idle", Mode::ClosesIdle),
    ("closes-halves", Mode::ClosesHalves),
    ("tears-streams", Mode::TearsStreams),
    ("says-wrongly", Mode::SaysWrongly),
    ("drops-messages", Mode::DropsMessages),
    ("goes-away-at-once", Mode::GoesAwayAtOnce),
    ("leaves-child", Mode::LeavesChild),
    ("leaves-heir", Mode::LeavesHeir),
    ("ignores", Mode::Ignores),
    ("never-opens", Mode::NeverOpens),
    ("dies-under-load", Mode::DiesUnderLoad),
    ("stops-listening", Mode::StopsListening),
    ("crashes", Mode::Crashes),
    ("keeps-nothing", Mode::KeepsNothing),
    ("babbles", Mode::Babbles),
];

/// What the server's parts share.
struct State {
    mode: Mode,
    requests: Cell<u32>,
    stopping: watch::Receiver<bool>,
    /// One receiver for each open connection.
    open: watch::Sender<()>,
}

impl State {
    fn stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    async fn stop(&self) {
        _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(mode), Some(port)) = (args.next(), args.next()) else {
        eprintln!("usage: faulty MODE PORT");
        exit(2);
    };
    let mode = MODES.into_iter().find(|(name, _)| *name == mode).expect("a known mode").1;
    let port = port.parse().expect("a port number");
    if mode == Mode::NeverOpens {
        eprintln!("I will never listen");
        sleep(Duration::from_secs(600)).await;
    }
    LocalSet::new().run_until(serve(mode, port)).await;
}

async fn serve(mode: Mode, port: u16) {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    let listener = listener::bind(port);
    let (stop, stopping) = watch::channel(false);
    let state = Rc::new(State { mode, requests: Cell::new(0), stopping, open: watch::channel(()).0 });
    if mode == Mode::LeavesChild {
        // `setsid` takes it out of the group and the session; then its parent goes, too.
        let mut child = Command::new("sh");
        child.args(["-c", "setsid sleep 600 & exit 0"]).stdin(Stdio::null()).process_group(0);
        child.spawn().unwrap().wait().unwrap();
    }
    let accepting = tokio::task::spawn_local(listener::accept(listener, Rc::clone(&state)));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    match mode {
        Mode::AtOnce => exit(0),
        Mode::Crashes => abort(),
        Mode::Ignores => sleep(Duration::from_secs(600)).await,
        _ => {}
    }
    stop.send(true).unwrap();
    accepting.await.unwrap();
    state.open.closed().await;
    if mode == Mode::LeavesHeir {
        let mut heir = Command::new(std::env::current_exe().unwrap());
        heir.args(["good", &port.to_string()]).process_group(0).spawn().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            sleep(Duration::from_millis(1)).await;
        }
    }
}
