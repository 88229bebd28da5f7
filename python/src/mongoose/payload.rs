//! From Python's objects to bytes and text, and back.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};

/// What is to be sent: bytes as they are, text as UTF-8.
pub(super) enum Payload<'py> {
    Bytes(Bound<'py, PyBytes>),
    Text(Bound<'py, PyString>),
}

impl Payload<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes(),
            // It was looked at when it was taken, and cannot change.
            Self::Text(text) => text.to_str().map(str::as_bytes).unwrap_or_default(),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Payload<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.to_owned()));
        }
        if let Ok(text) = object.cast::<PyString>() {
            // A lone surrogate is no text that could be sent: UnicodeEncodeError.
            text.to_str()?;
            return Ok(Self::Text(text.to_owned()));
        }
        // Other threads may write to it meanwhile, and hold no lock for that: it is copied.
        let Ok(view) = PyMemoryView::from(&object) else {
            let kind = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!("str or a bytes-like object is needed, not '{kind}'")));
        };
        Ok(Self::Bytes(view.call_method0("tobytes")?.cast_into()?))
    }
}

/// Text that came from outside. Bytes that are no UTF-8 become lone surrogates (PEP 383), from which
/// `text.encode("utf-8", "surrogateescape")` gets them back.
pub(super) fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text)),
        Err(_) => {
            let bytes = PyBytes::new(py, bytes).into_any();
            PyString::from_encoded_object(&bytes, Some(c"utf-8"), Some(c"surrogateescape"))
        }
    }
}

/// How much is meant by a length: all, if it is negative.
pub(super) fn most(length: i64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
