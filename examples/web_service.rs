//! A web service over a database: requests that are under way are answered before the database closes, and no stop comes
//! between the two halves of a transaction, not even the drain deadline.
//!
//! `web_service [ADDRESS]`; then `GET /orders/7`, which takes a while, `/livez` and `/readyz`.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};
use exeunt::Server;
use exeunt::server::InFlight;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn main() -> exeunt::Exit {
    exeunt::main(async |app| {
        // Closed last, so that whatever serves requests may use it to its end.
        let database = app.component("database", Database::connect(), Database::close).await?;
        let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        let server = Server::bind(&address)?;
        println!("serving {}", server.local_address());
        app.serve("http", server.service(router(database)));
        Ok(())
    })
}

fn router(database: Arc<Database>) -> Router {
    Router::new().route("/orders/{number}", get(order)).with_state(database)
}

async fn order(
    State(database): State<Arc<Database>>,
    Path(number): Path<u32>,
    Extension(request): Extension<InFlight>,
) -> Result<String, (StatusCode, String)> {
    // Granted while the service is being drained, too; too late, it has not begun, and the client may try elsewhere.
    let transaction = request.shield(Duration::from_secs(2));
    let _transaction = transaction.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let ordered = database.order(number).await;
    ordered.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// Stands for a real one: it takes its time, and answers nothing once it is closed.
struct Database {
    open: AtomicBool,
}

impl Database {
    async fn connect() -> io::Result<Arc<Self>> {
        tokio::time::sleep(Duration::from_millis(30)).await;
        println!("opened database");
        Ok(Arc::new(Self { open: AtomicBool::new(true) }))
    }

    async fn order(&self, number: u32) -> io::Result<String> {
        tokio::time::sleep(Duration::from_millis(60)).await;
        match self.open.load(Ordering::SeqCst) {
            true => Ok(format!("order {number}\n")),
            false => Err(io::Error::other("the database is closed")),
        }
    }

    async fn close(self: Arc<Self>) {
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.open.store(false, Ordering::SeqCst);
        println!("closed database");
    }
}
