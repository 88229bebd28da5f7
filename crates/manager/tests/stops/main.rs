//! A program of its own, stopped under load again and again, and judged by its clients: what each of them asked is
//! accounted for.
//!
//! `EXEUNT_SOAK=1` makes it 100 stops of each kind, and the file one of 5 GB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's panic is its failure"
)]

mod files;
mod frames;
#[path = "../sockets/probe.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod probe;
#[path = "../sockets/support.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod support;
mod tls;
mod uploads;
mod websocket;

use probe::{Probe, example};
use std::net::SocketAddr;
use std::process::Command;

/// The example `loaded`, and where it serves.
fn loaded(arguments: &[&str]) -> (Probe, SocketAddr) {
    let mut command = Command::new(example("loaded"));
    command.args(arguments);
    Probe::of(command).with_address()
}

fn is_soak() -> bool {
    std::env::var_os("EXEUNT_SOAK").is_some()
}

/// Stops of each kind.
fn rounds() -> u32 {
    if is_soak() { 100 } else { 3 }
}
