//! Plain threads that poll: each sleeps, looks and works in turn, and the sleep ends when the stop begins.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::{Config, Error, Exit, Force, Lifecycle, Stop};
use std::thread;
use std::time::Duration;

fn main() -> Result<Exit, Error> {
    let lifecycle = Lifecycle::install(Config::from_environment()?.force(Force::Exit))?;
    for name in ["mail", "feeds"] {
        lifecycle.thread(name, move |stop| poll(name, &stop));
    }
    lifecycle.ready();
    lifecycle.stop().wait()?;
    Ok(Exit::of(lifecycle))
}

fn poll(name: &str, stop: &Stop) {
    println!("entered {name}");
    for round in 1.. {
        println!("began {name} {round}");
        thread::sleep(Duration::from_millis(10));
        println!("finished {name} {round}");
        // An hour, and yet the program ends at once.
        let pause = Duration::from_secs(if round % 5 == 0 { 3600 } else { 0 });
        if !stop.sleep(pause) {
            break;
        }
    }
    println!("left {name}");
}
