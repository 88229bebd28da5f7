//! Delivers a console event, and then does to the process what Windows would: see `deliver`.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a tool of the tests: its panic is their failure"
)]

#[cfg(windows)]
mod deliver;

fn main() {
    #[cfg(windows)]
    deliver::main();
}
