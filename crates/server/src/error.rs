//! What can go wrong with a server.

use exeunt_listener::{AddressError, BindError};
use std::io;

/// A server that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The text names no place to listen on.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The place cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl ServerError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            // Its message says already how to write one.
            Self::Address(_) => None,
            Self::Bind(error) => error.hint(),
        }
    }
}

/// A server that could not go on. Whatever it had accepted has been drained.
#[derive(Debug, thiserror::Error)]
#[error("cannot accept connections any more")]
pub struct ServeError {
    #[from]
    source: io::Error,
}
