//! `Manager`: the loop, turned by whichever thread calls `poll`.

use super::connection::Connection;
use super::shared::Shared;
use exeunt_manager as engine;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

/// An event loop: sockets, one handler, timers and wakeups.
#[pyclass(frozen, weakref, subclass, module = "exeunt.mongoose")]
pub(crate) struct Manager {
    /// Locked while it is turned; empty once it is closed.
    engine: Mutex<Option<engine::Manager>>,
    shared: Arc<Shared>,
}

#[pymethods]
impl Manager {
    #[new]
    #[pyo3(signature = (handler = None, enable_wakeup = false, error_handler = None))]
    fn new(handler: Option<Py<PyAny>>, enable_wakeup: bool, error_handler: Option<Py<PyAny>>) -> Self {
        _ = enable_wakeup;
        // The engine's handler is made before there is an engine to be told of.
        let told: Arc<OnceLock<Weak<Shared>>> = Arc::default();
        let tell = Arc::clone(&told);
        let made = engine::Manager::new(move |conn, event| {
            if let Some(shared) = tell.get().and_then(Weak::upgrade) {
                shared.told(conn, event);
            }
        });
        let shared = Arc::new(Shared::new(made.handle(), handler, error_handler));
        _ = told.set(Arc::downgrade(&shared));
        Self { engine: Mutex::new(Some(made)), shared }
    }

    #[pyo3(signature = (url))]
    fn listen(&self, py: Python<'_>, url: &str) -> PyResult<Py<Connection>> {
        let listening = py.detach(|| self.shared.handle.listen(url));
        let listener = listening.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        self.shared.object(py, &listener)
    }

    #[pyo3(signature = (timeout_ms = 0))]
    fn poll(&self, py: Python<'_>, timeout_ms: i64) -> PyResult<()> {
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let polled = py.detach(|| {
            let Ok(mut engine) = self.engine.try_lock() else {
                return Err(PyRuntimeError::new_err("poll is not reentrant"));
            };
            let Some(engine) = &mut *engine else {
                return Err(PyRuntimeError::new_err("Manager has been freed"));
            };
            engine.poll(timeout).map_err(|error| PyRuntimeError::new_err(error.to_string()))
        });
        if let Some(raised) = self.shared.take_raised() {
            return Err(raised);
        }
        py.check_signals()?;
        polled.map(|_| ())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let Ok(mut engine) = self.engine.try_lock() else {
                return Err(PyRuntimeError::new_err("the Manager is being polled: stop that first"));
            };
            drop(engine.take());
            Ok(())
        })
    }

    #[getter]
    fn _freed(&self) -> bool {
        self.shared.handle.is_closed()
    }
}
