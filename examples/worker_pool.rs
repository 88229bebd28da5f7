//! A pool of workers over a bounded queue. At the stop the queue is worked off, or what was not begun is handed back
//! and kept for the next time.
//!
//! `worker_pool finish` or `worker_pool hand-back`
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::{Error, Pool};
use std::thread;
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main(async |app| {
        let hands_back = std::env::args().nth(1).as_deref() == Some("hand-back");
        let pool =
            app.pool("resize").workers(2).queue(8).job_name(|picture: &u32| format!("picture {picture}"));
        let pool = if hands_back { pool.hand_back() } else { pool.finish_queue() };
        // The pool is a component too: what its queue still holds when it closes is kept.
        let start = async { pool.start(|picture, _stop| resize(picture)) };
        let pool = app.component("pool", start, async |pool: Pool<u32>| keep(&pool.take_rest())).await?;
        app.task("camera", |_stop| take_pictures(pool));
        Ok(())
    })
}

/// More pictures than the workers can do, until the pool takes no more.
async fn take_pictures(pool: Pool<u32>) -> Result<(), Error> {
    for picture in 1.. {
        println!("took {picture}");
        if let Err(refused) = pool.push_async(picture).await {
            println!("kept {}", refused.into_job());
            return Ok(());
        }
    }
    Ok(())
}

fn resize(picture: u32) {
    println!("began {picture}");
    thread::sleep(Duration::from_millis(12));
    println!("finished {picture}");
}

fn keep(pictures: &[u32]) {
    for picture in pictures {
        println!("kept {picture}");
    }
}
