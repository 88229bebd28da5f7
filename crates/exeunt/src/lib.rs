//! Stop a program without losing anything.
//!
//! Requests that were accepted are answered, work that was begun is finished or named, what was opened is closed in
//! order, and the process ends inside its time budget with a truthful account of what happened.
//!
//! ```no_run
//! # #[derive(Clone)] struct Db;
//! # impl Db {
//! #     async fn connect() -> std::io::Result<Self> { Ok(Self) }
//! #     async fn close(self) -> std::io::Result<()> { Ok(()) }
//! # }
//! # async fn reindex(_: Db, _: exeunt::Stop) {}
//! # fn router(_: Db) -> axum::Router { axum::Router::new() }
//! # use exeunt::Server;
//! fn main() -> exeunt::Exit {
//!     exeunt::main(async |app| {
//!         let db = app.component("database", Db::connect(), |db| db.close()).await?; // closed last
//!         app.serve("http", Server::bind("0.0.0.0:8000")?.service(router(db.clone())));
//!         app.task("reindex", |stop| reindex(db, stop));
//!         app.ready(); // returning implies it
//!         Ok(())
//!     })
//! }
//! ```
//!
//! | you have | use |
//! |---|---|
//! | a program with a runtime of ours | [`main`](fn@main), [`main_with`] |
//! | a runtime of your own | [`run()`] |
//! | no runtime | [`main_blocking`], or [`Lifecycle::install`] and [`Exit::of`] |
//! | something to open and to close | [`Lifecycle::component`], [`Lifecycle::component_blocking`] |
//! | a server | [`App::serve`], or [`App::accept`] for other protocols, with the feature `server` |
//! | an event loop in Mongoose's manner | [`manager::Manager`], with the feature `manager` |
//! | tasks, threads, blocking jobs | [`Lifecycle::task`], [`Lifecycle::thread`], [`Lifecycle::blocking`], [`Lifecycle::tasks`] |
//! | a queue of jobs | [`Lifecycle::pool`] |
//! | work that must not be interrupted | [`Stop::shield`] |
//! | a loop that waits between its rounds | [`Stop::sleep`], [`Stop::sleep_async`] |
//! | work of your own making | [`Lifecycle::scope`] |
//!
//! The guide (`docs/guide`) has a chapter for each pattern, with a program that shows it whole; `docs/semantics.md` has the
//! rules, and `docs/environment.md` what an operator can set.
//!
//! # Features
//!
//! - `server`: [`Server`], for any tower service, and [`App::serve`].
//! - `manager`: [`manager::Manager`], an event loop with one handler, timers and wakeups.
//! - `tokio-util`: `Stop::token` and `Stop::request_when_cancelled`, a bridge to `CancellationToken`.
//! - `metrics`: phase, work in flight, connections, what was cut and how long it took, through the `metrics` facade.
//! - `prometheus`: those in Prometheus' text, under `/metrics` of [`App::admin`].

#[cfg(feature = "server")]
mod accept;
#[cfg(feature = "server")]
mod admin;
mod app;
mod blocking;
mod error;
mod exit;
#[cfg(doctest)]
mod guide;
mod not_started;
mod run;
#[cfg(feature = "server")]
mod serve;

pub use app::App;
pub use blocking::{main_blocking, main_blocking_with};
pub use error::Error;
pub use exeunt_lifecycle::*;
/// An event loop with one handler, timers and wakeups, whose connections drain without loss.
#[cfg(feature = "manager")]
pub use exeunt_manager as manager;
/// Connections that drain without loss.
#[cfg(feature = "server")]
pub use exeunt_server as server;
#[cfg(feature = "server")]
pub use exeunt_server::Server;
pub use exit::Exit;
pub use not_started::NotStarted;
pub use run::{main, main_with, run};
