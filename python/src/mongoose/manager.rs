//! `Manager`: the loop, turned by whichever thread calls `poll`.

use super::connection::Connection;
use super::interrupts;
use super::numbers::Milliseconds;
use super::shared::Shared;
use super::signals;
use super::timer::Timer;
use crate::fork;
use exeunt_manager as engine;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::Duration;

/// No connection's: those are counted from 1.
const WAKEUP_ID: u64 = i64::MAX as u64;

/// An event loop: sockets, one handler, timers and wakeups.
#[pyclass(frozen, weakref, subclass, module = "exeunt.mongoose")]
pub(crate) struct Manager {
    /// Locked while it is turned, and never waited for; empty once it is closed.
    engine: Mutex<Option<engine::Manager>>,
    shared: Arc<Shared>,
    wakeups: AtomicBool,
}

#[pymethods]
impl Manager {
    /// What the package's `__init__` takes is no matter here: subclasses take what they like.
    #[new]
    #[pyo3(signature = (*_arguments, **_named))]
    fn new(
        py: Python<'_>,
        _arguments: &Bound<'_, PyTuple>,
        _named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        // The engine's handler is made before there is an engine to be told of.
        let told: Arc<OnceLock<Weak<Shared>>> = Arc::default();
        let tell = Arc::clone(&told);
        is_finalizing(py);
        let mut made = engine::Manager::new(move |conn, event| {
            if let Some(shared) = tell.get().and_then(Weak::upgrade) {
                shared.told(conn, event);
            }
        });
        let raise = Arc::clone(&told);
        made.around_waits(move |wait| {
            Python::attach(|py| {
                if let (Err(raised), Some(shared)) =
                    (signals::around(py, wait), raise.get().and_then(Weak::upgrade))
                {
                    shared.raise(py, raised, None);
                }
            });
        });
        let shared = Arc::new(Shared::new(made.handle()));
        _ = told.set(Arc::downgrade(&shared));
        signals::opened(py)?;
        if let Ok(queue) = made.raw_fd() {
            fork::begins(queue);
        }
        let engine = Mutex::new(Some(made));
        Ok(Self { engine, shared, wakeups: AtomicBool::new(false) })
    }

    /// Listens on a URL. `handler`, if given, is told of the listener and of whoever it accepts; `http` says whether HTTP
    /// is spoken, whatever the scheme says.
    #[pyo3(signature = (url, handler = None, *, http = None))]
    fn listen(
        &self,
        py: Python<'_>,
        url: &str,
        handler: Option<Bound<'_, PyAny>>,
        http: Option<bool>,
    ) -> PyResult<Py<Connection>> {
        self.open()?;
        let mut how = engine::Listen::new();
        if let Some(http) = http {
            how = how.http(http);
        }
        let handler = callable(handler, "handler")?;
        let handle = &self.shared.handle;
        self.shared.make(py, handler, || py.detach(|| handle.listen_with(url, how)))
    }

    /// Connects to a URL, without waiting for it: `CONNECT` follows, or `ERROR` and `CLOSE`.
    #[pyo3(signature = (url, handler = None, *, http = None))]
    fn connect(
        &self,
        py: Python<'_>,
        url: &str,
        handler: Option<Bound<'_, PyAny>>,
        http: Option<bool>,
    ) -> PyResult<Py<Connection>> {
        self.open()?;
        let mut how = engine::Connect::new();
        if let Some(http) = http {
            how = how.http(http);
        }
        let handler = callable(handler, "handler")?;
        let handle = &self.shared.handle;
        self.shared.make(py, handler, || py.detach(|| handle.connect_with(url, how)))
    }

    /// Connects to a URL and asks for a WebSocket there: `WS_OPEN` follows, or `ERROR` and `CLOSE`.
    #[pyo3(signature = (url, handler = None))]
    fn ws_connect(
        &self,
        py: Python<'_>,
        url: &str,
        handler: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<Connection>> {
        self.open()?;
        let handler = callable(handler, "handler")?;
        let handle = &self.shared.handle;
        self.shared.make(py, handler, || py.detach(|| handle.ws_connect(url, &[])))
    }

    /// The open connections, listeners among them, oldest first.
    #[getter]
    fn connections<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.shared.origin.check("Manager")?;
        PyTuple::new(py, self.shared.connections(py))
    }

    /// Waits until something happens, for `timeout_ms` at most (negative: without limit), does what is to be done about
    /// it, and returns.
    #[pyo3(signature = (timeout_ms = Milliseconds::ZERO), text_signature = "($self, timeout_ms=0)")]
    fn poll(&self, py: Python<'_>, timeout_ms: Milliseconds) -> PyResult<()> {
        let timeout = timeout_ms.timeout();
        self.turned(py, timeout, |engine| {
            let passed = engine.poll(timeout)?;
            Ok(((), passed))
        })
    }

    /// An id to wake `poll` by, with `wakeup`, and nothing else; 0 if the manager was made without `enable_wakeup`.
    #[getter]
    fn wakeup_id(&self) -> PyResult<u64> {
        self.open()?;
        Ok(if self.has_wakeups() { WAKEUP_ID } else { 0 })
    }

    /// Has the connection with that id told `WAKEUP` with this payload, by the thread that polls. False if there is no such
    /// connection, or the manager was made without `enable_wakeup`.
    #[pyo3(signature = (connection_id, data = b"".as_slice()), text_signature = "($self, connection_id, data=b'')")]
    fn wakeup(&self, connection_id: u64, data: &[u8]) -> PyResult<bool> {
        self.open()?;
        if self.has_wakeups() && connection_id == WAKEUP_ID {
            self.shared.handle.wake();
            return Ok(true);
        }
        Ok(self.has_wakeups() && self.shared.handle.wakeup(connection_id, data))
    }

    /// Calls `callback` in `milliseconds`, from `poll`; with `repeat`, every so often; with `run_now`, in the next `poll`
    /// first.
    #[pyo3(signature = (milliseconds, callback, *, repeat = false, run_now = false))]
    fn timer_add(
        &self,
        py: Python<'_>,
        milliseconds: Milliseconds,
        callback: Bound<'_, PyAny>,
        repeat: bool,
        run_now: bool,
    ) -> PyResult<Py<Timer>> {
        self.open()?;
        let period = milliseconds.period()?;
        let Some(callback) = callable(Some(callback), "callback")? else { return Err(freed()) };
        let schedule = if repeat { engine::Schedule::every(period) } else { engine::Schedule::once(period) };
        let schedule = if run_now { schedule.at_once() } else { schedule };
        Timer::add(py, &self.shared, schedule, callback)?.ok_or_else(freed)
    }

    /// Closes everything that is open, newest first, and drops all timers. A second call does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.shared.origin.check("Manager")?;
        let engine = match self.engine.try_lock() {
            Ok(mut engine) => engine.take(),
            Err(TryLockError::Poisoned(engine)) => engine.into_inner().take(),
            Err(TryLockError::WouldBlock) => {
                return Err(PyRuntimeError::new_err(
                    "the Manager is being polled, by another thread or around this handler: end that first, then close",
                ));
            }
        };
        let Some(engine) = engine else { return Ok(()) };
        // Handlers are told, and raise what they raise.
        end(engine);
        self.shared.clear();
        let closed = signals::closed(py);
        if let Some(raised) = self.shared.take_raised() {
            return Err(raised);
        }
        closed?;
        py.check_signals()
    }

    #[getter]
    fn _freed(&self) -> PyResult<bool> {
        self.shared.origin.check("Manager")?;
        Ok(self.shared.handle.is_closed())
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        slf.open()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.shared.traverse(&visit)
    }

    /// It is garbage, and so is all that its handlers know of: it closes without a word to them.
    fn __clear__(&self) {
        self.shared.clear();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let engine = self.engine.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(engine) = engine else { return };
        if !self.shared.origin.is_here() {
            // Closing it would take locks that nobody opens here, and end what is the parent's.
            return std::mem::forget(engine);
        }
        Python::attach(|py| {
            // Whoever drops the last reference may be about to raise something.
            let pending = PyErr::take(py);
            if is_finalizing(py) {
                // Modules are gone that handlers use.
                self.shared.clear();
            }
            end(engine);
            let raised = self.shared.take_raised().map_or_else(|| signals::closed(py), Err);
            if let Err(raised) = raised {
                raised.write_unraisable(py, None);
            }
            if let Some(pending) = pending {
                pending.restore(py);
            }
        });
    }
}

impl Manager {
    /// An error if nothing can be begun with it any more.
    fn open(&self) -> PyResult<()> {
        self.shared.origin.check("Manager")?;
        if self.shared.handle.is_closed() { Err(freed()) } else { Ok(()) }
    }

    /// Has the engine turned by this thread, for a pass that may take that long; what a handler raises that is no
    /// `Exception`, or a signal's handler, leaves.
    pub(super) fn turned<T>(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
        pass: impl FnOnce(&mut engine::Manager) -> Result<(T, engine::Passed), engine::PollError>,
    ) -> PyResult<T> {
        self.shared.origin.check("Manager")?;
        let turned = {
            let mut engine = self.turn()?;
            let Some(engine) = &mut *engine else { return Err(freed()) };
            signals::learn(py)?;
            let heard = if timeout == Some(Duration::ZERO) { None } else { signals::source()? };
            let taken = interrupts::take(py)?;
            let turned = match &heard {
                Some(source) => engine.interrupted_by(source).and_then(|()| pass(engine)),
                None => pass(engine),
            };
            let ended = taken.map_or(Ok(()), |taken| taken.end(py));
            if heard.is_some() && !matches!(turned, Ok((_, engine::Passed::Whole))) {
                signals::take()?;
            }
            ended?;
            turned
        };
        if let Some(raised) = self.shared.take_raised() {
            return Err(raised);
        }
        // A handler may have forked, and this be the child.
        self.shared.origin.check("Manager")?;
        py.check_signals()?;
        turned.map(|(value, _)| value).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// Has these told of everything.
    pub(super) fn configure(
        &self,
        handler: Option<Bound<'_, PyAny>>,
        enable_wakeup: bool,
        error_handler: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.open()?;
        let handler = callable(handler, "handler")?;
        let error_handler = callable(error_handler, "error_handler")?;
        self.wakeups.store(enable_wakeup, Ordering::Relaxed);
        self.shared.handle_by(handler, error_handler);
        Ok(())
    }

    fn has_wakeups(&self) -> bool {
        self.wakeups.load(Ordering::Relaxed)
    }

    /// Has whoever turns it return soon.
    pub(super) fn interrupt(&self) -> PyResult<()> {
        self.shared.origin.check("Manager")?;
        self.shared.handle.interrupt();
        Ok(())
    }

    /// The engine, for the thread that turns it.
    fn turn(&self) -> PyResult<MutexGuard<'_, Option<engine::Manager>>> {
        match self.engine.try_lock() {
            Ok(engine) => Ok(engine),
            Err(TryLockError::Poisoned(engine)) => Ok(engine.into_inner()),
            Err(TryLockError::WouldBlock) => Err(PyRuntimeError::new_err(
                "poll is not reentrant: another thread polls this Manager, or this is one of its handlers",
            )),
        }
    }
}

fn end(mut engine: engine::Manager) {
    if let Ok(queue) = engine.raw_fd() {
        fork::ends(queue);
    }
    drop(engine);
}

fn is_finalizing(py: Python<'_>) -> bool {
    static ASK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // Looked up in good time, by the first manager.
    let ask =
        ASK.get_or_try_init(py, || Ok::<_, PyErr>(py.import("sys")?.getattr("is_finalizing")?.unbind()));
    ask.and_then(|ask| ask.bind(py).call0()?.is_truthy()).unwrap_or(true)
}

fn freed() -> PyErr {
    PyRuntimeError::new_err("Manager has been freed")
}

/// What can be called, or nothing.
fn callable(given: Option<Bound<'_, PyAny>>, what: &str) -> PyResult<Option<Py<PyAny>>> {
    let Some(given) = given else { return Ok(None) };
    if !given.is_callable() {
        let kind = given.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{what} must be callable or None, not {kind}")));
    }
    Ok(Some(given.unbind()))
}
