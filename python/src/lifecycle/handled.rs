//! Whose a signal is.

use exeunt_lifecycle::Signal;
use pyo3::prelude::*;

/// Whether a lifecycle of this process handles that signal, in whose place Python's `signal.signal` must put nothing.
#[pyfunction(name = "_is_handled")]
pub(crate) fn is_handled(py: Python<'_>, number: i32) -> bool {
    py.detach(|| Signal::new(number).is_handled())
}
