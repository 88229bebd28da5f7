//! Programs as their users meet them: real processes, real signals, exit statuses, what is said.
//!
//! Each example is struck at every one of its first 300 milliseconds; with `EXEUNT_SOAK=1` in every way.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's panic is its failure, and one that cannot run says so"
)]

mod examples;
mod faults;
mod program;
mod sweep;
