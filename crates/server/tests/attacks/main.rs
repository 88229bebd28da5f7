//! Known attacks and bad input (rule D9), over real sockets: the server refuses them, and goes on serving others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

mod floods;
mod smuggling;
#[path = "../support/mod.rs"]
mod support;
