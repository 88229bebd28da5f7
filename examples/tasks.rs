//! Requests that are each a task, over a connection that closes when the last of them has ended.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use exeunt::{App, Error, Stop, Tasks};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main(start)
}

async fn start(app: &App) -> Result<(), Error> {
    let database = app.component("database", Database::connect(), Database::close).await?;
    let requests = app.tasks("requests");
    app.task("intake", |stop| take_in(requests, database, stop));
    Ok(())
}

/// A request every few milliseconds, and several under way at any time.
async fn take_in(requests: Tasks, database: Arc<Database>, stop: Stop) {
    let mut number = 0;
    while stop.sleep_async(Duration::from_millis(5)).await {
        number += 1;
        let database = Arc::clone(&database);
        requests.spawn(format!("request {number}"), async move |_stop| handle(number, &database).await);
    }
}

async fn handle(number: u32, database: &Database) -> Result<(), Error> {
    println!("began {number}");
    tokio::time::sleep(Duration::from_millis(30)).await;
    database.execute()?;
    println!("finished {number}");
    Ok(())
}

/// Stands for a real one: once it is closed, it executes nothing.
struct Database {
    open: AtomicBool,
}

impl Database {
    async fn connect() -> Result<Arc<Self>, Infallible> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        println!("opened database");
        Ok(Arc::new(Self { open: AtomicBool::new(true) }))
    }

    fn execute(&self) -> Result<(), Error> {
        if self.open.load(Ordering::SeqCst) { Ok(()) } else { Err("the database is closed".into()) }
    }

    async fn close(self: Arc<Self>) {
        self.open.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        println!("closed database");
    }
}
