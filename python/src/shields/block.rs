//! `ShutdownProtection`: one block, entered and left.

use super::conductor::{Conductor, budget, default_budget, make_room, set_drop_in};
use super::live::{self, lock};
use super::running::Held;
use exeunt_lifecycle::{Shield, ShieldOutcome, Work};
use pyo3::exceptions::asyncio::CancelledError;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A block that a stop does not interrupt, for `max_exec_time` seconds at most.
///
/// While it is entered (`with`, or `async with` in a task), SIGINT, SIGTERM, SIGQUIT and SIGHUP wait for its end, for
/// `allow_break()`, or until its time is over, which counts from its beginning and from the last `allow_break()` or
/// `renew()`. Then `KeyboardInterrupt` is raised for SIGINT and `SystemExit(1)` for all others: once, in the thread of the
/// block, and in the main thread when the blocks of all threads have ended. The third signal (`max_attempts`) raises
/// `SystemExit(1)` inside the block at once.
///
/// `max_exec_time` is 89.5 s unless it or `configure_shutdown_manager` says otherwise (4.5 s on Windows). With
/// `run_at_exit`, the block may begin after the signal, too, and a signal does not end it at `allow_break()`.
///
/// Any number may be entered at once, nested, in any threads and tasks, and each any number of times. Those of one thread
/// protect each other. In a forked child a block does nothing, and signals act by default.
///
/// Raises `ValueError` for a time that cannot be.
#[pyclass(frozen, weakref, module = "exeunt")]
pub(crate) struct ShutdownProtection {
    /// None: the default when it is entered.
    budget: Option<Duration>,
    run_at_exit: bool,
    /// Ends as programs do that know the exit statuses of the lifecycle (L14).
    native: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often it has been entered and not left.
    depth: u32,
    live: Option<Live>,
}

/// What there is of it while it is entered, outside forked children.
struct Live {
    /// None where nothing would be held off any more.
    shield: Option<Shield>,
    work: Option<Work>,
    /// Of the programs that run.
    running: Held,
    at: usize,
    thread: u64,
    /// Of asyncio; None in plain code.
    task: Option<Py<PyAny>>,
    /// The exception has been raised inside it, or is on its way.
    told: bool,
    /// When it was sent from another thread.
    sent: Option<Instant>,
}

/// What others see of it.
pub(super) struct Seen {
    pub(super) thread: u64,
    pub(super) outcome: Option<ShieldOutcome>,
    pub(super) sent: Option<Instant>,
}

impl ShutdownProtection {
    /// None once it is left.
    pub(super) fn seen(&self) -> Option<Seen> {
        let state = lock(&self.state);
        let live = state.live.as_ref()?;
        let outcome = live.shield.as_ref().and_then(Shield::outcome);
        Some(Seen { thread: live.thread, outcome, sent: live.sent })
    }

    /// The exception is on its way; false if it was before.
    pub(super) fn tell(&self) -> bool {
        lock(&self.state).live.as_mut().is_some_and(|live| !std::mem::replace(&mut live.told, true))
    }

    /// The same, and it is sent from another thread.
    pub(super) fn send(&self) -> bool {
        if let Some(live) = lock(&self.state).live.as_mut() {
            live.sent.get_or_insert_with(Instant::now);
        }
        self.tell()
    }

    fn budget(&self) -> Duration {
        self.budget.unwrap_or_else(default_budget)
    }

    /// False if a task is to wait until the blocks of others in its thread are over, and to try again.
    #[inline]
    fn begin(slf: &Bound<'_, Self>, task: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let conductor = Conductor::of(py)?;
        let thread = live::this_thread(py)?;
        let running = if conductor.is_some() { Held::take(py, this.budget()) } else { Held::default() };
        let mut state = lock(&this.state);
        if state.depth > 0 {
            let elsewhere = state.live.as_ref().is_some_and(|live| live.thread != thread);
            if elsewhere {
                drop(state);
                let text = "this ShutdownProtection is entered in another thread; make one for each thread";
                return Err(PyRuntimeError::new_err(text));
            }
            state.depth += 1;
            return Ok(true);
        }
        let Some(conductor) = conductor else {
            state.depth = 1;
            return Ok(true);
        };
        let granted = if this.run_at_exit { None } else { conductor.stop.shield(this.budget()).ok() };
        let (shield, work) = if granted.is_some() {
            (granted, None)
        } else {
            if !this.run_at_exit {
                drop(state);
                match this.late(py, thread, task)? {
                    Late::Goes => {}
                    Late::Waits => return Ok(false),
                    Late::Leaves => return Err(this.exception(py, task.is_none(), false)?),
                }
                state = lock(&this.state);
            }
            this.work(conductor)
        };
        let at = live::add(slf.clone().unbind());
        let task = task.map(|task| task.clone().unbind());
        state.depth = 1;
        state.live = Some(Live { shield, work, running, at, thread, task, told: false, sent: None });
        Ok(true)
    }

    /// What may begin after the stop request (L8): counted work of the program.
    fn work(&self, conductor: &Conductor) -> (Option<Shield>, Option<Work>) {
        let work = conductor.program.begin();
        (work.shield(self.budget()).ok(), Some(work))
    }

    /// A block that wants to begin after the stop request.
    fn late(&self, py: Python<'_>, thread: u64, task: Option<&Bound<'_, PyAny>>) -> PyResult<Late> {
        let told = match task {
            Some(task) => py.import("exeunt._shields")?.getattr("_is_told")?.call1((task,))?.extract()?,
            None => false,
        };
        if task.is_some() && live::is_told() && !told {
            // The loop is at its end, and would cut short what begins now.
            return Err(CancelledError::new_err(()));
        }
        Ok(
            if told || live::is_told() || is_delayed(py)? || self.is_inside(py, thread, task, Others::Around)
            {
                Late::Goes
            } else if task.is_some() && self.is_inside(py, thread, task, Others::Any) {
                Late::Waits
            } else {
                Late::Leaves
            },
        )
    }

    /// Nothing more is raised in this thread, which is about to end.
    fn leaves() {
        live::set_told();
        let is_main = Conductor::installed().is_none_or(Conductor::is_main_thread);
        if !is_main {
            live::leaves();
        }
    }

    /// The exception of the stop, after the hook that runs before it; `last`: nothing more is raised in this thread.
    /// `failed`: the block itself has.
    fn exception(&self, py: Python<'_>, last: bool, failed: bool) -> PyResult<PyErr> {
        if last {
            Self::leaves();
        }
        let made = py.import("exeunt._shields")?.getattr("_exception")?.call1((self.native, failed))?;
        Ok(PyErr::from_value(made))
    }

    /// Whether other live blocks of this thread are in the way.
    fn is_inside(&self, py: Python<'_>, thread: u64, task: Option<&Bound<'_, PyAny>>, which: Others) -> bool {
        live::all(py).iter().map(Py::get).filter(|other| !std::ptr::eq(*other, self)).any(|other| {
            let state = lock(&other.state);
            state.live.as_ref().is_some_and(|live| {
                let apart = match (&live.task, task) {
                    (Some(theirs), Some(task)) => !theirs.is(task),
                    _ => false,
                };
                live.thread == thread && !live.told && !(apart && which == Others::Around)
            })
        })
    }

    /// A safe point during a stop.
    #[cold]
    fn safe_point(&self, py: Python<'_>) -> PyResult<()> {
        if Conductor::installed().is_none() {
            return Ok(());
        }
        let (thread, task) = {
            let state = lock(&self.state);
            let Some(live) = &state.live else { return Ok(()) };
            if live.told {
                return Ok(());
            }
            (live.thread, live.task.as_ref().map(|task| task.clone_ref(py)))
        };
        let task = task.map(|task| task.into_bound(py));
        let told = task.is_none() && live::is_told();
        if told
            || self.run_at_exit
            || self.is_inside(py, thread, task.as_ref(), Others::Around)
            || is_delayed(py)?
        {
            return Ok(());
        }
        self.tell();
        if let Some(shield) = lock(&self.state).live.as_ref().and_then(|live| live.shield.as_ref()) {
            _ = shield.allow_break();
        }
        Err(self.exception(py, task.is_none(), false)?)
    }

    /// The block is over; `error` is what it raised. What is answered is for tasks: others raise at once.
    fn end(&self, py: Python<'_>, error: &Bound<'_, PyAny>) -> PyResult<Pending> {
        let live = {
            let mut state = lock(&self.state);
            state.depth = state.depth.saturating_sub(1);
            if state.depth > 0 { None } else { state.live.take() }
        };
        let Some(Live { shield, work, running, at, thread, task, told, .. }) = live else {
            return Ok(Pending::Nothing);
        };
        // In a forked child the lock may be held by a thread that is not there.
        let kept = Conductor::installed().and_then(|_| live::remove(at));
        drop((kept, shield, work));
        running.end(py);
        let Some(conductor) = Conductor::installed().filter(|conductor| conductor.stop.is_requested()) else {
            return Ok(Pending::Nothing);
        };
        let task = task.map(|task| task.into_bound(py));
        let pending = self.pending(py, thread, task.as_ref(), told, error);
        conductor.one_less(py, thread)?;
        pending
    }

    fn pending(
        &self,
        py: Python<'_>,
        thread: u64,
        task: Option<&Bound<'_, PyAny>>,
        told: bool,
        error: &Bound<'_, PyAny>,
    ) -> PyResult<Pending> {
        let leaves = error.is_instance_of::<PyKeyboardInterrupt>() || error.is_instance_of::<PySystemExit>();
        if live::is_told() {
            return Ok(Pending::Nothing);
        }
        if task.is_some() && self.is_inside(py, thread, task, Others::Any) {
            let nested = self.is_inside(py, thread, task, Others::Around);
            let waits = if told || leaves { Pending::Leaves } else { Pending::Raises };
            return Ok(if nested && waits == Pending::Raises { Pending::Nothing } else { waits });
        }
        if told || leaves {
            Self::leaves();
            return Ok(Pending::Nothing);
        }
        if self.is_inside(py, thread, task, Others::Around) {
            return Ok(Pending::Nothing);
        }
        if is_delayed(py)? {
            return Ok(Pending::Nothing);
        }
        let exception = self.exception(py, true, failed(error))?;
        if !error.is_none() {
            // As `raise` would do it.
            exception.value(py).setattr("__context__", error)?;
        }
        Err(exception)
    }
}

/// Whether this is the main thread, and a `DelayedKeyboardInterrupt` holds off what would be raised there (P50).
#[cold]
fn is_delayed(py: Python<'_>) -> PyResult<bool> {
    let is_main = Conductor::installed().is_some_and(Conductor::is_main_thread);
    Ok(is_main && py.import("exeunt._signals")?.getattr("_is_delayed")?.call0()?.extract()?)
}

/// What becomes of a block that is late.
enum Late {
    Goes,
    Waits,
    Leaves,
}

/// Which other blocks of a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// Those around this one or inside it: of the same task, or of none.
    Around,
    Any,
}

/// What a task does once the blocks of others in its thread are over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    /// It leaves with the exception that it has.
    Leaves,
    Raises,
}

#[pymethods]
impl ShutdownProtection {
    #[new]
    #[pyo3(signature = (max_exec_time = None, run_at_exit = false))]
    fn new(py: Python<'_>, max_exec_time: Option<f64>, run_at_exit: bool) -> PyResult<Self> {
        set_drop_in();
        Self::make(py, max_exec_time, run_at_exit, false)
    }

    /// One that ends as the lifecycle does: `SystemExit(0)` after a stop, 128 and the signal where it is forced.
    #[staticmethod]
    fn _native(py: Python<'_>, budget: Option<f64>) -> PyResult<Self> {
        Self::make(py, budget, false, true)
    }

    /// Seconds; None if it was given none.
    #[getter]
    fn max_exec_time(&self) -> Option<f64> {
        self.budget.map(|budget| budget.as_secs_f64())
    }

    /// Whether it may begin after the stop request.
    #[getter]
    fn run_at_exit(&self) -> bool {
        self.run_at_exit
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        // Who is in no task never waits.
        Self::begin(&slf, None)?;
        Ok(slf)
    }

    fn __exit__(
        &self,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        _ = (kind, traceback);
        self.end(error.py(), error).map(|_| ())
    }

    /// As `with`, and blocks of other tasks in the same thread are waited for before the exception leaves this one.
    fn __aenter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("exeunt._shields")?.getattr("_aenter")?.call1((slf,))
    }

    fn __aexit__<'py>(
        slf: Bound<'py, Self>,
        kind: &Bound<'py, PyAny>,
        error: &Bound<'py, PyAny>,
        traceback: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        _ = (kind, traceback);
        slf.py().import("exeunt._shields")?.getattr("_aexit")?.call1((slf, error))
    }

    /// A point where the work may be interrupted. After a signal the exception is raised here, unless a block around
    /// this one, or inside it, still protects it; without one the time of the block begins anew.
    ///
    /// Raises `RuntimeError` outside the block.
    #[inline]
    fn allow_break(&self, py: Python<'_>) -> PyResult<()> {
        {
            let state = lock(&self.state);
            match (&state.live, Conductor::installed()) {
                (Some(Live { shield: Some(shield), running, .. }), Some(_))
                    if shield.allow_break().is_ok() =>
                {
                    running.touch();
                    return Ok(());
                }
                (None, _) if state.depth == 0 => {
                    drop(state);
                    return Err(PyRuntimeError::new_err(NOT_ENTERED));
                }
                _ => {}
            }
        }
        self.safe_point(py)
    }

    /// The time of the block begins anew, and is `max_exec_time` seconds from now on if that is given. During a stop it
    /// does not go beyond the hard limit. Never interrupts.
    ///
    /// Raises `RuntimeError` outside the block, `ValueError` for a time that cannot be.
    #[pyo3(signature = (max_exec_time = None))]
    fn renew(&self, py: Python<'_>, max_exec_time: Option<f64>) -> PyResult<()> {
        let budget = max_exec_time.map(budget).transpose()?.unwrap_or_else(|| self.budget());
        make_room(py, budget)?;
        let mut state = lock(&self.state);
        if state.depth == 0 {
            drop(state);
            return Err(PyRuntimeError::new_err(NOT_ENTERED));
        }
        if let Some(live) = state.live.as_mut() {
            if let Some(shield) = live.shield.as_mut() {
                // Where it is over, the exception is on its way.
                _ = shield.renew(budget);
            }
            live.running.renew(budget);
        }
        Ok(())
    }

    /// Enters it in a task; false if the task is to wait.
    fn _begin(slf: &Bound<'_, Self>, task: &Bound<'_, PyAny>) -> PyResult<bool> {
        Self::begin(slf, Some(task))
    }

    /// Leaves it in a task: 0 nothing more, 1 wait for others and go on, 2 wait for others and raise.
    fn _end(&self, error: &Bound<'_, PyAny>) -> PyResult<u8> {
        self.end(error.py(), error).map(|pending| pending as u8)
    }

    /// Whether other tasks of this thread have live blocks.
    fn _waits(&self, py: Python<'_>) -> PyResult<bool> {
        let thread = live::this_thread(py)?;
        Ok(Conductor::installed().is_some() && self.is_inside(py, thread, None, Others::Any))
    }

    /// The waiting is over: false if another task leaves with the exception.
    fn _leaves(&self) -> bool {
        let first = !live::is_told();
        live::set_told();
        first
    }

    /// The exception, for a task that raises it.
    fn _exception(&self, error: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = error.py();
        Ok(self.exception(py, true, failed(error))?.into_value(py).into_any())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The collector may come while this very thread is at it.
        if let Ok(state) = self.state.try_lock()
            && let Some(Live { task: Some(task), .. }) = &state.live
        {
            visit.call(task)?;
        }
        Ok(())
    }
}

/// Whether a block that has raised that has failed.
fn failed(error: &Bound<'_, PyAny>) -> bool {
    error.is_instance_of::<pyo3::exceptions::PyException>()
}

impl ShutdownProtection {
    fn make(py: Python<'_>, seconds: Option<f64>, run_at_exit: bool, native: bool) -> PyResult<Self> {
        let budget = seconds.map(budget).transpose()?;
        if let Some(budget) = budget {
            make_room(py, budget)?;
        }
        Ok(Self { budget, run_at_exit, native, state: Mutex::default() })
    }
}

const NOT_ENTERED: &str = "this ShutdownProtection is not entered; use it in a with block";
