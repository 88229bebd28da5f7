//! The stop of a manager, in steps: what `run`, `drain` and `stop` of the package are made of.
//!
//! Functions and not methods, since they are the package's and no program's.

use super::manager::Manager;
use super::report::DrainReport;
use crate::lifecycle::Lifecycle;
use exeunt_lifecycle::{Phase, Signal, Watch};
use exeunt_manager as engine;
use exeunt_manager::Passed;
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A step does not say how it passed: a signal may have come.
const ANY: Passed = Passed::Interrupted;

/// Has these handlers told of what happens: its `__init__`.
#[pyfunction]
#[pyo3(name = "_configure")]
pub(crate) fn configure(
    manager: &Manager,
    handler: Option<Bound<'_, PyAny>>,
    enable_wakeup: bool,
    error_handler: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    manager.configure(handler, enable_wakeup, error_handler)
}

/// From now on that lifecycle's stop is the manager's, which is counted in it until it is closed.
#[pyfunction]
#[pyo3(name = "_follow")]
pub(crate) fn follow(py: Python<'_>, manager: &Manager, lifecycle: &Lifecycle) -> PyResult<()> {
    // No longer than this: the signals are restored when the lifecycle is closed, by whoever is last to hold it.
    let scope = lifecycle.engine()?.scope("manager");
    manager.turned(py, Some(Duration::ZERO), |engine| {
        engine.count_in(scope);
        Ok(((), Passed::Whole))
    })
}

/// One pass by that lifecycle, of `timeout_ms` at most; the report when nothing is left.
#[pyfunction]
#[pyo3(name = "_run_poll")]
pub(crate) fn run_poll(
    py: Python<'_>,
    manager: &Manager,
    lifecycle: &Lifecycle,
    timeout_ms: f64,
) -> PyResult<Option<DrainReport>> {
    let stop = lifecycle.stop();
    // Negative: without limit.
    let timeout = Duration::try_from_secs_f64(timeout_ms / 1000.0).ok();
    let report = manager.turned(py, timeout, |engine| Ok((engine.run_poll(stop, timeout)?, ANY)))?;
    Ok(report.map(DrainReport::new))
}

/// One pass of a drain: what is in flight in `left` seconds is cut, and what that leaves is closed in `end` seconds.
#[pyfunction]
#[pyo3(name = "_drain_poll")]
pub(crate) fn drain_poll(
    py: Python<'_>,
    manager: &Manager,
    left: f64,
    end: f64,
) -> PyResult<Option<DrainReport>> {
    let (deadline, end) = (after(left), after(end));
    let pass = |engine: &mut engine::Manager| Ok((engine.drain_poll_until(deadline, end, None)?, ANY));
    let report = manager.turned(py, None, pass)?;
    Ok(report.map(DrainReport::new))
}

/// Has the main thread call Python's handler of that signal when the lifecycle is over, as if the signal had come: whatever
/// it is stuck in then is interrupted. As long as what this returns is there; not beside `Lifecycle.close`.
#[pyfunction]
#[pyo3(name = "_nudge_when_over")]
pub(crate) fn nudge_when_over(lifecycle: &Lifecycle, signal: i32) -> Nudge {
    let stop = lifecycle.stop().clone();
    let over = stop.clone();
    let nudge = move || {
        if over.phase() == Phase::Stopped {
            // Where it is not possible, a further signal from outside does the same.
            _ = Signal::new(signal).nudge();
        }
    };
    Nudge { watch: Mutex::new(Some(stop.on_change(nudge))) }
}

/// Keeps `_nudge_when_over` in force.
#[pyclass(frozen, name = "_Nudge", module = "exeunt._native")]
pub(crate) struct Nudge {
    watch: Mutex<Option<Watch>>,
}

#[pymethods]
impl Nudge {
    /// Ends it.
    fn close(&self) {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(watch);
    }
}

/// Has the pass that is under way return, or the next one.
#[pyfunction]
#[pyo3(name = "_interrupt")]
pub(crate) fn interrupt(manager: &Manager) -> PyResult<()> {
    manager.interrupt()
}

/// A deadline may have passed; none is further away than a clock runs.
fn after(seconds: f64) -> Instant {
    let now = Instant::now();
    let left = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST);
    now.checked_add(left.min(LONGEST)).unwrap_or(now)
}

/// A week: nobody drains for longer.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
