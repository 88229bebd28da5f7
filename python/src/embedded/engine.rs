//! `Embedded`: the loop that does not wait.

use super::errors::{listening, polling};
use super::exchange::address;
use super::happened::{Ledger, lock};
use super::limits::Limits;
use crate::fork::Origin;
use crate::lifecycle::CutWork;
use exeunt_manager as engine;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

/// A manager whose descriptor and times an event loop of Python's waits for.
#[pyclass(frozen, module = "exeunt._native")]
pub(crate) struct Embedded {
    /// Locked while it is turned; empty once it is closed.
    engine: Mutex<Option<engine::Manager>>,
    handle: engine::Handle,
    ledger: Arc<Ledger>,
    /// In a forked child its sockets and its epoll are the parent's.
    origin: Origin,
}

/// How a drain went: in seconds, what was cut (a thousand at most), how much was, and what went wrong with listeners.
type Drained = (f64, Vec<CutWork>, u64, Vec<String>);

#[pymethods]
impl Embedded {
    #[new]
    fn new(limits: Limits) -> PyResult<Self> {
        let ledger: Arc<Ledger> = Arc::default();
        let tells = Arc::clone(&ledger);
        let made = engine::Manager::with_limits(limits.engine()?, move |conn, event| tells.told(conn, event));
        let handle = made.handle();
        Ok(Self { engine: Mutex::new(Some(made)), handle, ledger, origin: Origin::here() })
    }

    /// Where it listens: an address and a port, or the path of a Unix socket.
    fn listen<'py>(
        &self,
        py: Python<'py>,
        url: &str,
        certificate: Option<Vec<u8>>,
        key: Option<Vec<u8>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut how = engine::Listen::new();
        if engine::url::Url::parse(url).is_ok_and(|url| !url.speaks_http()) {
            return Err(PyValueError::new_err(format!(
                "Failed to listen on `{url}`: that speaks no HTTP; write http://, https:// or http+unix:"
            )));
        }
        if let (Some(certificate), Some(key)) = (certificate, key) {
            how = how.tls(engine::Tls::new().certificate(certificate, key));
        }
        let listened = py.detach(|| self.handle.listen_with(url, how));
        let listener = listened.map_err(|error| listening(&error))?;
        match listener.local_address() {
            Some(at) => address(py, &at),
            None => Err(PyRuntimeError::new_err("the listener was closed at once")),
        }
    }

    /// What to wait on.
    fn fileno(&self) -> PyResult<i32> {
        let mut engine = self.turning()?;
        open(&mut engine)?.raw_fd().map_err(|error| polling(&error))
    }

    /// Does what is to be done, without waiting, appends to `happened`, a deque, what has happened, and tells in how many
    /// seconds it wants to be turned again at the latest. With `left`, the seconds to its deadline, it is a step of a
    /// drain, which tells how it went when it is over. (What is returned is lost where a signal's handler raises behind the
    /// call; what has happened is not.)
    #[pyo3(signature = (happened, left = None))]
    fn turn(
        &self,
        py: Python<'_>,
        happened: &Bound<'_, PyAny>,
        left: Option<f64>,
    ) -> PyResult<(Option<f64>, Option<Drained>)> {
        let (due, drained) = py.detach(|| {
            let mut engine = self.turning()?;
            let engine = open(&mut engine)?;
            let now = Instant::now();
            let drained = match left {
                None => engine.poll(Duration::ZERO).map(|_| None),
                Some(left) => engine.drain_poll(after(now, left), Duration::ZERO),
            };
            let drained = drained.map_err(|error| polling(&error))?;
            let due = engine.next_due().map_err(|error| polling(&error))?;
            let now = Instant::now();
            PyResult::Ok((due.map(|due| due.saturating_duration_since(now).as_secs_f64()), drained))
        })?;
        let told = self.ledger.take();
        if !told.is_empty() {
            let objects = told.into_iter().map(|(id, what)| what.object(py, id, &self.ledger));
            let objects = PyList::new(py, objects.collect::<PyResult<Vec<_>>>()?)?;
            happened.call_method1("extend", (objects,))?;
        }
        Ok((due, drained.map(report)))
    }

    /// How many connections are open, listeners included.
    fn connections(&self) -> usize {
        self.handle.connections().len()
    }

    /// Ends a drain at once, and tells how it went.
    fn drain_now(&self, py: Python<'_>) -> PyResult<Drained> {
        py.detach(|| {
            let mut engine = self.turning()?;
            open(&mut engine)?.drain_now().map(report).map_err(|error| polling(&error))
        })
    }

    /// Ends everything at once.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let closed = self.turning()?.take();
            drop(closed);
            Ok(())
        })
    }
}

impl Embedded {
    fn turning(&self) -> PyResult<MutexGuard<'_, Option<engine::Manager>>> {
        if !self.origin.is_here() {
            return Err(PyRuntimeError::new_err(
                "this server belongs to the process that was forked: make one in the child",
            ));
        }
        match self.engine.try_lock() {
            Ok(engine) => Ok(engine),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(PyRuntimeError::new_err("another thread turns this server: its loop's thread alone may"))
            }
        }
    }
}

impl Drop for Embedded {
    /// In a forked child nothing may be told to the peers, who are the parent's, nor to the epoll, which is.
    fn drop(&mut self) {
        if !self.origin.is_here() {
            std::mem::forget(lock(&self.engine).take());
        }
    }
}

fn open(engine: &mut Option<engine::Manager>) -> PyResult<&mut engine::Manager> {
    engine.as_mut().ok_or_else(|| PyRuntimeError::new_err("the server is closed"))
}

fn after(now: Instant, seconds: f64) -> Instant {
    let left = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    // Past the end of time nothing is waited for; a day is as good.
    now.checked_add(left).unwrap_or(now + Duration::from_secs(86_400))
}

fn report(drained: engine::DrainReport) -> Drained {
    let engine::DrainReport { duration, listeners, cut, cut_count, .. } = drained;
    let cut = cut.iter().map(CutWork::of).collect();
    let troubles = listeners.iter().filter(|listener| listener.limit_hit || listener.failure.is_some());
    let troubles = troubles.map(ToString::to_string).collect();
    (duration.as_secs_f64(), cut, cut_count, troubles)
}
