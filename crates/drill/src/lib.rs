//! Runs a server, loads it, stops it, and accounts for every request.
//!
//! [`Drill`] describes a rehearsal: a command, a load, a signal. [`Drill::run`] holds it and answers
//! with a [`Verdict`]: every request in exactly one [`Class`], every loss with the rule that it breaks
//! and an example. The server may be written in anything; the judge shares no code with it.
//!
//! ```no_run
//! use exeunt_drill::{Drill, Outcome, Stop};
//!
//! let drill = Drill::new("my-server").arg("--port").arg("{port}").port(8000);
//! let verdict = drill.run(&mut (), &Stop::new())?;
//! println!("{verdict}");
//! assert_eq!(verdict.outcome, Outcome::Pass);
//! # Ok::<(), exeunt_drill::Error>(())
//! ```
//!
//! Linux only: exits are watched with `waitid`, descendants found in /proc.

pub mod control;

mod config;
mod error;
mod load;
mod observe;
mod port;
mod process;
mod random;
mod resources;
mod round;
mod run;
mod scenario;
mod signal;
mod verdict;

pub use config::Drill;
pub use error::Error;
pub use observe::{Class, Subject};
pub use port::free_port;
pub use process::{ExitStatus, Process};
pub use round::Void;
pub use run::{Progress, Stop};
pub use scenario::Scenario;
pub use signal::StopSignal;
pub use verdict::{
    Control, Example, ExitTimes, Fault, FaultKind, LeftOver, Loss, Outcome, ScenarioVerdict, Settings,
    StatusCount, Verdict, VoidRound,
};
