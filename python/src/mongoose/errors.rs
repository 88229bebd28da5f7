//! The engine's errors as Python's: a `ValueError` where what was given is of no use, a `RuntimeError` where the time or the
//! place is wrong.

use exeunt_manager as engine;
use exeunt_manager::{AnswerError, SendError, StartTlsError, UpgradeError};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// An error that a program can be told.
pub(super) trait Raised {
    /// As Python knows it.
    fn raised(self) -> PyErr;
}

/// What programs look for in the text is `closed`.
pub(super) fn closed() -> PyErr {
    PyRuntimeError::new_err("Connection has been closed")
}

pub(super) fn runtime(error: &impl ToString) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

pub(super) fn value(error: &impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

impl Raised for SendError {
    fn raised(self) -> PyErr {
        match self {
            Self::Closed(_) => closed(),
            Self::Full { waiting, more, limit } => PyRuntimeError::new_err(format!(
                "{waiting} bytes wait to be sent, and {more} more would pass the limit of {limit}; wait for MG_EV_WRITE"
            )),
            Self::NotText | Self::ControlTooLong { .. } | Self::CloseCode { .. } => value(&self),
            _ => runtime(&self),
        }
    }
}

impl Raised for AnswerError {
    fn raised(self) -> PyErr {
        match self {
            Self::Send(error) => error.raised(),
            Self::Reply(error) => value(&error),
            _ => runtime(&self),
        }
    }
}

impl Raised for UpgradeError {
    fn raised(self) -> PyErr {
        match self {
            Self::Closed(_) => closed(),
            Self::Header(_) | Self::Reserved { .. } => value(&self),
            Self::NotWhole => PyRuntimeError::new_err(
                "the request is not whole yet; upgrade it when it is told as MG_EV_HTTP_MSG",
            ),
            _ => runtime(&self),
        }
    }
}

impl Raised for StartTlsError {
    fn raised(self) -> PyErr {
        match self {
            Self::Closed(_) => closed(),
            Self::NotAStream => {
                PyRuntimeError::new_err("TLS is for streams and their listeners, not for UDP")
            }
            Self::Spoken => PyRuntimeError::new_err(
                "HTTP was spoken on this connection already; call tls_init in MG_EV_ACCEPT or MG_EV_CONNECT",
            ),
            _ => runtime(&self),
        }
    }
}

impl Raised for engine::http::CredentialsError {
    fn raised(self) -> PyErr {
        value(&self)
    }
}
