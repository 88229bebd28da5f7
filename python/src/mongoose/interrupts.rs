//! Ctrl-C in the middle of a handler.
//!
//! Python's own handler of SIGINT raises `KeyboardInterrupt` between any two instructions: in the middle of a handler, whose
//! request then never gets its answer, though the program goes on to close in peace. So while a pass is turned by the main
//! thread, and SIGINT is Python's own, it is ours: what comes in a handler is raised when that has returned, or in it after
//! a while, or with the next one.

use super::shared::Shared;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRecursionError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use rustix::process::{Signal, getpid, kill_process};
use std::cell::Cell;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// How long a handler may go on that is interrupted.
const PATIENCE: Duration = Duration::from_millis(100);

const SIGINT: i32 = 2;

/// How many there are, signal(7).
const SIGNALS: usize = 64;

/// Nothing has come that is not raised yet.
const NONE: u8 = 0;
/// One has come in a handler.
const PUT_OFF: u8 = 1;
/// It takes too long: a further signal is on its way, whose handler raises.
const URGED: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(NONE);
/// Which of those that were put off this is.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// How many handlers may be in each other: each takes kilobytes of the thread's stack, of which Python's own limit knows nothing.
const NESTED: u32 = 64;

thread_local! {
    /// How many handlers this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// What of Python is needed for it, looked up once.
struct Names {
    signal: Py<PyAny>,
    present: Py<PyAny>,
    default: Py<PyAny>,
    ours: Py<PyAny>,
}

/// SIGINT is ours, as long as this pass.
pub(super) struct Taken(&'static Names);

/// From here on SIGINT is ours, if it is Python's own, and this the main thread.
pub(super) fn take(py: Python<'_>) -> PyResult<Option<Taken>> {
    if !super::signals::is_main() {
        return Ok(None);
    }
    let python = python(py)?;
    let present = python.present.bind(py).call1((SIGINT,))?;
    // A program that has put back what it found in a handler has ours set for good: it is given back behind this pass.
    let is_left = present.is(&python.ours) && DEPTH.get() == 0;
    if !is_left && !present.is(&python.default) {
        return Ok(None);
    }
    python.signal.bind(py).call1((SIGINT, &python.ours))?;
    Ok(Some(Taken(python)))
}

impl Taken {
    /// It is Python's again, unless somebody has it meanwhile.
    pub(super) fn end(self, py: Python<'_>) -> PyResult<()> {
        let python = self.0;
        let mut first = Ok(());
        // It runs the handlers of what has come before anything else, and does nothing if one raises; there are no more of
        // them than signals.
        for _ in 0..=SIGNALS {
            if !python.present.bind(py).call1((SIGINT,))?.is(&python.ours) {
                break;
            }
            match python.signal.bind(py).call1((SIGINT, &python.default)) {
                Ok(_) => break,
                Err(raised) if first.is_ok() => first = Err(raised),
                Err(raised) => raised.write_unraisable(py, None),
            }
        }
        first
    }
}

/// For a call that tells a handler before it returns: whether there is room for one more.
pub(super) fn check_depth() -> PyResult<()> {
    if DEPTH.get() < NESTED {
        return Ok(());
    }
    let text = format!("{NESTED} handlers are in each other: one makes the event that it is called for");
    Err(PyRecursionError::new_err(text))
}

impl Shared {
    /// Calls something of the program's, in which an interrupt is put off.
    pub(super) fn within<T>(&self, py: Python<'_>, call: impl FnOnce() -> T) -> T {
        let depth = DEPTH.get();
        DEPTH.set(depth + 1);
        let value = call();
        DEPTH.set(depth);
        let is_over = depth == 0 && STATE.load(Ordering::SeqCst) == PUT_OFF && super::signals::is_main();
        if is_over && STATE.compare_exchange(PUT_OFF, NONE, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.raise(py, PyKeyboardInterrupt::new_err(()), None);
        }
        value
    }
}

/// What Python calls when SIGINT has come: in the main thread, between two instructions.
#[pyfunction]
#[pyo3(name = "_interrupted")]
fn interrupted(_signal: i32, _frame: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    let first =
        DEPTH.get() > 0 && STATE.compare_exchange(NONE, PUT_OFF, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if !first {
        STATE.store(NONE, Ordering::SeqCst);
        return Err(PyKeyboardInterrupt::new_err(()));
    }
    let number = NUMBER.fetch_add(1, Ordering::SeqCst) + 1;
    let urge = move || {
        std::thread::sleep(PATIENCE);
        if NUMBER.load(Ordering::SeqCst) == number
            && STATE.compare_exchange(PUT_OFF, URGED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        {
            _ = kill_process(getpid(), Signal::INT);
        }
    };
    if std::thread::Builder::new().name("exeunt-interrupt".to_owned()).spawn(urge).is_ok() {
        return Ok(());
    }
    // Nobody would raise it.
    STATE.store(NONE, Ordering::SeqCst);
    Err(PyKeyboardInterrupt::new_err(()))
}

fn python(py: Python<'_>) -> PyResult<&'static Names> {
    static PYTHON: PyOnceLock<Names> = PyOnceLock::new();
    PYTHON.get_or_try_init(py, || {
        // What `signal` is made of, without its enumerations.
        let module = py.import("_signal")?;
        let ours = wrap_pyfunction!(interrupted, py)?;
        Ok::<_, PyErr>(Names {
            signal: module.getattr("signal")?.unbind(),
            present: module.getattr("getsignal")?.unbind(),
            default: module.getattr("default_int_handler")?.unbind(),
            ours: ours.into_any().unbind(),
        })
    })
}
