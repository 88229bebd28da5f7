//! A manager over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's panic is its failure"
)]

mod asking;
mod asking_tls;
mod certificates;
mod connecting;
mod connecting_ends;
mod datagrams;
mod draining;
mod embedded;
mod ending;
mod events;
mod fairness;
mod families;
mod file_parts;
mod files;
mod foreign;
mod forms;
mod handlers;
mod handles;
mod interrupts;
mod large;
mod large_files;
mod leaving;
mod meddling;
mod panics;
mod peers;
mod pressure;
mod probe;
mod processes;
mod releasing;
mod serving;
mod stopping;
mod support;
mod timers;
mod tls_certificates;
mod tls_clients;
mod tls_ends;
mod tls_foreign;
mod tls_serving;
mod tls_starting;
mod wakeups;
mod waking;
mod websocket;
