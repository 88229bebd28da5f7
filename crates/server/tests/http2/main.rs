//! HTTP/2, with raw frames where the wire is the point, and the client of the crate `h2` elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's panic is its failure")]

#[path = "../support/mod.rs"]
mod support;

mod basics;
mod crossing;
mod cut;
mod floods;
mod leave;
mod tunnels;
mod waits;
mod wire;
