//! A consumer of a message queue: a message that was taken is worked off and acknowledged, and what was only fetched
//! goes back to the broker.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::{App, Error, Stop};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main(start)
}

async fn start(app: &App) -> Result<(), Error> {
    let broker = app.component("broker", Broker::connect(), Broker::close).await?;
    for number in 1..=3 {
        app.task(format!("consumer {number}"), {
            let broker = Arc::clone(&broker);
            |stop| consume(broker, stop)
        });
    }
    Ok(())
}

async fn consume(broker: Arc<Broker>, stop: Stop) {
    loop {
        // Between messages, and nowhere else, the consumer leaves.
        let message = tokio::select! {
            biased;
            () = stop.requested() => return,
            message = broker.next() => message,
        };
        println!("began {message}");
        tokio::time::sleep(Duration::from_millis(15)).await;
        broker.acknowledge(message);
        println!("finished {message}");
    }
}

/// Stands for a real broker: it knows which messages are out and not acknowledged.
#[derive(Default)]
struct Broker {
    messages: Mutex<Messages>,
}

#[derive(Default)]
struct Messages {
    next: u32,
    out: VecDeque<u32>,
}

impl Broker {
    async fn connect() -> Result<Arc<Self>, Infallible> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        println!("opened broker");
        Ok(Arc::default())
    }

    /// Cancel safe: what nobody receives is not out.
    async fn next(&self) -> u32 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.next += 1;
        let message = messages.next;
        messages.out.push_back(message);
        message
    }

    fn acknowledge(&self, message: u32) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).out.retain(|out| *out != message);
    }

    async fn close(self: Arc<Self>) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let lost = self.messages.lock().unwrap_or_else(PoisonError::into_inner).out.len();
        println!("unacknowledged {lost}");
        println!("closed broker");
    }
}
