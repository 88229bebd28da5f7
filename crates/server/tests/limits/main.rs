//! The limits of rule D9, one by one, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod bodies;
mod connections;
mod heads;
mod readers;
#[path = "../support/mod.rs"]
mod support;
