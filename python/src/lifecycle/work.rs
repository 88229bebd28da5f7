//! Work that is counted while it is in flight.

use super::names::kept;
use exeunt_lifecycle as engine;
use exeunt_lifecycle::{OnFailure, Site};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::sync::{Mutex, PoisonError};

/// A piece of work in flight: the stop waits for it until the drain deadline, and then names it. Dropped, it is
/// finished.
#[pyclass(frozen, module = "exeunt")]
pub(crate) struct Work {
    /// What it is.
    #[pyo3(get)]
    name: String,
    /// What sort of work.
    #[pyo3(get)]
    kind: &'static str,
    /// `None` once it is over.
    tracked: Mutex<Option<engine::Tracked>>,
}

impl Work {
    pub(super) fn new(tasks: &engine::Tasks, name: String, kind: &str, site: Site) -> Self {
        let kind = kept(kind, "work");
        let tracked = tasks.track(kind, name.clone(), site);
        Self { name, kind, tracked: Mutex::new(Some(tracked)) }
    }

    fn take(&self) -> Option<engine::Tracked> {
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failed(&self, py: Python<'_>, error: &Bound<'_, PyAny>) {
        let Some(tracked) = self.take() else { return };
        let what = error.get_type().name().map_or_else(|_| "an error".to_owned(), |name| name.to_string());
        let text = match error.str() {
            Ok(text) if !text.to_string_lossy().is_empty() => format!("{what}: {}", text.to_string_lossy()),
            _ => what,
        };
        // It may wait for the lifecycle's lock.
        py.detach(|| tracked.fail(text, OnFailure::GoOn));
    }
}

#[pymethods]
impl Work {
    /// It must end now: the drain deadline has come, or the end is forced.
    #[getter]
    fn is_cut(&self) -> bool {
        let tracked = self.tracked.lock().unwrap_or_else(PoisonError::into_inner);
        tracked.as_ref().is_some_and(engine::Tracked::is_cut)
    }

    /// It is over, in whatever way.
    #[getter]
    fn is_done(&self) -> bool {
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// It is finished. Whatever is said later changes nothing.
    fn done(&self, py: Python<'_>) {
        let tracked = self.take();
        py.detach(|| drop(tracked));
    }

    /// It was ended before it was finished: it is named in the report, and the exit status is 3.
    fn cut(&self, py: Python<'_>) {
        if let Some(tracked) = self.take() {
            py.detach(|| tracked.cut());
        }
    }

    /// It failed, by that error: it is in the report, and the exit status is 1.
    fn fail(&self, py: Python<'_>, error: &Bound<'_, PyAny>) {
        self.failed(py, error);
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (_kind = None, error = None, _traceback = None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        error: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        match error {
            None => self.done(py),
            Some(error) if error.is_instance_of::<PyException>() && !is_cancelled(py, error)? => {
                self.failed(py, error);
            }
            Some(_) => self.cut(py),
        }
        Ok(())
    }
}

/// asyncio's `CancelledError` is none of the `Exception`s, that of `concurrent.futures` is.
fn is_cancelled(py: Python<'_>, error: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CANCELLED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let name = error.get_type().name()?;
    if name.to_string_lossy() != "CancelledError" {
        return Ok(false);
    }
    error.is_instance(CANCELLED.import(py, "concurrent.futures", "CancelledError")?)
}
