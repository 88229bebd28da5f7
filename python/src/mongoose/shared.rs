//! What a manager, its connections and its handlers have in common.
//!
//! Its locks are taken with the GIL alone, for a moment, and never while Python may run: so nobody waits for one, and a
//! fork finds them open.

use super::connection::Connection;
use super::http::HttpMessage;
use super::interrupts::check_depth;
use crate::fork::Origin;
use exeunt_manager as engine;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the manager's Python object; the engine's handler looks for it there.
pub(super) struct Shared {
    pub(super) handle: engine::Handle,
    pub(super) origin: Origin,
    pub(super) handler: Mutex<Option<Py<PyAny>>>,
    pub(super) error_handler: Mutex<Option<Py<PyAny>>>,
    /// The one Python object of each open connection: from its first event to its last.
    connections: Mutex<HashMap<u64, Py<Connection>, BuildHasherDefault<Ids>>>,
    /// A view that nobody has kept, for the next request.
    pub(super) spare: Mutex<Option<Py<HttpMessage>>>,
    /// What timers call.
    pub(super) callbacks: Mutex<Callbacks>,
    /// What a handler raised that is no `Exception`: it leaves `poll`.
    raised: Mutex<Option<PyErr>>,
}

/// What timers call, by their keys.
#[derive(Default)]
pub(super) struct Callbacks {
    kept: HashMap<u64, Py<PyAny>>,
    last_key: u64,
}

thread_local! {
    /// The handler of the connection that this thread is about to make: its first event is told before the call returns
    /// that makes it.
    static COMING: RefCell<Option<Py<PyAny>>> = const { RefCell::new(None) };
    /// The object of the connection that this thread has made, for that call to return: by then another thread may have
    /// closed it.
    static MADE: RefCell<Option<Py<Connection>>> = const { RefCell::new(None) };
}

impl Shared {
    pub(super) fn new(handle: engine::Handle) -> Self {
        Self {
            handle,
            origin: Origin::here(),
            handler: Mutex::default(),
            error_handler: Mutex::default(),
            connections: Mutex::default(),
            spare: Mutex::default(),
            callbacks: Mutex::default(),
            raised: Mutex::default(),
        }
    }

    pub(super) fn handle_by(&self, handler: Option<Py<PyAny>>, error_handler: Option<Py<PyAny>>) {
        let before = (
            std::mem::replace(&mut *lock(&self.handler), handler),
            std::mem::replace(&mut *lock(&self.error_handler), error_handler),
        );
        drop(before);
    }

    /// The Python object of that connection; of one that is closed and was forgotten, another.
    pub(super) fn object(&self, py: Python<'_>, of: &engine::Connection) -> PyResult<Py<Connection>> {
        let known = lock(&self.connections).get(&of.id()).map(|known| known.clone_ref(py));
        match known {
            Some(known) => Ok(known),
            None => Py::new(py, Connection::new(of.clone(), None)),
        }
    }

    /// Makes the Python object of a connection that begins.
    pub(super) fn begin(&self, py: Python<'_>, of: &engine::Connection) -> PyResult<Py<Connection>> {
        let handler = match of.accepted_by() {
            Some(listener) => {
                let listener = lock(&self.connections).get(&listener).map(|known| known.clone_ref(py));
                listener.and_then(|listener| listener.get().handler(py))
            }
            None => COMING.take(),
        };
        let made = Py::new(py, Connection::new(of.clone(), handler))?;
        if of.accepted_by().is_none() {
            MADE.set(Some(made.clone_ref(py)));
        }
        lock(&self.connections).insert(of.id(), made.clone_ref(py));
        Ok(made)
    }

    /// Makes a connection that has this handler from its first event on; its object.
    pub(super) fn make<E: Display>(
        &self,
        py: Python<'_>,
        handler: Option<Py<PyAny>>,
        make: impl FnOnce() -> Result<engine::Connection, E>,
    ) -> PyResult<Py<Connection>> {
        check_depth()?;
        // In a handler of another's first event there is somebody else's.
        let before = (COMING.replace(handler), MADE.take());
        let made = make();
        // The handler is there still if nothing was made.
        let (unused, object) = (COMING.replace(before.0), MADE.replace(before.1));
        drop(unused);
        let made = made.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        object.map_or_else(|| self.object(py, &made), Ok)
    }

    pub(super) fn forget(&self, id: u64) {
        let forgotten = lock(&self.connections).remove(&id);
        drop(forgotten);
    }

    /// The open connections, oldest first.
    pub(super) fn connections(&self, py: Python<'_>) -> Vec<Py<Connection>> {
        let known = lock(&self.connections);
        let mut all: Vec<_> = known.iter().map(|(id, known)| (*id, known.clone_ref(py))).collect();
        drop(known);
        all.sort_unstable_by_key(|(id, _)| *id);
        all.into_iter().map(|(_, known)| known).collect()
    }

    /// Keeps what is to leave `poll`, and has it return soon. One call raises one: a second goes where Python sends what
    /// nobody can be told (`sys.unraisablehook`).
    pub(super) fn raise(&self, py: Python<'_>, error: PyErr, raised_by: Option<&Py<PyAny>>) {
        let mut raised = lock(&self.raised);
        let rest = if raised.is_none() { raised.replace(error) } else { Some(error) };
        drop(raised);
        if let Some(rest) = rest {
            rest.write_unraisable(py, raised_by.map(|by| by.bind(py)));
        }
        self.handle.interrupt();
    }

    pub(super) fn take_raised(&self) -> Option<PyErr> {
        lock(&self.raised).take()
    }

    /// Shows the garbage collector what is kept in here. Should a lock be taken, whoever has it keeps that alive.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for handler in [&self.handler, &self.error_handler] {
            if let Ok(handler) = handler.try_lock()
                && let Some(handler) = &*handler
            {
                visit.call(handler)?;
            }
        }
        if let Ok(connections) = self.connections.try_lock() {
            connections.values().try_for_each(|connection| visit.call(connection))?;
        }
        if let Ok(callbacks) = self.callbacks.try_lock() {
            callbacks.kept.values().try_for_each(|callback| visit.call(callback))?;
        }
        Ok(())
    }

    /// Lets go of everything of the program's.
    pub(super) fn clear(&self) {
        let handlers = (lock(&self.handler).take(), lock(&self.error_handler).take());
        let connections = std::mem::take(&mut *lock(&self.connections));
        let callbacks = std::mem::take(&mut lock(&self.callbacks).kept);
        drop((handlers, connections, callbacks));
    }
}

impl Callbacks {
    pub(super) fn keep(&mut self, callback: Py<PyAny>) -> u64 {
        self.last_key += 1;
        self.kept.insert(self.last_key, callback);
        self.last_key
    }

    pub(super) fn of(&self, py: Python<'_>, key: u64) -> Option<Py<PyAny>> {
        self.kept.get(&key).map(|callback| callback.clone_ref(py))
    }

    /// Takes it out, for the caller to drop outside of the lock.
    pub(super) fn forget(&mut self, key: u64) -> Option<Py<PyAny>> {
        self.kept.remove(&key)
    }
}

/// Of ids, which are numbers in order: nobody can choose them so that they would collide.
#[derive(Default)]
struct Ids(u64);

impl Hasher for Ids {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // Fibonacci hashing: the table takes its place from the low bits, and a tag from the high ones.
        self.0 = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A lock that is good whoever panicked with it: nothing is left half-done under one.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
