//! `Timer`: what a program calls in a while, or every so often.

use super::shared::{Shared, lock};
use crate::fork::Origin;
use exeunt_manager as engine;
use exeunt_sys_python::call;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Arc, Weak};

/// A timer of a manager. Dropping it changes nothing: it goes on until it has fired, is cancelled, or the manager closes.
#[pyclass(frozen, weakref, module = "exeunt.mongoose")]
pub(crate) struct Timer {
    engine: engine::Timer,
    origin: Origin,
}

impl Timer {
    pub(super) fn add(
        py: Python<'_>,
        shared: &Arc<Shared>,
        schedule: engine::Schedule,
        callback: Py<PyAny>,
    ) -> PyResult<Option<Py<Self>>> {
        let kept = Kept::new(shared, callback);
        let Ok(engine) = shared.handle.timer(schedule, move |_| kept.fire()) else { return Ok(None) };
        Py::new(py, Self { engine, origin: Origin::here() }).map(Some)
    }
}

#[pymethods]
impl Timer {
    /// Whether it will fire again.
    #[getter]
    fn active(&self) -> PyResult<bool> {
        self.origin.check("Timer")?;
        Ok(self.engine.is_active())
    }

    /// Ends it. If it is firing in another thread at this moment, that firing is the last; a second call does nothing.
    fn cancel(&self) -> PyResult<()> {
        self.origin.check("Timer")?;
        self.engine.cancel();
        Ok(())
    }
}

/// A callback's place among those of its manager, where the garbage collector sees it. The engine has this.
struct Kept {
    shared: Weak<Shared>,
    key: u64,
}

impl Kept {
    fn new(shared: &Arc<Shared>, callback: Py<PyAny>) -> Self {
        let key = lock(&shared.callbacks).keep(callback);
        Self { shared: Arc::downgrade(shared), key }
    }

    fn fire(&self) {
        let Some(shared) = self.shared.upgrade().filter(|shared| shared.origin.is_here()) else { return };
        Python::attach(|py| {
            let callback = lock(&shared.callbacks).of(py, self.key);
            let Some(callback) = callback else { return };
            shared.within(py, || {
                if let Err(error) = call(callback.bind(py), &PyTuple::empty(py)) {
                    shared.failed(py, error, &callback);
                }
            });
        });
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let callback = lock(&shared.callbacks).forget(self.key);
        drop(callback);
    }
}
