//! What all connections of a server share.

use crate::Limits;
use exeunt_lifecycle::{Scope, Stop};
use std::sync::Arc;

/// What every connection of a server knows of it.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) limits: Limits,
    /// Counts the work in flight.
    pub(crate) scope: Arc<Scope>,
    pub(crate) stop: Stop,
}

impl Common {
    pub(crate) fn new(limits: Limits, scope: Scope) -> Self {
        Self { limits, stop: scope.stop(), scope: Arc::new(scope) }
    }
}
