//! What a manager, its connections and its handlers have in common.

use super::connection::Connection;
use exeunt_manager as engine;
use pyo3::prelude::*;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the manager's Python object, and by the engine's handler.
pub(super) struct Shared {
    pub(super) handle: engine::Handle,
    pub(super) handler: Mutex<Option<Py<PyAny>>>,
    pub(super) error_handler: Mutex<Option<Py<PyAny>>>,
    /// The one Python object of each open connection.
    connections: Mutex<HashMap<u64, Py<Connection>>>,
    /// What a handler raised that is no `Exception`: it leaves `poll`.
    raised: Mutex<Option<PyErr>>,
}

impl Shared {
    pub(super) fn new(
        handle: engine::Handle,
        handler: Option<Py<PyAny>>,
        error_handler: Option<Py<PyAny>>,
    ) -> Self {
        Self {
            handle,
            handler: Mutex::new(handler),
            error_handler: Mutex::new(error_handler),
            connections: Mutex::default(),
            raised: Mutex::default(),
        }
    }

    /// The Python object of that connection, made if there is none yet.
    pub(super) fn object(&self, py: Python<'_>, of: &engine::Connection) -> PyResult<Py<Connection>> {
        let known = lock(&self.connections).get(&of.id()).map(|known| known.clone_ref(py));
        if let Some(known) = known {
            return Ok(known);
        }
        let made = Py::new(py, Connection::new(of.clone()))?;
        if !of.is_open() {
            return Ok(made);
        }
        // Whoever was first has made the one that stays.
        let kept = lock(&self.connections).entry(of.id()).or_insert_with(|| made.clone_ref(py)).clone_ref(py);
        Ok(kept)
    }

    pub(super) fn forget(&self, id: u64) {
        let forgotten = lock(&self.connections).remove(&id);
        drop(forgotten);
    }

    /// Keeps what is to leave `poll`, and has it return soon. The first is kept.
    pub(super) fn raise(&self, error: PyErr) {
        let mut raised = lock(&self.raised);
        let rest = if raised.is_none() { raised.replace(error) } else { Some(error) };
        drop(raised);
        drop(rest);
        self.handle.interrupt();
    }

    pub(super) fn take_raised(&self) -> Option<PyErr> {
        lock(&self.raised).take()
    }
}

/// A lock that is good whoever panicked with it: nothing is left half-done under one.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
