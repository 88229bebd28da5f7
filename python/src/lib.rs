//! The native module of the Python package `exeunt`.
//!
//! It converts arguments, errors and objects, and decides nothing: what decides is in `exeunt-manager` and
//! `exeunt-lifecycle`, and what Python says more plainly is in the package around this. It is private: programs import
//! `exeunt` and `exeunt.mongoose`.

#[cfg(unix)]
mod closing;
#[cfg(unix)]
mod embedded;
#[cfg(unix)]
mod fork;
mod lifecycle;
mod main_thread;
#[cfg(unix)]
mod mongoose;
#[cfg(unix)]
mod parent;
mod shields;

use pyo3::prelude::*;

/// Everything that the package takes from Rust.
#[pymodule]
mod _native {
    #[cfg(unix)]
    #[pymodule_export]
    use crate::closing::Closing;
    #[cfg(unix)]
    #[pymodule_export]
    use crate::embedded::{Embedded, Exchange};
    #[pymodule_export]
    use crate::lifecycle::{Component, CutWork, Lifecycle, Report, Watch, Work, is_handled};
    #[pymodule_export]
    use crate::main_thread::{interrupt_main_thread, waits_end_by};
    #[cfg(unix)]
    #[pymodule_export]
    use crate::mongoose::{
        Connection, DrainReport, HttpMessage, ListenerReport, Manager, Nudge, Timer, TlsOpts, WsMessage,
        configure, drain_poll, follow, interrupt, matches, nudge_when_over, run_poll, scan_multipart,
    };
    #[cfg(unix)]
    #[pymodule_export]
    use crate::parent::die_with_parent;
    #[pymodule_export]
    use crate::shields::{Shields, ShutdownProtection};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        if !exeunt_sys_python::is_main_interpreter(module.py()) {
            return Err(pyo3::exceptions::PyImportError::new_err(
                "module exeunt._native does not support loading in subinterpreters",
            ));
        }
        #[cfg(unix)]
        crate::fork::watch(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
