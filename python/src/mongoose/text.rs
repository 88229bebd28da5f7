//! The engine's tools for texts.

use exeunt_manager::http::multipart;
use exeunt_manager::url;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// What stood where the pattern has wildcards, if the text is as it says.
#[pyfunction]
#[pyo3(name = "_matches")]
pub(crate) fn matches(text: &str, pattern: &str) -> Option<Vec<String>> {
    url::matches(text, pattern)
}

/// Where the next part is, name, file name, content.
type Part<'py> = (usize, String, String, Bound<'py, PyBytes>);

/// The part of a form at that offset.
#[pyfunction]
#[pyo3(name = "_scan_multipart")]
pub(crate) fn scan_multipart<'py>(
    py: Python<'py>,
    body: &[u8],
    offset: &Bound<'py, PyAny>,
) -> PyResult<Option<Part<'py>>> {
    let found = match offset.extract() {
        Ok(offset) => py.detach(|| multipart::scan(body, offset)),
        Err(error) if error.is_instance_of::<PyOverflowError>(py) && offset.gt(0)? => None,
        Err(error) => return Err(error),
    };
    Ok(found.map(|part| (part.next, part.name, part.filename, PyBytes::new(py, part.data))))
}
