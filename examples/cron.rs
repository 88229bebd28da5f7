//! Jobs by the clock: a run that was begun is finished, the next one is not begun, and a wait ends at once.
//!
//! `cron [SCHEDULE]`, in five fields or, with seconds, in six; `* * * * * *` unless told otherwise.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use chrono::{DateTime, Local};
use croner::Cron;
use exeunt::{Error, Stop};
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main(async |app| {
        let schedule = std::env::args().nth(1).unwrap_or_else(|| "* * * * * *".to_owned());
        let schedule: Cron = schedule.parse()?;
        app.task("invoices", |stop| by_schedule(schedule, stop));
        Ok(())
    })
}

async fn by_schedule(schedule: Cron, stop: Stop) -> Result<(), Error> {
    println!("opened schedule");
    loop {
        let next = schedule.find_next_occurrence(&Local::now(), false)?;
        println!("next at {next}");
        if !sleep_until(next, &stop).await {
            println!("closed schedule");
            return Ok(());
        }
        println!("began {next}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        println!("finished {next}");
    }
}

/// In steps, since the clock on the wall may be set meanwhile; false if the program stops.
async fn sleep_until(time: DateTime<Local>, stop: &Stop) -> bool {
    while let Ok(left) = (time - Local::now()).to_std() {
        if left.is_zero() {
            break;
        }
        if !stop.sleep_async(left.min(Duration::from_secs(30))).await {
            return false;
        }
    }
    !stop.is_requested()
}
