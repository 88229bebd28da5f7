//! The main thread of Python, which runs the handlers of `signal.signal`.

use pyo3::prelude::*;

/// By which event of Windows its waits end, as a number; 0 for none.
#[pyfunction(name = "_waits_end_by")]
pub(crate) fn waits_end_by(event: usize) {
    exeunt_sys_python::waits_end_by(event);
}

/// Has it run Python's handler of that signal, and on Windows ends what it waits in, as far as that is possible. Not in or
/// behind the exit handlers. False for a number that is none of a signal.
#[pyfunction(name = "_interrupt_main_thread")]
pub(crate) fn interrupt_main_thread(signal: i32) -> bool {
    exeunt_sys_python::interrupt_main_thread(signal)
}
