//! `Component`: what Python starts and closes, when the engine says so.

use super::config::seconds;
use super::doorbell::{Descriptor, Doorbell};
use super::owner::Lifecycle;
use exeunt_lifecycle::StartError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A component of a lifecycle (L3, L4) whose start and close are done by whoever has this.
///
/// The engine decides: whether it may start (`state` is "refused" if not), when its start has taken too long ("over"),
/// when it is its turn to close ("closing"), and when that has taken too long. The descriptor is readable whenever the
/// state has changed by the engine's doing, until `seen`. All times are in seconds.
#[pyclass(frozen, weakref, module = "exeunt")]
pub(crate) struct Component {
    #[pyo3(get)]
    name: String,
    shared: Arc<Shared>,
    process: u32,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    bell: Doorbell,
}

enum State {
    /// The engine has not said yet.
    Asked,
    Refused,
    Starting,
    /// Python has said how the start went.
    Tried(Result<(), String>),
    Open,
    Closing,
    /// Python has said how the close went.
    Closed(Result<(), String>),
    Over,
    /// Python has let go of it.
    Gone,
}

impl Component {
    fn check(&self) -> PyResult<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err("this process was forked from the one whose component this is"))
    }
}

#[pymethods]
impl Component {
    #[new]
    #[pyo3(signature = (lifecycle, name, *, start_timeout = 60.0, close_timeout = None))]
    fn new(
        py: Python<'_>,
        lifecycle: &Lifecycle,
        name: String,
        start_timeout: f64,
        close_timeout: Option<f64>,
    ) -> PyResult<Self> {
        let engine = lifecycle.engine()?;
        let start_timeout = seconds("start_timeout", start_timeout)?;
        let close_timeout = close_timeout.map(|timeout| seconds("close_timeout", timeout)).transpose()?;
        let shared = Arc::new(Shared::new()?);
        let (starts, closes) = (Arc::clone(&shared), Arc::clone(&shared));
        let mut component =
            engine.component_blocking(name.clone(), move || starts.start(), move |()| closes.close());
        component = component.start_timeout(start_timeout);
        if let Some(timeout) = close_timeout {
            component = component.close_timeout(timeout);
        }
        let theirs = Arc::clone(&shared);
        let begun = thread::Builder::new().name("exeunt-component".to_owned());
        begun.spawn(move || theirs.settle(&component.start()))?;
        py.detach(|| {
            drop(shared.wait_while(|state| matches!(state, State::Asked)));
            // Perhaps the last: then it waits for its threads.
            drop(engine);
        });
        Ok(Self { name, shared, process: std::process::id() })
    }

    #[getter]
    fn state(&self) -> PyResult<&'static str> {
        self.check()?;
        Ok(match *self.shared.lock() {
            State::Asked | State::Starting | State::Tried(_) => "starting",
            State::Refused => "refused",
            State::Open => "open",
            State::Closing => "closing",
            State::Closed(_) | State::Over | State::Gone => "over",
        })
    }

    /// It has started. False if it had been given up before: then nobody will ask to have it closed.
    fn started(&self, py: Python<'_>) -> PyResult<bool> {
        self.check()?;
        let shared = &self.shared;
        Ok(py.detach(|| {
            shared.say(|state| matches!(state, State::Starting), State::Tried(Ok(())));
            let state = shared.wait_while(|state| matches!(state, State::Tried(_)));
            matches!(*state, State::Open | State::Closing)
        }))
    }

    /// It could not start.
    fn start_failed(&self, py: Python<'_>, error: String) -> PyResult<()> {
        self.check()?;
        let shared = &self.shared;
        py.detach(|| {
            shared.say(|state| matches!(state, State::Starting), State::Tried(Err(error)));
            drop(shared.wait_while(|state| matches!(state, State::Tried(_))));
        });
        Ok(())
    }

    /// It is closed, or could not be.
    #[pyo3(signature = (error = None))]
    fn closed(&self, py: Python<'_>, error: Option<String>) -> PyResult<()> {
        self.check()?;
        let result = error.map_or(Ok(()), Err);
        py.detach(|| self.shared.say(|state| matches!(state, State::Closing), State::Closed(result)));
        Ok(())
    }

    fn fileno(&self) -> PyResult<Descriptor> {
        self.check()?;
        Ok(self.shared.bell.descriptor())
    }

    fn seen(&self) -> PyResult<()> {
        self.check()?;
        self.shared.bell.seen();
        Ok(())
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<Component {}, {}>", self.name.escape_debug(), self.state()?))
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        // In a forked child the lock may be held by a thread that is not there.
        if self.process == std::process::id() {
            // What Python has said last is still to be taken.
            self.shared.say(|state| !matches!(state, State::Closed(_)), State::Gone);
        }
    }
}

impl Shared {
    fn new() -> PyResult<Self> {
        Ok(Self { state: Mutex::new(State::Asked), changed: Condvar::new(), bell: Doorbell::new()? })
    }

    /// The engine's start: lasts until Python has said how it went.
    fn start(&self) -> Result<(), String> {
        self.say(|state| matches!(state, State::Asked), State::Starting);
        match &*self.wait_while(|state| matches!(state, State::Starting)) {
            State::Tried(result) => result.clone(),
            _ => Err("its owner has let go of it".to_owned()),
        }
    }

    /// What the engine has made of the start.
    fn settle(&self, result: &Result<(), StartError>) {
        match result {
            Ok(()) => self.say(|state| matches!(state, State::Tried(Ok(()))), State::Open),
            Err(StartError::Failed { .. } | StartError::TimedOut { .. }) => {
                self.say(|state| !matches!(state, State::Gone), State::Over);
                self.bell.ring();
            }
            Err(_) => self.say(|state| matches!(state, State::Asked), State::Refused),
        }
    }

    /// The engine's close.
    fn close(&self) -> Result<(), String> {
        self.say(|state| !matches!(state, State::Gone), State::Closing);
        self.bell.ring();
        match &*self.wait_while(|state| matches!(state, State::Closing)) {
            State::Closed(result) => result.clone(),
            _ => Err("its owner has let go of it".to_owned()),
        }
    }

    fn say(&self, only: impl FnOnce(&State) -> bool, next: State) {
        let mut state = self.lock();
        if only(&state) {
            *state = next;
            self.changed.notify_all();
        }
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let state = self.lock();
        self.changed.wait_while(state, |state| condition(state)).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
