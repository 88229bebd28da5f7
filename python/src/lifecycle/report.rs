//! What happened in a stop.

use exeunt_lifecycle as engine;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Work that was ended before it was finished, or was left behind: what it was (`kind`, `name`), for whom (`peer`, or
/// None), how long it had been in flight (`age`, in seconds), and where the program began it (`site`, or None).
#[pyclass(frozen, eq, get_all, module = "exeunt")]
#[derive(Clone, PartialEq)]
pub(crate) struct CutWork {
    kind: String,
    name: String,
    peer: Option<String>,
    age: f64,
    site: Option<String>,
}

impl CutWork {
    pub(crate) fn of(work: &engine::CutWork) -> Self {
        let engine::CutWork { name, kind, peer, age, site } = work;
        Self {
            kind: (*kind).to_owned(),
            name: name.clone(),
            peer: peer.clone(),
            age: age.as_secs_f64(),
            site: site.map(|site| site.to_string()),
        }
    }

    fn left(work: &engine::LiveWork) -> Self {
        Self {
            kind: work.kind.to_owned(),
            name: work.name.clone(),
            peer: None,
            age: work.age.as_secs_f64(),
            site: Some(work.site.to_string()),
        }
    }
}

impl fmt::Display for CutWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name.escape_debug())?;
        if let Some(peer) = &self.peer {
            write!(f, " for {peer}")?;
        }
        write!(f, ", {:.1} s old", self.age)?;
        self.site.as_ref().map_or(Ok(()), |site| write!(f, ", from {site}"))
    }
}

#[pymethods]
impl CutWork {
    fn __str__(&self) -> String {
        self.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<CutWork {self}>")
    }
}

/// What happened in a stop: why, how long, and what became of the work. `str()` is for people, some lines of text.
#[pyclass(frozen, module = "exeunt")]
pub(crate) struct Report {
    report: Arc<engine::Report>,
}

/// As in the file, but for what belongs to the file.
#[derive(Serialize)]
struct Written<'a> {
    exit_status: u8,
    why: String,
    #[serde(flatten)]
    report: &'a engine::Report,
}

impl Report {
    pub(super) fn new(report: Arc<engine::Report>) -> Self {
        Self { report }
    }

    fn sum(&self, of: impl Fn(&engine::ScopeReport) -> u64) -> u64 {
        self.report.scopes.iter().map(of).fold(0, u64::saturating_add)
    }
}

fn count<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

#[pymethods]
impl Report {
    /// Why the program stopped, in words.
    #[getter]
    fn cause(&self) -> Option<String> {
        self.report.cause.as_ref().map(ToString::to_string)
    }

    /// The signal that was the cause, if one was.
    #[getter]
    fn signal(&self) -> Option<i32> {
        match &self.report.cause {
            Some(engine::Cause::Signal(received)) => Some(received.signal.number()),
            _ => None,
        }
    }

    /// From the stop request to the end, in seconds.
    #[getter]
    fn took(&self) -> f64 {
        self.report.took.as_secs_f64()
    }

    /// The time in each phase, in seconds, in order: `starting`, `running`, `lame_duck`, `draining`, `closing`.
    #[getter]
    fn phases<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let phases = PyDict::new(py);
        for entry in &self.report.phases {
            phases.set_item(entry.phase.to_string().replace(' ', "_"), entry.time.as_secs_f64())?;
        }
        Ok(phases)
    }

    /// How much work was in flight when the stop was requested.
    #[getter]
    fn in_flight(&self) -> u64 {
        self.sum(|scope| scope.in_flight_at_stop)
    }

    /// How much work was finished after the stop request.
    #[getter]
    fn finished(&self) -> u64 {
        self.sum(|scope| scope.finished)
    }

    /// The work that was ended before it was finished.
    #[getter]
    fn cut<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let cut = self.report.scopes.iter().flat_map(|scope| &scope.cut);
        PyTuple::new(py, cut.map(CutWork::of).collect::<Vec<_>>())
    }

    /// How much work was cut; `cut` keeps a thousand pieces of each scope.
    #[getter]
    fn cut_count(&self) -> u64 {
        self.sum(|scope| count(&scope.cut).saturating_add(scope.cut_left_out))
    }

    /// That of the work left behind which has a name: threads that could not be ended, say.
    #[getter]
    fn left_behind<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let left = self.report.scopes.iter().flat_map(|scope| &scope.left_behind);
        PyTuple::new(py, left.map(CutWork::left).collect::<Vec<_>>())
    }

    /// How much work was neither finished nor cut when the stop was over.
    #[getter]
    fn left_behind_count(&self) -> u64 {
        self.sum(|scope| scope.left)
    }

    /// Scopes that still had work, or might have got some, when the stop was over.
    #[getter]
    fn unfinished<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let unfinished = self.report.scopes.iter().filter(|scope| scope.held.is_none());
        PyTuple::new(py, unfinished.map(|scope| &scope.name).collect::<Vec<_>>())
    }

    /// Everything that failed, as pairs of a name and an error.
    #[getter]
    fn failures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let failures = self.report.failures.iter().map(|failure| (&failure.name, &failure.error));
        PyTuple::new(py, failures.collect::<Vec<_>>())
    }

    /// Stop signals that counted.
    #[getter]
    fn attempts(&self) -> u32 {
        self.report.attempts
    }

    /// How it ended: `clean`, `cut`, `failed` or `forced`.
    #[getter]
    fn verdict(&self) -> &'static str {
        match self.report.verdict {
            engine::Verdict::Clean => "clean",
            engine::Verdict::Cut => "cut",
            engine::Verdict::Failed => "failed",
            engine::Verdict::Forced { .. } => "forced",
        }
    }

    /// What the process should exit with: 0 clean, 3 cut, 1 failed, 128 + signal forced.
    #[getter]
    fn exit_status(&self) -> u8 {
        self.report.exit_status()
    }

    /// Whether everything was finished.
    #[getter]
    fn is_clean(&self) -> bool {
        self.report.verdict == engine::Verdict::Clean
    }

    /// The report for machines: one JSON object, with all durations in seconds.
    fn to_json(&self) -> PyResult<String> {
        let report = &*self.report;
        let why = report.cause.as_ref().map(ToString::to_string).unwrap_or_default();
        let written = Written { exit_status: report.exit_status(), why, report };
        serde_json::to_string(&written).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn __str__(&self) -> String {
        self.report.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Report {}, exit status {}>", self.verdict(), self.exit_status())
    }
}
