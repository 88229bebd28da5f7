//! Python's signals in a poll of the main thread.
//!
//! A Python signal handler runs in the main thread, between two instructions of Python; what the system calls only
//! writes the signal down, and writes a byte to the wakeup descriptor (`signal.set_wakeup_fd`). So ours is that
//! descriptor, from when a manager is made in the main thread until the last is closed: a signal that comes before a
//! wait ends it as one that comes within, however short before. It is one pair of sockets for the process and stays open,
//! since a byte may be written at any time. A descriptor of somebody else's (asyncio's, a GUI's) has its place but for a
//! poll of ours, and is told then what came meanwhile.

use super::shared::lock;
use crate::fork::Origin;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};
use std::cell::Cell;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

/// Locked with the GIL alone.
static PAIR: Mutex<Option<Pair>> = Mutex::new(None);

struct Pair {
    origin: Origin,
    ours: Arc<OwnedFd>,
    read: UnixStream,
    theirs: UnixStream,
    /// Managers of this process that are open.
    managers: usize,
}

/// A wait of the main thread, for whose time the wakeup descriptor is ours.
struct Listening {
    ours: RawFd,
    /// Whose it was, if it was somebody else's.
    before: Option<RawFd>,
}

/// A manager is made.
pub(super) fn opened(py: Python<'_>) -> PyResult<()> {
    with_pair(|pair| pair.managers += 1)?;
    if let Some(listening) = begin(py)? {
        listening.end(py)?;
    }
    Ok(())
}

/// A manager is closed. Behind the last, the descriptor is nobody's again.
pub(super) fn closed(py: Python<'_>) -> PyResult<()> {
    let theirs = with_pair(|pair| {
        pair.managers = pair.managers.saturating_sub(1);
        (pair.managers == 0).then(|| pair.theirs.as_raw_fd())
    })?;
    if let Some(theirs) = theirs {
        withdraw(py, theirs)?;
    }
    Ok(())
}

/// In a forked child: the pair is the parent's, too.
pub(crate) fn forked(py: Python<'_>) -> PyResult<()> {
    let parents = lock(&PAIR).take();
    parents.map_or(Ok(()), |parents| withdraw(py, parents.theirs.as_raw_fd()))
}

/// Where signals can be heard in this thread, if Python's handlers run in it.
pub(super) fn source() -> PyResult<Option<Arc<OwnedFd>>> {
    if is_main() { with_pair(|pair| Arc::clone(&pair.ours)).map(Some) } else { Ok(None) }
}

/// Has Python say whether this is the main thread, if it has not.
pub(super) fn learn(py: Python<'_>) -> PyResult<()> {
    if known().is_none()
        && let Some(listening) = begin(py)?
    {
        listening.end(py)?;
    }
    Ok(())
}

/// A wait, without the GIL. What signals' handlers raise is its error.
pub(super) fn around(py: Python<'_>, wait: &mut (dyn FnMut(bool) -> bool + Send)) -> PyResult<()> {
    // Setting the descriptor costs two system calls: a loop that is busy does without.
    let done = may_be_main() && py.detach(|| wait(false));
    if !done {
        let listening = begin(py)?;
        py.detach(|| wait(true));
        listening.map_or(Ok(()), |listening| listening.end(py))?;
    }
    // Here, and not in the next handler, which what they raise would be taken for a fault of.
    py.check_signals()
}

/// None off the main thread, where Python's signal handlers do not run.
fn begin(py: Python<'_>) -> PyResult<Option<Listening>> {
    if !may_be_main() {
        return Ok(None);
    }
    let ours = with_pair(|pair| pair.theirs.as_raw_fd())?;
    let Some(before) = exchange(py, ours)? else { return Ok(None) };
    let before = (before != ours && before != -1).then_some(before);
    Ok(Some(Listening { ours, before }))
}

impl Listening {
    /// Lets whoever was there before have what came.
    fn end(self, py: Python<'_>) -> PyResult<()> {
        let Some(before) = self.before else { return Ok(()) };
        // A handler may have set another meanwhile, which stays.
        let there = exchange(py, -1)?.filter(|there| *there != self.ours && *there != -1).unwrap_or(before);
        put_back(py, there)?;
        let bytes = take()?;
        if !bytes.is_empty() {
            // If it does not take them, or is closed by now, the signals themselves would have met the same.
            let write = py.import("os")?.getattr("write")?;
            _ = write.call1((there, PyBytes::new(py, &bytes)));
        }
        Ok(())
    }
}

/// Takes ours away, if it is there.
fn withdraw(py: Python<'_>, ours: RawFd) -> PyResult<()> {
    match exchange(py, -1)? {
        Some(there) if there != ours && there != -1 => put_back(py, there),
        _ => Ok(()),
    }
}

/// Sets somebody else's, unless that is closed, or of no use, by now.
fn put_back(py: Python<'_>, fd: RawFd) -> PyResult<()> {
    match set(py, fd) {
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(()),
        other => other.map(drop),
    }
}

thread_local! {
    /// Whether this is the main thread, as Python said, which cannot change but in a fork.
    static MAIN: Cell<Option<(Origin, bool)>> = const { Cell::new(None) };
}

fn known() -> Option<bool> {
    MAIN.get().filter(|(origin, _)| origin.is_here()).map(|(_, is_main)| is_main)
}

pub(super) fn may_be_main() -> bool {
    known().unwrap_or(true)
}

/// It is, for sure: what only the main thread may take, another must not take from it.
pub(super) fn is_main() -> bool {
    known().unwrap_or(false)
}

/// Sets ours, or none; what it was. None off the main thread of the main interpreter.
fn exchange(py: Python<'_>, fd: RawFd) -> PyResult<Option<RawFd>> {
    if !may_be_main() {
        return Ok(None);
    }
    match set(py, fd) {
        Err(error) if error.is_instance_of::<PyValueError>(py) => {
            MAIN.set(Some((Origin::here(), false)));
            Ok(None)
        }
        other => {
            let before = other?;
            MAIN.set(Some((Origin::here(), true)));
            Ok(Some(before))
        }
    }
}

fn set(py: Python<'_>, fd: RawFd) -> PyResult<RawFd> {
    static SET: PyOnceLock<(Py<PyAny>, Py<PyDict>)> = PyOnceLock::new();
    let (set, how) = SET.get_or_try_init(py, || {
        let how = PyDict::new(py);
        // Full, it ends a wait as well.
        how.set_item("warn_on_full_buffer", false)?;
        Ok::<_, PyErr>((py.import("signal")?.getattr("set_wakeup_fd")?.unbind(), how.unbind()))
    })?;
    set.bind(py).call((fd,), Some(how.bind(py)))?.extract()
}

/// What came at ours, so that only what comes from here on ends the next wait.
pub(super) fn take() -> PyResult<Vec<u8>> {
    with_pair(|pair| {
        let mut bytes = Vec::new();
        let mut scratch = [0; 256];
        while let Ok(length) = (&pair.read).read(&mut scratch)
            && length > 0
        {
            bytes.extend_from_slice(scratch.get(..length).unwrap_or_default());
        }
        bytes
    })
}

fn with_pair<T>(does: impl FnOnce(&mut Pair) -> T) -> PyResult<T> {
    let mut place = lock(&PAIR);
    if let Some(pair) = &mut *place
        && pair.origin.is_here()
    {
        return Ok(does(pair));
    }
    let mut pair = Pair::new()?;
    let value = does(&mut pair);
    *place = Some(pair);
    Ok(value)
}

impl Pair {
    fn new() -> std::io::Result<Self> {
        let (read, theirs) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let ours = Arc::new(OwnedFd::from(read.try_clone()?));
        Ok(Self { origin: Origin::here(), ours, read, theirs, managers: 0 })
    }
}
