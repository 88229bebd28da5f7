//! The lifecycle behind all blocks, and whose turn it is when the stop has moved on.

use super::block::ShutdownProtection;
use super::ending;
use super::live::{self, lock};
use super::main_thread;
use super::running;
use exeunt_lifecycle::{Cause, Config, Lifecycle, Scope, Shield, ShieldOutcome, Signal, Stop, Watch};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

static CONDUCTOR: OnceLock<Conductor> = OnceLock::new();

/// Two threads may enter their first blocks at once.
static INSTALLING: Mutex<()> = Mutex::new(());

/// This is a forked child: nothing of this is touched (L17).
static FORKED: AtomicBool = AtomicBool::new(false);

/// Where Python's handlers are, which run in the main thread.
static HANDLED: AtomicU8 = AtomicU8::new(NOT_YET);

const NOT_YET: u8 = 0;
const IN_PLACE: u8 = 1;
/// Not yet, and Python's own handler of SIGINT sees to it.
const LENT: u8 = 2;
/// The main thread is at it, and what comes there now is taken for a signal.
const BEGUN: u8 = 3;

/// Held while the main thread is sent a signal that counts for nothing.
static NUDGING: Mutex<()> = Mutex::new(());

/// `KeyboardInterrupt` was raised in the main thread, since no more could be done there.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// When the forced end was raised in the main thread last.
static FORCED: Mutex<Option<Instant>> = Mutex::new(None);

/// How long the main thread is not interrupted again, by what wakes it for the same signal.
const AGAIN: Duration = Duration::from_millis(500);

/// The main thread is not interrupted any more where that would reach an interpreter that has gone (Windows).
static ENDING: AtomicBool = AtomicBool::new(false);

/// The program ends as users of the drop-in know it.
static DROP_IN: AtomicBool = AtomicBool::new(false);

/// The first signal that the program has raised itself; 0 for none.
static RAISED: AtomicI32 = AtomicI32::new(0);

/// In milliseconds.
static BUDGET: AtomicU64 = AtomicU64::new(Shield::DEFAULT_BUDGET.as_millis() as u64);

static SETTINGS: Mutex<Settings> =
    Mutex::new(Settings { max_attempts: 3, limit: LIMIT, hup: true, logoff: true });

/// How far blocks may move the end, unless one has a longer budget (L6).
const LIMIT: Duration = Duration::from_secs(90);

/// How long the main thread waits for a thread that is interrupted.
pub(super) const ROLLBACK: Duration = Duration::from_secs(1);

/// How long a thread whose block has ended waits for the main thread to know of it.
const BEHIND: Duration = Duration::from_millis(200);

/// How long a handler waits for the signal thread, which has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
struct Settings {
    max_attempts: u32,
    limit: Duration,
    hup: bool,
    logoff: bool,
}

/// The process's one.
pub(super) struct Conductor {
    lifecycle: Lifecycle,
    pub(super) stop: Stop,
    /// The program itself, which is work until its very end: the machine goes on counting attempts.
    pub(super) program: Scope,
    /// As Python knows it.
    main: u64,
    process: u32,
    #[expect(dead_code, reason = "held for its drop")]
    watch: Watch,
}

impl Conductor {
    /// `None` in a forked child. Installs it at the first call.
    pub(super) fn of(py: Python<'_>) -> PyResult<Option<&'static Self>> {
        if FORKED.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(conductor) = CONDUCTOR.get() {
            return Ok(Some(conductor));
        }
        py.import("exeunt._signals")?.getattr("install")?.call0()?;
        Ok(CONDUCTOR.get())
    }

    /// Where it is installed, and not in a forked child.
    pub(super) fn installed() -> Option<&'static Self> {
        CONDUCTOR.get().filter(|_| !FORKED.load(Ordering::Relaxed))
    }

    /// Not before Python has told this thread its number.
    pub(super) fn is_main_thread(&self) -> bool {
        live::is_this_thread(self.main)
    }

    /// False in a child that C code has forked, unseen by Python.
    pub(super) fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// A block of that thread has ended during a stop: the main thread may be next.
    pub(super) fn one_less(&self, py: Python<'_>, thread: u64) -> PyResult<()> {
        if thread == self.main || !live::is_empty() {
            return Ok(());
        }
        if !wake_main_thread() {
            py.import("exeunt._signals")?.getattr("wake_main_thread")?.call0()?;
        }
        // It may be about to join this thread, and to end the program as if nothing had been.
        py.detach(|| {
            let until = Instant::now() + BEHIND;
            while SEEN.load(Ordering::SeqCst) < WANTED.load(Ordering::SeqCst) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Ok(())
    }

    /// The signal that requested the stop.
    pub(super) fn signal(&self) -> i32 {
        match self.stop.cause() {
            Some(Cause::Signal(received)) => received.signal.number(),
            _ => match RAISED.load(Ordering::Relaxed) {
                0 => Signal::TERMINATE.number(),
                raised => raised,
            },
        }
    }
}

impl Settings {
    fn config(self) -> Config {
        Config::default()
            // Attempts count until then.
            .grace(self.limit)
            .hard_limit(self.limit)
            .max_attempts(self.max_attempts)
            .terminate_on_hup(self.hup)
            .terminate_on_logoff(self.logoff)
            .chain_on_main_thread(cfg!(unix))
            .notify(false)
    }
}

pub(super) fn set_drop_in() {
    DROP_IN.store(true, Ordering::Relaxed);
}

pub(super) fn is_drop_in() -> bool {
    DROP_IN.load(Ordering::Relaxed)
}

/// The budget of a block that was given none.
pub(super) fn default_budget() -> Duration {
    Duration::from_millis(BUDGET.load(Ordering::Relaxed))
}

/// A budget beyond the hard limit raises that.
pub(super) fn make_room(py: Python<'_>, budget: Duration) -> PyResult<()> {
    if budget <= LIMIT {
        return Ok(());
    }
    change(py, |settings| settings.limit = settings.limit.max(budget))
}

/// A number of seconds that is a budget.
pub(super) fn budget(seconds: f64) -> PyResult<Duration> {
    let budget = Duration::try_from_secs_f64(seconds).ok();
    budget.filter(|budget| !budget.is_zero() && *budget <= MOST).ok_or_else(|| {
        let text =
            format!("max_exec_time is {seconds}; it is a number of seconds, above 0 and at most 7 days");
        PyValueError::new_err(text)
    })
}

const MOST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn change(py: Python<'_>, change: impl FnOnce(&mut Settings)) -> PyResult<()> {
    let settings = {
        let mut settings = lock(&SETTINGS);
        change(&mut settings);
        *settings
    };
    let Some(conductor) = Conductor::installed() else { return Ok(()) };
    let adjusted = py.detach(|| conductor.lifecycle.adjust(&settings.config()));
    adjusted.map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Interrupts the main thread, which then looks what has become of the stop: again and again until it has, since a signal
/// just before a wait interrupts nothing. False where that cannot be done.
pub(super) fn wake_main_thread() -> bool {
    WANTED.fetch_add(1, Ordering::SeqCst);
    {
        let _nudging = lock(&NUDGING);
        match HANDLED.load(Ordering::SeqCst) {
            IN_PLACE if !main_thread::by_any() => return false,
            LENT => _ = main_thread::by(Signal::INTERRUPT),
            _ => {}
        }
    }
    if !WAKING.swap(true, Ordering::SeqCst) {
        let waker = std::thread::Builder::new().name("exeunt-waker".to_owned()).spawn(wake_until_seen);
        if waker.is_err() {
            WAKING.store(false, Ordering::SeqCst);
        }
    }
    true
}

/// How often the main thread was to look, and which of them it has seen.
static WANTED: AtomicU64 = AtomicU64::new(0);
static SEEN: AtomicU64 = AtomicU64::new(0);

/// A thread sees to it.
static WAKING: AtomicBool = AtomicBool::new(false);

/// In milliseconds: 6 s in all. What does not look by then sits in foreign code, and looks when that is over.
const WAITS: [u64; 10] = [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 3_400];

/// After these, a main thread that has no handlers yet is taken for one that runs no Python code.
const CHANCE: u64 = 80;

fn wake_until_seen() {
    loop {
        let wanted = WANTED.load(Ordering::SeqCst);
        WAITS.into_iter().for_each(wake_again);
        WAKING.store(false, Ordering::SeqCst);
        // Somebody may have wanted more, and left it to this thread.
        if WANTED.load(Ordering::SeqCst) == wanted || WAKING.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

fn wake_again(wait: u64) {
    if SEEN.load(Ordering::SeqCst) >= WANTED.load(Ordering::SeqCst) {
        return;
    }
    std::thread::sleep(Duration::from_millis(wait));
    if SEEN.load(Ordering::SeqCst) >= WANTED.load(Ordering::SeqCst) {
        return;
    }
    let _nudging = lock(&NUDGING);
    match HANDLED.load(Ordering::SeqCst) {
        IN_PLACE => {
            _ = main_thread::by_any();
            return;
        }
        LENT => {
            _ = main_thread::by(Signal::INTERRUPT);
            return;
        }
        BEGUN => return,
        _ => {}
    }
    let is_requested = Conductor::installed().is_some_and(|conductor| conductor.stop.is_requested());
    if wait < CHANCE {
        // It runs what is pending there when its wait for a lock is interrupted.
        _ = main_thread::by(Signal::TERMINATE);
    } else if is_requested && live::is_empty() && !INTERRUPTED.swap(true, Ordering::SeqCst) {
        // All that can be made to run there is Python's own handler of SIGINT, which raises `KeyboardInterrupt`.
        _ = main_thread::by(Signal::INTERRUPT);
        SEEN.store(WANTED.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

/// The program's own code is over.
#[cfg(windows)]
pub(super) fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

fn main_thread_does(forced: bool, held: bool, holds: bool, mine: &[Py<ShutdownProtection>]) -> &'static str {
    if forced {
        // A further signal that comes later is one more wish to end.
        let mut last = lock(&FORCED);
        if last.is_some_and(|last| last.elapsed() < AGAIN) {
            return "";
        }
        *last = Some(Instant::now());
    } else if live::is_told() || INTERRUPTED.load(Ordering::Relaxed) || held || (mine.is_empty() && holds) {
        return "";
    }
    live::set_told();
    mine.iter().for_each(|block| _ = block.get().tell());
    if forced { "force" } else { "raise" }
}

/// What Python calls.
#[pyclass(frozen, name = "_Shields", module = "exeunt._native")]
pub(crate) struct Shields;

#[pymethods]
impl Shields {
    /// Installs the lifecycle, once; `main` is the main thread. True if this call has.
    #[staticmethod]
    fn conduct(py: Python<'_>, main: u64) -> PyResult<bool> {
        let first = py.detach(|| {
            let _installing = lock(&INSTALLING);
            if CONDUCTOR.get().is_some() || FORKED.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let settings = *lock(&SETTINGS);
            let lifecycle = Lifecycle::install(settings.config()).map_err(|error| {
                let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                PyOSError::new_err(format!("{error}{why}"))
            })?;
            lifecycle.ready();
            let stop = lifecycle.stop();
            let program = lifecycle.scope("the program");
            let watch = stop.on_change(|| _ = wake_main_thread());
            let process = std::process::id();
            _ = CONDUCTOR.set(Conductor { lifecycle, stop, program, main, process, watch });
            Ok::<_, PyErr>(true)
        })?;
        if first {
            ending::register(py);
        }
        Ok(first)
    }

    /// The main thread is about to put Python's handlers in place: from now on it is sent nothing that is no signal.
    #[staticmethod]
    fn installing(py: Python<'_>) {
        py.detach(|| {
            let nudging = lock(&NUDGING);
            HANDLED.store(BEGUN, Ordering::SeqCst);
            drop(nudging);
            // What was sent before has come when a system call returns (signal(7)).
            std::thread::yield_now();
        });
    }

    /// Python's handlers are in place.
    #[staticmethod]
    fn handled(py: Python<'_>) {
        HANDLED.store(IN_PLACE, Ordering::SeqCst);
        SEEN.store(WANTED.load(Ordering::SeqCst), Ordering::SeqCst);
        if Self::requested() {
            // It came before them.
            py.detach(|| _ = wake_main_thread());
        }
    }

    /// Python's handler of that signal runs. If nobody here has asked for that, the program has raised it itself
    /// (`signal.raise_signal`, `_thread.interrupt_main`), which is a stop request (P80). For Windows: elsewhere what the
    /// program raises takes the road of all signals.
    #[staticmethod]
    fn raised(py: Python<'_>, signal: i32) {
        let asked = SEEN.load(Ordering::SeqCst) < WANTED.load(Ordering::SeqCst);
        let Some(conductor) = Conductor::installed().filter(|_| !asked) else { return };
        // A waker that comes too late finds a stop that is requested: then this changes nothing.
        _ = RAISED.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
        let cause = format!("{} raised by the program itself", Signal::new(signal));
        py.detach(|| _ = conductor.stop.request_stop(cause));
    }

    /// Interrupts what the main thread waits in, so that it puts Python's handlers in place: by SIGINT, whose handler has
    /// been lent for that, or as far as SIGTERM's wait is not restarted.
    #[staticmethod]
    fn interrupt(py: Python<'_>, lent: bool) {
        if Conductor::installed().is_none() {
            return;
        }
        if lent {
            _ = HANDLED.compare_exchange(NOT_YET, LENT, Ordering::SeqCst, Ordering::SeqCst);
            py.detach(|| _ = wake_main_thread());
        } else {
            _ = main_thread::by(Signal::TERMINATE);
        }
    }

    /// From now on every block that is entered is a shield of that program, too (L6); what is answered ends that.
    #[staticmethod]
    fn follow(lifecycle: &crate::lifecycle::Lifecycle) -> u64 {
        running::begins(lifecycle.stop().clone())
    }

    /// It is over.
    #[staticmethod]
    fn unfollow(py: Python<'_>, number: u64) {
        py.detach(|| running::ends(number));
    }

    /// Takes over what is not None; times in seconds.
    #[staticmethod]
    #[pyo3(signature = (max_exec_time = None, max_attempts = None, terminate_on_hup = None, terminate_on_logoff = None))]
    fn configure(
        py: Python<'_>,
        max_exec_time: Option<f64>,
        max_attempts: Option<u32>,
        terminate_on_hup: Option<bool>,
        terminate_on_logoff: Option<bool>,
    ) -> PyResult<()> {
        set_drop_in();
        let budget = max_exec_time.map(budget).transpose()?;
        if max_attempts == Some(0) {
            let text = "max_attempts is 0, so the end would be forced before it was asked for; 1 forces it at the \
                        first signal";
            return Err(PyValueError::new_err(text));
        }
        if let Some(budget) = budget {
            BUDGET.store(u64::try_from(budget.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        change(py, |settings| {
            settings.max_attempts = max_attempts.unwrap_or(settings.max_attempts);
            settings.hup = terminate_on_hup.unwrap_or(settings.hup);
            settings.logoff = terminate_on_logoff.unwrap_or(settings.logoff);
            settings.limit = settings.limit.max(budget.unwrap_or_default());
        })
    }

    /// Puts the handler of that signal back over one that was put over it; true if it had to, and the signal that came
    /// just now has not been seen by the lifecycle.
    #[staticmethod]
    fn renew(py: Python<'_>, signal: i32) -> PyResult<bool> {
        let Some(conductor) = Conductor::installed() else { return Ok(false) };
        let renewed = py.detach(|| conductor.lifecycle.renew(Signal::new(signal)));
        renewed.map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// Waits until the core has taken note of the signals that have come.
    #[staticmethod]
    fn settle(py: Python<'_>) {
        if let Some(conductor) = Conductor::installed() {
            py.detach(|| _ = conductor.lifecycle.settle(PATIENCE));
        }
    }

    /// What is to be done in the main thread, which asks: "" for nothing, "raise", "force"; and the threads whose blocks
    /// are over. Whatever is answered is taken for done.
    #[staticmethod]
    fn look(py: Python<'_>) -> (&'static str, Vec<u64>) {
        let Some(conductor) = Conductor::installed() else { return ("", Vec::new()) };
        SEEN.store(WANTED.load(Ordering::SeqCst), Ordering::SeqCst);
        py.detach(|| _ = conductor.lifecycle.settle(PATIENCE));
        if !conductor.stop.is_requested() {
            return ("", Vec::new());
        }
        let forced = conductor.stop.is_forced();
        let (mut mine, mut held, mut over_threads, mut holds) = (Vec::new(), false, Vec::new(), false);
        for block in live::all(py) {
            let Some(seen) = block.get().seen() else { continue };
            let over = forced || matches!(seen.outcome, Some(ShieldOutcome::Expired | ShieldOutcome::Forced));
            if seen.thread == conductor.main {
                held |= !over;
                mine.push(block);
            } else {
                // Its rollback comes first, too.
                holds |= !over || seen.sent.is_none_or(|sent| sent.elapsed() < ROLLBACK);
                if over && block.get().send() && !over_threads.contains(&seen.thread) {
                    over_threads.push(seen.thread);
                }
            }
        }
        if !over_threads.is_empty() {
            // Where no thread can be had, the end of the block, or the next signal, has it look again.
            let later = std::thread::Builder::new().name("exeunt-rollback".to_owned());
            _ = later.spawn(|| {
                std::thread::sleep(ROLLBACK);
                wake_main_thread();
            });
        }
        (main_thread_does(forced, held, holds, &mine), over_threads)
    }

    /// The signal that requested the stop, whether the end is forced, and whether the drop-in is in use.
    #[staticmethod]
    fn cause() -> (i32, bool, bool) {
        let drop_in = is_drop_in();
        Conductor::installed().map_or((0, false, drop_in), |c| (c.signal(), c.stop.is_forced(), drop_in))
    }

    /// Whether a stop was requested.
    #[staticmethod]
    fn requested() -> bool {
        Conductor::installed().is_some_and(|conductor| conductor.stop.is_requested())
    }

    /// The program's own code is over. Answers whether a stop was requested.
    #[staticmethod]
    fn ending() -> bool {
        ENDING.store(true, Ordering::Relaxed);
        Self::requested()
    }

    /// The exception has fallen due in the main thread, whose code is over: the exit status says so. Answers that, or
    /// None where the very signal does.
    #[staticmethod]
    fn owe() -> Option<u8> {
        ending::owe();
        Conductor::installed().map_or(Some(0), ending::status)
    }

    /// Whether it has.
    #[staticmethod]
    fn is_owed() -> bool {
        ending::is_owed()
    }

    /// Ends the process after that many seconds, whoever holds the GIL; false without threads.
    #[staticmethod]
    fn end_in(seconds: f64, status: u8) -> bool {
        ending::end_in(Duration::try_from_secs_f64(seconds).unwrap_or_default(), status)
    }

    /// The threads that have live blocks, but for this one, and whether the block's time is over.
    #[staticmethod]
    fn live_threads(py: Python<'_>) -> PyResult<Vec<(u64, bool)>> {
        if Conductor::installed().is_none() {
            return Ok(Vec::new());
        }
        let this = live::this_thread(py)?;
        let seen = live::all(py).into_iter().filter_map(|block| block.get().seen());
        Ok(seen
            .map(|seen| (seen.thread, seen.outcome.is_some()))
            .filter(|(thread, _)| *thread != this)
            .collect())
    }

    /// Whether a block of this thread is live, and its time not over.
    #[staticmethod]
    fn holds(py: Python<'_>) -> PyResult<bool> {
        if Conductor::installed().is_none() {
            return Ok(false);
        }
        let this = live::this_thread(py)?;
        let mut seen = live::all(py).into_iter().filter_map(|block| block.get().seen());
        Ok(seen.any(|seen| seen.thread == this && seen.outcome.is_none()))
    }

    /// Whether threads are about to end because of the exception, within the time that they have for that.
    #[staticmethod]
    fn leaving() -> bool {
        live::is_any_leaving()
    }

    /// This is a forked child.
    #[staticmethod]
    fn forked() {
        FORKED.store(true, Ordering::Relaxed);
    }
}
