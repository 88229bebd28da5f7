//! The complete service (`examples/complete.rs`), stopped under load: every acknowledged order is in the database, and none
//! is shipped twice, or lost between the queue and the shipments.
//!
//! Over a Postgres of the tests' own, and over `SQLite`; three stops each, with `EXEUNT_SOAK=1` a hundred.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's panic is its failure, and one that cannot run says so"
)]

mod books;
mod clients;
mod postgres;
#[path = "../processes/program.rs"]
#[allow(dead_code, reason = "its own tests need more of it")]
mod program;

use books::Books;
use clients::Clients;
use postgres::Postgres;
use program::{Program, To};
use rustix::process::Signal;
use std::thread;
use std::time::Duration;

/// Clients that order one thing after the other.
const CLIENTS: usize = 16;

#[test]
fn over_postgres_every_acknowledged_order_is_kept_and_none_is_shipped_twice() {
    let Some(postgres) = Postgres::start() else {
        eprintln!("SKIPPED: no Postgres to be had (scripts/test-tools fetches one where apt-get works)");
        return;
    };
    stop_again_and_again(&postgres.url());
}

#[test]
fn over_sqlite_every_acknowledged_order_is_kept_and_none_is_shipped_twice() {
    let folder = tempfile::tempdir().unwrap();
    stop_again_and_again(&format!("sqlite:{}?mode=rwc", folder.path().join("shop.db").display()));
}

fn stop_again_and_again(url: &str) {
    let stops = if std::env::var_os("EXEUNT_SOAK").is_some_and(|value| value == "1") { 100 } else { 3 };
    let mut acknowledged = Vec::new();
    for stop in 0..stops {
        let mut service = Program::example("complete").argument("127.0.0.1:0").argument(url).start();
        let address = service.wait_for("serving ").parse().unwrap();
        let clients = Clients::start(address, stop, CLIENTS);
        clients.until_busy();
        // At another point of their turns each time.
        thread::sleep(Duration::from_micros(u64::from(stop) * 137 % 5000));
        let under_load = clients.acknowledged();
        service.send(Signal::TERM, To::Process);
        let ended = service.end();
        let heard = clients.end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert_eq!(heard.lost, [] as [String; 0], "stop {stop}: sent, and never answered");
        assert_eq!(heard.refused, [] as [String; 0], "stop {stop}: answered by another status than 201");
        assert!(under_load > 0 && heard.acknowledged.len() >= under_load);
        assert_eq!(ended.lines.last().map(String::as_str), Some("closed database"), "{:?}", ended.lines);
        acknowledged.extend(heard.acknowledged);
    }
    let books = Books::read(url);
    books.check(&acknowledged);
    eprintln!("{stops} stops, {} orders, {} shipped, 0 lost", acknowledged.len(), books.shipments.len());
}
