//! A pool of worker processes: this program itself, once more for each. They are ready before the program is, are
//! replaced when they die, and finish what they have begun when it stops.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

#[cfg(target_os = "linux")]
use exeunt::Readiness;
use exeunt::{App, Error};
use std::thread;
use std::time::Duration;

fn main() -> exeunt::Exit {
    match std::env::args().nth(1) {
        Some(number) => exeunt::main(async move |app| work(app, number)),
        None => exeunt::main(manage),
    }
}

#[cfg(target_os = "linux")]
async fn manage(app: &App) -> Result<(), Error> {
    let program = std::env::current_exe()?;
    let workers = app.children("worker", 2, move |index| {
        let mut command = std::process::Command::new(&program);
        command.arg(index.to_string());
        command
    });
    let workers = workers.each(|worker| worker.ready(Readiness::Notify)).start_async().await?;
    println!("workers {:?}", workers.ids());
    Ok(())
}

#[cfg(not(target_os = "linux"))]
async fn manage(_: &App) -> Result<(), Error> {
    Err("child processes are for Linux alone so far".into())
}

/// What each of them does. That its start-up is over tells the manager that it is ready.
fn work(app: &App, number: String) -> Result<(), Error> {
    app.thread("jobs", move |stop| {
        for job in 1.. {
            if stop.is_requested() {
                break;
            }
            println!("began {number}.{job}");
            thread::sleep(Duration::from_millis(7));
            println!("finished {number}.{job}");
        }
    });
    Ok(())
}
