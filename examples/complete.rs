//! A whole service: orders come over HTTP into Postgres, or `SQLite`, and a queue there; a consumer ships them, and the clock
//! has them counted. When it stops, every order that was acknowledged is in the database, none is shipped twice, none half.
//!
//! `complete [ADDRESS] [DATABASE]`, with a database such as `postgres://localhost/shop` or `sqlite:shop.db?mode=rwc`; then
//! `PUT /orders/KEY`, `/livez` and `/readyz`.
#![allow(clippy::print_stdout, reason = "a program prints; a library does not")]

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::put;
use axum::{Extension, Router};
use exeunt::server::InFlight;
use exeunt::{Error, Server, Stop};
use sqlx::AnyPool;
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use std::time::Duration;

/// Longer than a transaction takes, and far shorter than a grace.
const TRANSACTION: Duration = Duration::from_secs(2);

fn main() -> exeunt::Exit {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let url = arguments.next().unwrap_or_else(|| "sqlite:shop.db?mode=rwc".to_owned());
    exeunt::main(async move |app| {
        // Closed last: requests, shipping and the clock use it to their end.
        let pool = app.component("database", open(url), close).await?;
        let (shipping, totals) = (pool.clone(), pool.clone());
        app.task("shipping", |stop| ship(shipping, stop));
        app.task("totals", |stop| count(totals, stop));
        let server = Server::bind(&address)?;
        println!("serving {}", server.local_address());
        app.serve("http", server.service(router(pool)));
        Ok(())
    })
}

async fn open(url: String) -> Result<AnyPool, sqlx::Error> {
    install_default_drivers();
    // SQLite has one writer at a time.
    let connections = if url.starts_with("sqlite:") { 1 } else { 8 };
    let pool = AnyPoolOptions::new().max_connections(connections).connect(&url).await?;
    for table in [
        "CREATE TABLE IF NOT EXISTS orders (order_key VARCHAR(64) PRIMARY KEY)",
        "CREATE TABLE IF NOT EXISTS queue (order_key VARCHAR(64) PRIMARY KEY)",
        "CREATE TABLE IF NOT EXISTS shipments (order_key VARCHAR(64) NOT NULL)",
        "CREATE TABLE IF NOT EXISTS totals (orders BIGINT NOT NULL)",
    ] {
        sqlx::query(table).execute(&pool).await?;
    }
    println!("opened database");
    Ok(pool)
}

async fn close(pool: AnyPool) {
    pool.close().await;
    println!("closed database");
}

fn router(pool: AnyPool) -> Router {
    Router::new().route("/orders/{key}", put(order)).with_state(pool)
}

/// Takes an order: into the books and into the queue, or into neither.
async fn order(
    State(pool): State<AnyPool>,
    Path(key): Path<String>,
    Extension(request): Extension<InFlight>,
) -> Result<StatusCode, (StatusCode, String)> {
    // Granted while the service is being drained, too; too late, nothing has begun, and the client may ask elsewhere.
    let shield = request.shield(TRANSACTION);
    let _shield = shield.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    book(&pool, &key).await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(StatusCode::CREATED)
}

async fn book(pool: &AnyPool, key: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO orders (order_key) VALUES ($1)").bind(key).execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO queue (order_key) VALUES ($1)").bind(key).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Ships what is in the queue, one after the other; told to stop, it finishes the one that it has.
async fn ship(pool: AnyPool, stop: Stop) -> Result<(), Error> {
    while !stop.is_requested() {
        let shipped = {
            let _shield = stop.shield(TRANSACTION);
            ship_next(&pool).await?
        };
        if !shipped && !stop.sleep_async(Duration::from_millis(20)).await {
            break;
        }
    }
    Ok(())
}

/// Out of the queue and into the shipments, or neither. False if the queue was empty.
async fn ship_next(pool: &AnyPool) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let next = "DELETE FROM queue WHERE order_key = (SELECT min(order_key) FROM queue) RETURNING order_key";
    let Some((key,)) = sqlx::query_as::<_, (String,)>(next).fetch_optional(&mut *transaction).await? else {
        return Ok(false);
    };
    sqlx::query("INSERT INTO shipments (order_key) VALUES ($1)").bind(key).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Writes down, every second, how many orders there are.
async fn count(pool: AnyPool, stop: Stop) -> Result<(), Error> {
    while stop.sleep_async(Duration::from_secs(1)).await {
        let _shield = stop.shield(TRANSACTION);
        sqlx::query("INSERT INTO totals (orders) SELECT count(*) FROM orders").execute(&pool).await?;
    }
    Ok(())
}
