//! What a drain did.

use crate::lifecycle::CutWork;
use exeunt_manager as engine;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// What became of everything that was open when a drain began. `str()` is for people, some lines of text.
#[pyclass(frozen, module = "exeunt.mongoose")]
pub(crate) struct DrainReport {
    report: engine::DrainReport,
}

/// How a listener was closed. `str()` is for people.
#[pyclass(frozen, module = "exeunt.mongoose")]
pub(crate) struct ListenerReport {
    /// From the first step to the last, in seconds.
    #[pyo3(get)]
    duration: f64,
    /// Clients that were accepted while it closed.
    #[pyo3(get)]
    accepted: usize,
    /// Whether it was closed by its limit, with clients possibly lost.
    #[pyo3(get)]
    limit_hit: bool,
    /// The system's error that ended it, if one did.
    #[pyo3(get)]
    failure: Option<String>,
    text: String,
}

impl DrainReport {
    pub(crate) fn new(report: engine::DrainReport) -> Self {
        Self { report }
    }
}

#[pymethods]
impl DrainReport {
    /// From the beginning of the drain to its end, in seconds.
    #[getter]
    fn duration(&self) -> f64 {
        self.report.duration.as_secs_f64()
    }

    /// How each listener was closed.
    #[getter]
    fn listeners<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let listeners = self.report.listeners.iter().map(|it| ListenerReport {
            duration: it.duration.as_secs_f64(),
            accepted: it.accepted,
            limit_hit: it.limit_hit,
            failure: it.failure.clone(),
            text: it.to_string(),
        });
        PyTuple::new(py, listeners.collect::<Vec<_>>())
    }

    /// What the deadline ended, a thousand pieces at most.
    #[getter]
    fn cut<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.report.cut.iter().map(CutWork::of).collect::<Vec<_>>())
    }

    /// How many pieces of work the deadline ended.
    #[getter]
    fn cut_count(&self) -> u64 {
        self.report.cut_count
    }

    /// Faults of the native module while it called handlers; what handlers raise is told otherwise.
    #[getter]
    fn panics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.report.panics)
    }

    /// Whether nothing was cut, and every listener closed well.
    #[getter]
    fn is_clean(&self) -> bool {
        self.report.is_clean()
    }

    fn __str__(&self) -> String {
        self.report.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<DrainReport {:.3} s, {} cut>", self.duration(), self.report.cut_count)
    }
}

#[pymethods]
impl ListenerReport {
    fn __str__(&self) -> &str {
        &self.text
    }
}
