//! Which process an object was made in.
//!
//! A forked child has the objects of its parent, but none of its threads: a lock may be held by one of those for ever,
//! and the sockets and the event queue are the parent's as well. So objects remember where they were made, and whoever
//! uses them looks at that before any lock. No system call is made for it: Python says when it has forked.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeSet;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// This process: how often its line was forked since the module was loaded.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Its number, which a system call would have to be asked for.
static PID: AtomicU32 = AtomicU32::new(0);

/// The event queues of this process. Locked with the GIL alone, so that a fork finds it open.
static QUEUES: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Where something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    forks: u32,
    pid: u32,
}

impl Origin {
    /// In this process.
    pub(crate) fn here() -> Self {
        Self { forks: FORKS.load(Ordering::Relaxed), pid: PID.load(Ordering::Relaxed) }
    }

    pub(crate) fn is_here(self) -> bool {
        self.forks == FORKS.load(Ordering::Relaxed)
    }

    /// A `RuntimeError` if this was made before a fork; `what` it is.
    pub(crate) fn check(self, what: &str) -> PyResult<()> {
        if self.is_here() {
            return Ok(());
        }
        let pid = self.pid;
        Err(PyRuntimeError::new_err(format!(
            "this {what} was made in another process (pid {pid}), before a fork: make a new Manager here"
        )))
    }
}

/// An event queue begins: a forked child leaves it, and all that it watches.
pub(crate) fn begins(queue: RawFd) {
    queues().insert(queue);
}

/// It is about to be closed.
pub(crate) fn ends(queue: RawFd) {
    queues().remove(&queue);
}

fn queues() -> MutexGuard<'static, BTreeSet<RawFd>> {
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has Python say when it has forked.
pub(crate) fn watch(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    PID.store(std::process::id(), Ordering::Relaxed);
    let forked = wrap_pyfunction!(forked, module)?;
    let hooks = PyDict::new(py);
    hooks.set_item("after_in_child", forked)?;
    py.import("os")?.getattr("register_at_fork")?.call((), Some(&hooks))?;
    Ok(())
}

#[pyfunction]
fn forked(py: Python<'_>) -> PyResult<()> {
    FORKS.fetch_add(1, Ordering::Relaxed);
    PID.store(std::process::id(), Ordering::Relaxed);
    let parents = std::mem::take(&mut *queues());
    #[cfg(target_os = "linux")]
    for queue in parents {
        // Without /proc they stay open, unused, until this process ends.
        _ = exeunt_sys::descriptors::leave(queue);
    }
    crate::mongoose::signals::forked(py)
}
