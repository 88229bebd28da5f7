//! A descriptor that tells event loops of the stop.

use super::doorbell::{Descriptor, Doorbell};
use exeunt_lifecycle as engine;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// A descriptor that gets readable whenever the phase of a lifecycle changes, until `seen` is called.
#[pyclass(frozen, module = "exeunt")]
pub(crate) struct Watch {
    /// `None` once it is closed.
    open: Mutex<Option<Watched>>,
}

/// The same, for Rust.
pub(super) struct Watched {
    bell: Arc<Doorbell>,
    #[expect(dead_code, reason = "held for its drop")]
    watch: engine::Watch,
}

impl Watched {
    pub(super) fn new(stop: &engine::Stop) -> io::Result<Self> {
        let bell = Arc::new(Doorbell::new()?);
        let rung = Arc::clone(&bell);
        let watch = stop.on_change(move || rung.ring());
        Ok(Self { bell, watch })
    }

    pub(super) fn bell(&self) -> &Doorbell {
        &self.bell
    }
}

impl Watch {
    pub(super) fn new(stop: &engine::Stop) -> PyResult<Self> {
        let watched = Watched::new(stop)?;
        Ok(Self { open: Mutex::new(Some(watched)) })
    }

    fn with<R>(&self, act: impl FnOnce(&Doorbell) -> R) -> PyResult<R> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref()
            .map(|watched| act(&watched.bell))
            .ok_or_else(|| PyValueError::new_err("this Watch is closed; ask for another"))
    }
}

#[pymethods]
impl Watch {
    /// The descriptor, for `loop.add_reader`, `selectors` and `select`.
    fn fileno(&self) -> PyResult<Descriptor> {
        self.with(Doorbell::descriptor)
    }

    /// What happened is seen: readable again when the phase has changed once more.
    fn seen(&self) -> PyResult<()> {
        self.with(Doorbell::seen)
    }

    /// Ends it; the descriptor is closed.
    fn close(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(open);
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, pyo3::types::PyTuple>) {
        self.close();
    }
}
