//! `Connection`: one Python object for a connection's whole life.

use super::shared::lock;
use exeunt_manager as engine;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Mutex;

/// A connection, or a listener.
#[pyclass(frozen, weakref, module = "exeunt.mongoose")]
pub(crate) struct Connection {
    /// Of the request that was told last: what answers does so through it.
    engine: Mutex<engine::Connection>,
    handler: Mutex<Option<Py<PyAny>>>,
    userdata: Mutex<Option<Py<PyAny>>>,
}

impl Connection {
    pub(super) fn new(engine: engine::Connection, handler: Option<Py<PyAny>>) -> Self {
        Self { engine: Mutex::new(engine), handler: Mutex::new(handler), userdata: Mutex::default() }
    }

    /// From now on it answers that request.
    pub(super) fn asks(&self, request: &engine::Connection) {
        let before = std::mem::replace(&mut *lock(&self.engine), request.clone());
        drop(before);
    }

    pub(super) fn engine(&self) -> engine::Connection {
        lock(&self.engine).clone()
    }

    pub(super) fn handler(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        lock(&self.handler).as_ref().map(|handler| handler.clone_ref(py))
    }
}

#[pymethods]
impl Connection {
    #[getter]
    fn id(&self) -> u64 {
        self.engine().id()
    }

    #[getter]
    fn local_addr(&self) -> Option<(String, u16, bool)> {
        match self.engine().local_address()? {
            engine::listener::Address::Socket(at) => Some((at.ip().to_string(), at.port(), at.is_ipv6())),
            _ => None,
        }
    }

    #[getter]
    fn userdata(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        lock(&self.userdata).as_ref().map(|data| data.clone_ref(py))
    }

    #[setter]
    fn set_userdata(&self, data: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut *lock(&self.userdata), data);
        drop(before);
    }

    #[pyo3(signature = (code, body = Vec::new()))]
    fn reply(&self, code: u16, body: Vec<u8>) -> PyResult<()> {
        let replied = self.engine().try_reply(code, &[], body);
        replied.map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    fn drain(&self) {
        self.engine().drain();
    }

    fn close(&self) {
        self.engine().close();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The collector may come while another thread is at them; then they are somebody's, and alive.
        for held in [&self.handler, &self.userdata] {
            if let Ok(held) = held.try_lock()
                && let Some(held) = &*held
            {
                visit.call(held)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let held = (lock(&self.handler).take(), lock(&self.userdata).take());
        drop(held);
    }
}
