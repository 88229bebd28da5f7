//! Durations, as programs give them.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use std::time::Duration;

/// Milliseconds: an int, or a float where a fraction matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Milliseconds(f64);

impl Milliseconds {
    pub(super) const ZERO: Self = Self(0.0);

    /// How long to wait: without limit (`None`) if it is negative, or longer than any clock runs.
    pub(super) fn timeout(self) -> Option<Duration> {
        if self.0 < 0.0 { None } else { Duration::try_from_secs_f64(self.0 / 1000.0).ok() }
    }

    /// How long a period is. An `OverflowError` if it is negative or no clock runs that long.
    pub(super) fn period(self) -> PyResult<Duration> {
        let duration = Duration::try_from_secs_f64(self.0 / 1000.0);
        duration.map_err(|_| {
            let given = self.0;
            PyOverflowError::new_err(format!(
                "a timer's period must be 0 ms or more, and shorter than a clock runs: {given} ms"
            ))
        })
    }
}

impl<'py> FromPyObject<'_, 'py> for Milliseconds {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let value: f64 = given.extract().map_err(|error: PyErr| {
            if error.is_instance_of::<PyTypeError>(given.py()) {
                let kind = given.get_type().name().map(|name| name.to_string()).unwrap_or_default();
                return PyTypeError::new_err(format!("milliseconds are an int or a float, not {kind}"));
            }
            error
        })?;
        if value.is_nan() {
            return Err(PyValueError::new_err("milliseconds are a number, not nan"));
        }
        Ok(Self(value))
    }
}
