//! `Lifecycle`: whoever is responsible for the program's end.

use super::config::{Arguments, refused, seconds};
use super::doorbell::Descriptor;
use super::report::Report;
use super::site;
use super::watch::{Watch, Watched};
use super::work::Work;
use exeunt_lifecycle as engine;
use exeunt_lifecycle::Phase;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The end of a program, from the first wish to the report.
///
/// From its creation on, the stop signals (SIGHUP, SIGINT, SIGQUIT and SIGTERM unless `signals` says otherwise) request
/// the stop, in whatever thread they land and whatever that is doing, and Python's handlers of them do not run; when it
/// is closed or dropped, they are as they were. Signals that were ignored stay ignored. On Windows the events of the console
/// are those signals: Ctrl-C is SIGINT, Ctrl-Break SIGBREAK, and SIGTERM a closed console, a shutdown, and the end of a
/// user's session, unless `terminate_on_logoff` is False. All times are in seconds.
///
/// `grace` is the time from the stop request to the hard deadline, of which the smaller of 5 s and 20 % is kept for
/// closing: work in flight before that is cut. `lame_duck` is how long to go on accepting first. The signal number
/// `max_attempts` forces the end. `force="exit"` ends the process, half a second after the stop is over, if nobody has
/// called `close`. `chain` has the handlers that were there before called after ours, `chain_on_main_thread` as Python
/// wants it: in the main thread, whose waits end for it. `report_file` is where the report goes, as JSON.
///
/// Raises `ValueError` for values that cannot be, `OSError` without descriptors or threads, `RuntimeError` in a forked
/// child.
#[pyclass(frozen, weakref, module = "exeunt")]
pub(crate) struct Lifecycle {
    /// Dropped at the end, so that the signals are restored; whoever runs by it has a clone.
    engine: Mutex<Option<Arc<engine::Lifecycle>>>,
    stop: engine::Stop,
    ignored: Vec<i32>,
    /// Work by the name of its scope.
    tasks: Mutex<HashMap<String, engine::Tasks>>,
    watched: Mutex<Option<Watched>>,
    report: Mutex<Option<Arc<engine::Report>>>,
    process: u32,
}

/// How long a signal may be slept over that comes just before a wait of the main thread: all others end the wait.
const SLICE: Duration = Duration::from_millis(50);

impl Lifecycle {
    /// The engine's, for whoever runs by it.
    pub(crate) fn engine(&self) -> PyResult<Arc<engine::Lifecycle>> {
        self.check()?;
        let engine = lock(&self.engine).clone();
        engine.ok_or_else(|| PyRuntimeError::new_err("this Lifecycle is closed; make another"))
    }

    pub(crate) fn stop(&self) -> &engine::Stop {
        &self.stop
    }

    /// In a forked child, locks may be held by threads that are not there: this comes first.
    fn check(&self) -> PyResult<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(format!(
            "this process was forked from {}, whose Lifecycle this is; start children by exec (subprocess, or \
             multiprocessing's \"spawn\") if they need one",
            self.process
        )))
    }

    /// Blocks until that phase; Python's signal handlers run meanwhile, if this is the main thread.
    fn wait_for(&self, py: Python<'_>, phase: Phase, deadline: Option<Instant>) -> PyResult<bool> {
        if self.stop.phase() >= phase {
            return Ok(true);
        }
        if !is_main_thread(py)? {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let reached = py.detach(|| self.stop.wait_for(phase, left.unwrap_or(Duration::MAX)));
            self.check()?;
            return Ok(reached.unwrap_or(false));
        }
        let slices = Slices::new(&self.stop)?;
        while self.stop.phase() < phase {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            py.detach(|| slices.wait(&self.stop, phase, slice));
            py.check_signals()?;
            self.check()?;
        }
        Ok(true)
    }
}

/// What the main thread waits by, for a moment at a time: between them Python's signal handlers run.
#[cfg(unix)]
struct Slices(Watched);

#[cfg(unix)]
impl Slices {
    fn new(stop: &engine::Stop) -> PyResult<Self> {
        Ok(Self(Watched::new(stop)?))
    }

    /// Until a signal's handler has run, the phase changes, or the time is over.
    fn wait(&self, _stop: &engine::Stop, _phase: Phase, time: Duration) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let time = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
        // Interrupted, or ready, or neither: the phase says.
        _ = poll(&mut [PollFd::new(self.0.bell().reader(), PollFlags::IN)], Some(&time));
        self.0.bell().seen();
    }
}

/// No signal interrupts anything there.
#[cfg(windows)]
struct Slices;

#[cfg(windows)]
impl Slices {
    #[expect(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
    fn new(_stop: &engine::Stop) -> PyResult<Self> {
        Ok(Self)
    }

    fn wait(&self, stop: &engine::Stop, phase: Phase, time: Duration) {
        _ = stop.wait_for(phase, time);
    }
}

#[pymethods]
impl Lifecycle {
    #[new]
    #[pyo3(signature = (*, grace = 25.0, lame_duck = 0.0, max_attempts = 3, hard_limit = 90.0, signals = None,
                        force = "notify", chain = false, chain_on_main_thread = false, terminate_on_hup = true,
                        terminate_on_logoff = true, stop_on_stdin_end = false,
                        notify = true, report_file = None))]
    #[expect(clippy::too_many_arguments, reason = "they are Python's keyword arguments")]
    fn new(
        py: Python<'_>,
        grace: f64,
        lame_duck: f64,
        max_attempts: u32,
        hard_limit: f64,
        signals: Option<Vec<i32>>,
        force: &str,
        chain: bool,
        chain_on_main_thread: bool,
        terminate_on_hup: bool,
        terminate_on_logoff: bool,
        stop_on_stdin_end: bool,
        notify: bool,
        report_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        let force = force.to_owned();
        let arguments = Arguments {
            grace,
            lame_duck,
            max_attempts,
            hard_limit,
            signals,
            force,
            chain,
            chain_on_main_thread,
            terminate_on_hup,
            terminate_on_logoff,
            stop_on_stdin_end,
            notify,
            report_file,
        };
        let config = arguments.config()?;
        let installed = py.detach(|| engine::Lifecycle::install(config));
        let engine = installed.map_err(|error| refused(&error))?;
        Ok(Self {
            stop: engine.stop(),
            ignored: engine.ignored_signals().iter().map(|signal| signal.number()).collect(),
            engine: Mutex::new(Some(Arc::new(engine))),
            tasks: Mutex::default(),
            watched: Mutex::default(),
            report: Mutex::default(),
            process: std::process::id(),
        })
    }

    /// Everything that was to start has started: `Phase.RUNNING` begins, unless a stop came first.
    fn ready(&self, py: Python<'_>) -> PyResult<()> {
        let engine = self.engine()?;
        py.detach(|| engine.ready());
        Ok(())
    }

    /// Requests the stop, and says why in the report; true if nobody had before. Only the first cause counts.
    fn request_stop(&self, py: Python<'_>, cause: String) -> PyResult<bool> {
        self.check()?;
        Ok(py.detach(|| self.stop.request_stop(cause)))
    }

    /// Requests the stop because `name` has failed; true if nobody had requested it before. Every failure is in the
    /// report, and makes the exit status 1.
    fn fail(&self, py: Python<'_>, name: String, error: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.check()?;
        let text = error.str()?.to_string_lossy().into_owned();
        Ok(py.detach(|| self.stop.fail(name, text)))
    }

    /// The present phase, a `Phase`.
    #[getter]
    fn phase<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static PHASE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        PHASE.import(py, "exeunt._phase", "Phase")?.call1((self.stop.phase() as u8,))
    }

    /// Whether the program is to end.
    #[getter]
    fn is_stopping(&self) -> bool {
        self.stop.is_requested()
    }

    /// Why the program ends, in words; None before the stop request.
    #[getter]
    fn cause(&self) -> PyResult<Option<String>> {
        self.check()?;
        Ok(self.stop.cause().map(|cause| cause.to_string()))
    }

    /// When what is in flight is cut, on the clock of `time.monotonic()`; None before the stop request. Shields may move
    /// it.
    #[getter]
    fn drain_deadline(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.check()?;
        self.stop.drain_deadline().map(|at| monotonic(py, at)).transpose()
    }

    /// When the stop is over, whatever is left, on the clock of `time.monotonic()`; None before the stop request.
    #[getter]
    fn hard_deadline(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.check()?;
        self.stop.hard_deadline().map(|at| monotonic(py, at)).transpose()
    }

    /// The stop signals that were ignored at the start, and stay so.
    #[getter]
    fn ignored_signals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.ignored)
    }

    /// A descriptor that gets readable whenever the phase changes, until `seen` is called: for `loop.add_reader`,
    /// `selectors` and `select`. What changed before the first call does not make it readable. Open as long as this
    /// object; whoever shares it with others asks for a `watch` of his own.
    fn fileno(&self) -> PyResult<Descriptor> {
        self.check()?;
        let mut watched = lock(&self.watched);
        if let Some(watched) = &*watched {
            return Ok(watched.bell().descriptor());
        }
        let made = Watched::new(&self.stop)?;
        Ok(watched.insert(made).bell().descriptor())
    }

    /// The change is seen: `fileno()` is not readable any more, until the next.
    fn seen(&self) -> PyResult<()> {
        self.check()?;
        if let Some(watched) = &*lock(&self.watched) {
            watched.bell().seen();
        }
        Ok(())
    }

    /// As `fileno`, with a descriptor of its own.
    fn watch(&self) -> PyResult<Watch> {
        self.check()?;
        Watch::new(&self.stop)
    }

    /// Blocks until the stop is requested, or that later (or earlier) `phase` is reached; false if `timeout` seconds pass
    /// before. In the main thread Python's signal handlers run meanwhile, and what they raise ends the wait.
    #[pyo3(signature = (timeout = None, phase = Phase::LameDuck as u8))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>, phase: u8) -> PyResult<bool> {
        self.check()?;
        let phase = Phase::ALL.get(usize::from(phase)).copied();
        let phase = phase.ok_or_else(|| PyValueError::new_err("there is no such phase; see exeunt.Phase"))?;
        let timeout = timeout.map(|timeout| seconds("timeout", timeout)).transpose()?;
        self.wait_for(py, phase, timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// Counts a piece of work until `done()`, or the end of the `with` block: the stop waits for it until the drain
    /// deadline, and names it if that cuts it. An exception that leaves the block is its failure, a cancellation a cut.
    /// `scope` is where the report sums it up. Taken in the drain, too; it is up to the caller whether to begin
    /// something then.
    #[pyo3(signature = (name, kind = "task", *, scope = "work"))]
    fn work(&self, py: Python<'_>, name: String, kind: &str, scope: &str) -> PyResult<Work> {
        let engine = self.engine()?;
        let site = site::of_caller(py);
        let known = lock(&self.tasks).get(scope).cloned();
        let tasks = known.unwrap_or_else(|| {
            let made = engine.tasks(scope);
            // Whoever was first has made the one that stays.
            lock(&self.tasks).entry(scope.to_owned()).or_insert(made).clone()
        });
        Ok(py.detach(|| Work::new(&tasks, name, kind, site)))
    }

    /// Requests the stop if nobody has, waits for its end (until the hard deadline at most), restores the signals and
    /// answers the report. May be called again, by any thread. In the main thread Python's handlers of other signals run
    /// meanwhile; if one raises, it is not closed, and can be closed again.
    fn close(&self, py: Python<'_>) -> PyResult<Report> {
        self.check()?;
        let over = lock(&self.report).clone();
        if let Some(report) = over {
            return Ok(Report::new(report));
        }
        let Some(engine) = lock(&self.engine).clone() else {
            return Err(PyRuntimeError::new_err("another thread is closing this Lifecycle"));
        };
        py.detach(|| self.stop.request_stop("the program closed its lifecycle"));
        self.wait_for(py, Phase::Stopped, None)?;
        let report = py.detach(|| {
            let report = Arc::new(engine.wait());
            let report = Arc::clone(lock(&self.report).get_or_insert(report));
            lock(&self.tasks).clear();
            let last = lock(&self.engine).take();
            drop((last, engine));
            report
        });
        Ok(Report::new(report))
    }

    /// What happened in the stop, once it is closed.
    #[getter]
    fn report(&self) -> Option<Report> {
        lock(&self.report).clone().map(Report::new)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py).map(|_| ())
    }

    fn __repr__(&self) -> String {
        format!("<Lifecycle {}>", self.stop.phase())
    }
}

/// Signals are handled there alone.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    static MAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static PRESENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let main = MAIN.import(py, "threading", "main_thread")?.call0()?.getattr("ident")?;
    main.eq(PRESENT.import(py, "threading", "get_ident")?.call0()?)
}

/// That moment, as `time.monotonic()` has it: the same clock, with another beginning.
fn monotonic(py: Python<'_>, at: Instant) -> PyResult<f64> {
    static BEGINNING: PyOnceLock<(Instant, f64)> = PyOnceLock::new();
    let (base, seconds) = BEGINNING.get_or_try_init(py, || {
        let seconds = py.import("time")?.call_method0("monotonic")?.extract()?;
        Ok::<_, PyErr>((Instant::now(), seconds))
    })?;
    Ok(match at.checked_duration_since(*base) {
        Some(later) => seconds + later.as_secs_f64(),
        None => seconds - base.saturating_duration_since(at).as_secs_f64(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
