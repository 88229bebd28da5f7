//! What is in the database when the service has stopped.

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection as _};
use std::collections::BTreeSet;

/// The keys of each table.
pub(crate) struct Books {
    orders: Vec<String>,
    queue: Vec<String>,
    pub(crate) shipments: Vec<String>,
}

impl Books {
    pub(crate) fn read(url: &str) -> Self {
        install_default_drivers();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = AnyConnection::connect(url).await.unwrap();
            let books = Self {
                orders: keys(&mut connection, "SELECT order_key FROM orders").await,
                queue: keys(&mut connection, "SELECT order_key FROM queue").await,
                shipments: keys(&mut connection, "SELECT order_key FROM shipments").await,
            };
            connection.close().await.unwrap();
            books
        })
    }

    /// What was acknowledged is there; every order is either in the queue or shipped, and once.
    #[track_caller]
    pub(crate) fn check(&self, acknowledged: &[String]) {
        let orders: BTreeSet<_> = self.orders.iter().collect();
        let missing: Vec<_> = acknowledged.iter().filter(|key| !orders.contains(key)).collect();
        assert!(missing.is_empty(), "acknowledged, and not in the database: {missing:?}");
        let mut kept: Vec<_> = self.queue.iter().chain(&self.shipments).collect();
        kept.sort_unstable();
        let all: Vec<_> = orders.into_iter().collect();
        assert!(
            kept == all,
            "orders, and what is queued or shipped, differ: {} and {}",
            all.len(),
            kept.len()
        );
    }
}

async fn keys(connection: &mut AnyConnection, query: &'static str) -> Vec<String> {
    let rows: Vec<(String,)> = sqlx::query_as(query).fetch_all(connection).await.unwrap();
    rows.into_iter().map(|(key,)| key).collect()
}
