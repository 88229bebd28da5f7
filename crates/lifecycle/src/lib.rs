//! Phases, signals, work and report of a program that stops well.
//!
//! A [`Lifecycle`] turns a wish that the program end (a signal, a call, a failure) into an orderly end inside a time
//! budget: everybody is told, what is in flight finishes or is cut at a deadline, and a [`Report`] says truthfully
//! what happened. The rules are numbered (L1 and so on) in `docs/semantics.md`.
//!
//! - [`Lifecycle::install`] handles signals and needs no runtime; [`Lifecycle::on_runtime`] handles none and runs on
//!   tokio's clock, so that tests can pause time.
//! - [`Stop`] is what everybody else holds: ask it, wait for it, request it.
//! - [`Scope`] is somebody whose work must be done before closing; [`Work`] is one counted piece of it.
//! - [`Lifecycle::component`] starts what has to be closed in the end, in reverse order of start; [`Group`]s nest.
//! - [`Lifecycle::child`] starts child processes that end with the program.
//! - [`Stop::shield`] protects what a stop may not interrupt; [`Stop::run_at_exit`] is for what must be done last.
//!
//! ```
//! use exeunt_lifecycle::{Config, Lifecycle};
//!
//! let lifecycle = Lifecycle::install(Config::default())?;
//! let stop = lifecycle.stop();
//! lifecycle.ready();
//! let scope = lifecycle.scope("jobs");
//! let worker = std::thread::spawn(move || {
//!     while !scope.stop().is_requested() {
//!         let _job = scope.begin();
//!     }
//! });
//! stop.request_stop("the example is over");
//! let report = lifecycle.close();
//! assert_eq!(report.exit_status(), 0);
//! # worker.join().unwrap();
//! # Ok::<(), exeunt_lifecycle::InstallError>(())
//! ```

#[cfg(feature = "tokio")]
mod bell;
mod bounded;
mod cause;
mod clock;
mod component;
mod config;
mod core;
mod counts;
mod environment;
mod exit_statuses;
mod follow;
mod foreign;
mod hooks;
mod hub;
mod kept;
mod last_resort;
mod lifecycle;
mod loom;
mod machine;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(any(target_os = "linux", windows))]
mod process;
mod report;
mod runner;
#[cfg(feature = "tokio")]
mod runtime;
mod scope;
pub mod service;
mod shield;
mod signal;
mod site;
mod stdin;
mod stop;
#[cfg(feature = "tokio-util")]
mod token;
mod watch;
mod work;

pub use cause::{Cause, Failure, Received, Sender};
pub use component::{BlockingComponent, ComponentOutcome, ComponentReport, Group, GroupReport, StartError};
#[cfg(feature = "tokio")]
pub use component::{Component, ExitWorkError};
pub use config::{Config, ConfigError};
pub use environment::{EnvironmentError, VARIABLES, Variable};
pub use exit_statuses::ExitStatuses;
pub use follow::{HeldScope, HeldUp, Progress};
pub use hooks::HookOutcome;
pub use last_resort::Force;
pub use lifecycle::{InstallError, Lifecycle};
pub use machine::{Phase, Verdict};
#[cfg(any(target_os = "linux", windows))]
pub use process::{Child, ChildBuilder, ChildError, ChildExit, Children, ChildrenBuilder, Readiness};
#[cfg(feature = "report-file")]
pub use report::{LastStop, LastStopError};
pub use report::{PhaseTime, Report, ScopeReport};
pub use scope::{CutWork, Scope, Work};
pub use shield::{Break, Shield, ShieldOutcome, ShieldReport, StopImminent};
pub use signal::Signal;
pub use site::Site;
pub use stop::{Forked, Stop};
pub use watch::Watch;
pub use work::{LiveWork, OnFailure, Outcome, Pool, PoolBuilder, PushError, Tasks, Tracked};
