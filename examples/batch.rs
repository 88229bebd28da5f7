//! A batch job without a runtime: each transfer is shielded, and the job ends between two of them.
//!
//! `batch [COUNT]`
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::{Config, Error, Exit, Lifecycle, Stop};
use std::thread;
use std::time::Duration;

fn main() -> Result<Exit, Error> {
    let lifecycle = Lifecycle::install(Config::from_environment()?)?;
    let count = std::env::args().nth(1).map_or(Ok(10), |count| count.parse())?;
    let outcome = transfer_all(&lifecycle.stop(), count);
    lifecycle.body_ended(outcome);
    Ok(Exit::of(lifecycle))
}

fn transfer_all(stop: &Stop, count: u32) -> Result<(), Error> {
    // 4 s for each transfer, counted from `allow_break` to `allow_break`.
    let shield = stop.shield(Duration::from_secs(4))?;
    for number in 1..=count {
        shield.allow_break()?;
        transfer(number);
    }
    println!("transferred all");
    Ok(())
}

/// Must not be left half done: debited here, credited there.
fn transfer(number: u32) {
    println!("began {number}");
    thread::sleep(Duration::from_millis(20));
    println!("finished {number}");
}
