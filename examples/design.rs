//! The whole program of the README, in its smallest form: a database, a server, a task.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]
#![allow(clippy::redundant_closure_for_method_calls, reason = "as people write it")]

use axum::{Router, extract::State, routing::get};
use exeunt::{Server, Stop};
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main(async |app| {
        let db = app.component("database", Db::connect(), |db| db.close()).await?;
        app.serve("http", Server::bind("0.0.0.0:8000")?.service(router(db.clone())));
        app.task("reindex", |stop| reindex(db, stop));
        app.ready();
        Ok(())
    })
}

fn router(db: Db) -> Router {
    Router::new().route("/", get(async |State(db): State<Db>| db.greeting())).with_state(db)
}

async fn reindex(db: Db, stop: Stop) {
    while stop.sleep_async(Duration::from_millis(100)).await {
        db.reindex();
    }
}

/// A database as small as can be: it is there, and it closes.
#[derive(Clone)]
struct Db;

impl Db {
    async fn connect() -> Result<Self, std::io::Error> {
        println!("opened database");
        Ok(Self)
    }

    fn greeting(&self) -> &'static str {
        "hello from the database\n"
    }

    fn reindex(&self) {}

    async fn close(self) -> Result<(), std::io::Error> {
        println!("closed database");
        Ok(())
    }
}
