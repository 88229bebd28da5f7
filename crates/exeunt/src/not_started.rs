//! What can keep a program from starting.

use exeunt_lifecycle::{EnvironmentError, InstallError};
use std::io;

/// The program could not be started; its body has not run.
///
/// ```
/// # use exeunt::{Config, InstallError, NotStarted};
/// let exit = exeunt::main_with(Config::default().max_attempts(0), async |_| Ok(()));
/// assert!(matches!(exit.ended(), Err(NotStarted::Install(InstallError::Config(_)))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotStarted {
    /// An environment variable cannot be used.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The lifecycle cannot be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The runtime cannot be built: there are no threads or descriptors left.
    #[error("the runtime could not be started ({0}); raise the limits of threads and of open files")]
    Runtime(#[source] io::Error),
}
