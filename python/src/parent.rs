//! A worker's tie to the process that has started it.

use pyo3::prelude::*;

/// Has the kernel kill this process when the thread that started it ends (`PR_SET_PDEATHSIG`, prctl(2)).
///
/// Says whether it will: not where there is no such thing.
#[pyfunction]
pub(crate) fn die_with_parent() -> bool {
    #[cfg(target_os = "linux")]
    return rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).is_ok();
    #[cfg(not(target_os = "linux"))]
    return false;
}
