//! `Closing`: a listening socket of Python's on its way out (D3).

use std::os::fd::{IntoRawFd as _, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use exeunt_manager::listener::{self, CloseOptions, Connection, Listener, Step};
use pyo3::prelude::*;

/// The end of a listening socket that nobody else was given, and that loses nobody who believes to be connected.
///
/// Made from its descriptor, of which it keeps a copy: the caller closes his own before the first `accept`, which would
/// otherwise find him among those who hold the socket. Dropped before it is closed, it closes the socket at once.
#[pyclass(frozen, module = "exeunt", name = "_Closing")]
pub(crate) struct Closing {
    state: Mutex<State>,
}

struct State {
    closing: listener::Closing,
    /// None once the socket is closed.
    next: Option<Instant>,
}

#[pymethods]
impl Closing {
    #[new]
    fn new(descriptor: RawFd) -> PyResult<Self> {
        let listener = Listener::adopt_sole(exeunt_sys::descriptors::duplicate(descriptor)?)?;
        let closing = listener.close(CloseOptions::default());
        Ok(Self { state: Mutex::new(State { closing, next: Some(Instant::now()) }) })
    }

    /// The descriptor of somebody who is on his way here; None if nobody is just now, or the socket is closed.
    fn accept(&self, py: Python<'_>) -> Option<RawFd> {
        py.detach(|| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (accepted, next) = match state.closing.step(Instant::now()) {
                Step::Accepted(Connection::Tcp { stream, .. }) => {
                    (Some(stream.into_raw_fd()), Some(Instant::now()))
                }
                Step::Accepted(Connection::Unix { stream }) => {
                    (Some(stream.into_raw_fd()), Some(Instant::now()))
                }
                Step::Wait { until } => (None, Some(until)),
                Step::Closed(_) => (None, None),
            };
            state.next = next;
            accepted
        })
    }

    /// Seconds until it is to be asked again, some milliseconds at most; None once the socket is closed.
    #[getter]
    fn pause(&self) -> Option<f64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next.map(|next| next.saturating_duration_since(Instant::now()).as_secs_f64())
    }
}
