//! Does to console events what tests need done in a process of its own: `console_probe SCENARIO`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a scenario's panic is its failure, and its unsafe code is the foreign code of the scenario"
)]

#[cfg(windows)]
mod scenarios;

fn main() {
    #[cfg(windows)]
    scenarios::main();
}
