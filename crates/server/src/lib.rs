//! A server for tower services that stops without losing a request.
//!
//! [`Server`] speaks HTTP/1.1 and HTTP/2 through hyper and follows the drain rules D1 to D9 of `docs/semantics.md`: when
//! a stop is requested it answers on with `Connection: close` or says GOAWAY, closes its listener without losing anyone in
//! the queue,
//! gives silent connections a grace before it closes them, and reports what the drain deadline cut. A handler finds its
//! request as [`InFlight`] among the extensions, and may shield a transaction by it; one that gives an answer without an
//! end (a WebSocket, events, a long poll) is told by [`Draining`] when to say goodbye.
//!
//! Unix only, as its listener is.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use exeunt_server::{Health, Server, lifecycle::{Config, Lifecycle}};
//! # let router = tower::service_fn(|_: http::Request<exeunt_server::RequestBody>| async {
//! #     Ok::<_, std::convert::Infallible>(http::Response::new(String::new())) });
//!
//! let server = Server::bind("127.0.0.1:8000")?;
//! let lifecycle = Lifecycle::install(Config::default())?;
//! lifecycle.ready();
//! server.service(Health::new(router, lifecycle.stop())).run(&lifecycle).await?; // until it is drained
//! let report = lifecycle.finished().await;
//! # drop(report); Ok(()) }
//! ```

mod accept;
mod admin;
mod alarm;
mod body;
mod common;
mod connection;
mod draining;
mod error;
#[cfg(feature = "tonic")]
mod grpc;
mod health;
mod house;
mod http1;
mod http2;
mod in_flight;
mod limits;
mod observe;
mod peer;
#[cfg(feature = "prometheus")]
mod prometheus;
mod registry;
mod room;
mod server;
#[cfg(feature = "metrics")]
mod telemetry;
mod transport;
mod turn_away;

pub use crate::accept::Acceptor;
pub use crate::admin::Admin;
pub use crate::body::RequestBody;
pub use crate::draining::{Draining, Until};
pub use crate::error::{ServeError, ServerError};
#[cfg(feature = "tonic")]
pub use crate::grpc::GrpcHealth;
pub use crate::health::{Health, Probe};
pub use crate::http2::Http2Limits;
pub use crate::in_flight::InFlight;
pub use crate::limits::{Late, Limits};
pub use crate::peer::Peer;
#[cfg(feature = "prometheus")]
pub use crate::prometheus::{OtherRecorder, prometheus};
pub use crate::server::{HttpService, Server};
pub use exeunt_drain::Tell;
pub use exeunt_lifecycle as lifecycle;
pub use exeunt_listener as listener;

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
