//! A batch job without a runtime: each transfer is shielded, and the job ends between two of them.
//!
//! `batch [COUNT]`
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::{App, Error};
use std::thread;
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main_blocking(transfer_all)
}

fn transfer_all(app: &App) -> Result<(), Error> {
    let count = std::env::args().nth(1).map_or(Ok(10), |count| count.parse())?;
    // 4 s for each transfer, counted from `allow_break` to `allow_break`.
    let shield = app.stop().shield(Duration::from_secs(4))?;
    for number in 1..=count {
        shield.allow_break()?;
        transfer(number);
    }
    println!("transferred all");
    app.done();
    Ok(())
}

/// Must not be left half done: debited here, credited there.
fn transfer(number: u32) {
    println!("began {number}");
    thread::sleep(Duration::from_millis(20));
    println!("finished {number}");
}
