//! An application that is not interrupted while it is initialised, nor while it is finalised: a stop that comes
//! during either waits for its end.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::{App, Error, Stop};
use std::convert::Infallible;
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main(start)
}

async fn start(app: &App) -> Result<(), Error> {
    // Each part is started whole or not at all; if a stop comes meanwhile, `?` leaves here, and what has been
    // started is stopped again, the last first.
    let service = app.component("service", Part::start("service"), Part::stop).await?;
    let workers = app.component("workers", Part::start("workers"), Part::stop).await?;
    app.task("execution", move |stop| execute(service, workers, stop));
    Ok(())
}

async fn execute(service: Part, workers: Part, stop: Stop) {
    while stop.sleep_async(Duration::from_millis(10)).await {
        println!("executing in {} with {}", service.name, workers.name);
    }
}

/// Takes its time in each direction, and must not be left between.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
}

impl Part {
    async fn start(name: &'static str) -> Result<Self, Infallible> {
        println!("began starting {name}");
        tokio::time::sleep(Duration::from_millis(40)).await;
        println!("finished starting {name}");
        println!("opened {name}");
        Ok(Self { name })
    }

    async fn stop(self) {
        println!("began stopping {}", self.name);
        tokio::time::sleep(Duration::from_millis(40)).await;
        println!("finished stopping {}", self.name);
        println!("closed {}", self.name);
    }
}
