//! Stop a program without losing anything.

mod app;
mod error;
mod exit;
mod run;
#[cfg(feature = "server")]
mod serve;
mod start;

pub use app::App;
pub use error::Error;
pub use exeunt_lifecycle::*;
/// Connections that drain without loss.
#[cfg(feature = "server")]
pub use exeunt_server as server;
#[cfg(feature = "server")]
pub use exeunt_server::Server;
pub use exit::Exit;
pub use run::{main, main_with, run};
pub use start::StartError;
