//! A descriptor that tells event loops of the stop.

use exeunt_lifecycle as engine;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

/// A descriptor that gets readable whenever the phase of a lifecycle changes, until `seen` is called.
#[pyclass(frozen, module = "exeunt")]
pub(crate) struct Watch {
    /// `None` once it is closed.
    open: Mutex<Option<Descriptor>>,
}

/// The same, for Rust.
pub(super) struct Descriptor {
    reader: UnixStream,
    #[expect(dead_code, reason = "held for its drop")]
    watch: engine::Watch,
}

impl Descriptor {
    pub(super) fn new(stop: &engine::Stop) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        // Full is as good as written: the reader has not looked yet.
        let watch = stop.on_change(move || _ = (&writer).write(&[1]));
        Ok(Self { reader, watch })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    pub(super) fn reader(&self) -> &UnixStream {
        &self.reader
    }

    /// Not readable any more, but for what changes from now on.
    pub(super) fn seen(&self) {
        let mut buffer = [0; 64];
        while matches!((&self.reader).read(&mut buffer), Ok(1..)) {}
    }
}

impl Watch {
    pub(super) fn new(stop: &engine::Stop) -> PyResult<Self> {
        let descriptor = Descriptor::new(stop)?;
        Ok(Self { open: Mutex::new(Some(descriptor)) })
    }

    fn with<R>(&self, act: impl FnOnce(&Descriptor) -> R) -> PyResult<R> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(act).ok_or_else(|| PyValueError::new_err("this Watch is closed; ask for another"))
    }
}

#[pymethods]
impl Watch {
    /// The descriptor, for `loop.add_reader`, `selectors` and `select`.
    fn fileno(&self) -> PyResult<RawFd> {
        self.with(Descriptor::fd)
    }

    /// What happened is seen: readable again when the phase has changed once more.
    fn seen(&self) -> PyResult<()> {
        self.with(Descriptor::seen)
    }

    /// Ends it; the descriptor is closed.
    fn close(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(open);
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, pyo3::types::PyTuple>) {
        self.close();
    }
}
