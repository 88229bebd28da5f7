//! A server to be stopped under load, for the tests of stops.
//!
//! `loaded websocket` sends messages back, and says in the end how many it did; `loaded tls DIR` answers requests
//! with a word, by the certificate and the key in a folder; `loaded files DIR` serves a folder.
#![allow(clippy::print_stdout, clippy::expect_used, clippy::panic, reason = "a program, not a library")]

use exeunt_lifecycle::{Config, Lifecycle};
use exeunt_manager::{Event, Files, Listen, Manager, SendError, Tls, WsOp};
use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let how = match arguments.as_slice() {
        ["websocket"] => websocket(),
        ["tls", dir] => tls(dir.as_ref()),
        ["files", dir] => files(dir.as_ref()),
        _ => panic!("loaded websocket | loaded tls DIR | loaded files DIR"),
    };
    // Time enough to end what is in flight, on however busy a machine.
    let lifecycle = Lifecycle::install(Config::default().grace(Duration::from_secs(600))).expect("signals");
    let mut manager = Manager::without_handler();
    let listener = manager.listen_with("http://127.0.0.1:0", how).expect("a port");
    println!("serving {}", listener.local_address().expect("it listens"));
    lifecycle.ready();
    println!("{}", manager.run(&lifecycle).expect("the kernel waits"));
    let [echoed, late] = [&ECHOED, &LATE].map(|count| count.load(Ordering::Relaxed));
    println!("echoed {echoed}, late {late}");
    drop(manager);
    ExitCode::from(lifecycle.close().exit_status())
}

/// Messages that were sent back.
static ECHOED: AtomicU64 = AtomicU64::new(0);

/// Messages that came behind our Close, so that they could not be.
static LATE: AtomicU64 = AtomicU64::new(0);

fn websocket() -> Listen {
    Listen::new().handler(|conn, event| match event {
        Event::HttpMessage(_) => conn.ws_upgrade(&[]).expect("it asks for one"),
        Event::WsMessage(message) => {
            let count = match conn.ws_send(WsOp::Text, message.data()) {
                Ok(()) => &ECHOED,
                Err(SendError::SaidClose) => &LATE,
                Err(error) => panic!("an echo may be sent: {error}"),
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        _ => {}
    })
}

fn tls(dir: &Path) -> Listen {
    let pem = |name| fs::read(dir.join(name)).expect("PEM");
    let tls = Tls::new().certificate(pem("certificate.pem"), pem("key.pem"));
    tls.check().expect("a certificate and its key");
    Listen::new().tls(tls).handler(|conn, event| {
        if let Event::HttpMessage(_) = event {
            conn.reply(200, &[], "hello");
        }
    })
}

fn files(dir: &Path) -> Listen {
    let files = Files::open(dir).expect("a folder");
    Listen::new().handler(move |conn, event| {
        if let Event::HttpMessage(request) = event {
            conn.serve_dir(request, &files).expect("it is asked once");
        }
    })
}
