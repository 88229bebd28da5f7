//! What goes wrong, as Python has it: who is gone is a `ConnectionError`, what was given wrongly a `ValueError`.

use exeunt_manager::{AnswerError, ListenError, PollError, SendError, UpgradeError};
use pyo3::PyErr;
use pyo3::exceptions::{PyConnectionResetError, PyOSError, PyRuntimeError, PyValueError};

pub(super) fn listening(error: &ListenError) -> PyErr {
    let text = error.to_string();
    match error {
        ListenError::Url(_) | ListenError::Tls { .. } => PyValueError::new_err(text),
        ListenError::Bind { .. } | ListenError::Socket { .. } => PyOSError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}

pub(super) fn polling(error: &PollError) -> PyErr {
    PyOSError::new_err(error.to_string())
}

pub(super) fn sending(error: &SendError) -> PyErr {
    let text = error.to_string();
    match error {
        SendError::Closed(_) | SendError::SaidClose => PyConnectionResetError::new_err(text),
        SendError::NotText | SendError::ControlTooLong { .. } | SendError::CloseCode { .. } => {
            PyValueError::new_err(text)
        }
        _ => PyRuntimeError::new_err(text),
    }
}

pub(super) fn answering(error: &AnswerError) -> PyErr {
    match error {
        AnswerError::Send(error) => sending(error),
        AnswerError::Reply(error) => PyValueError::new_err(error.to_string()),
        _ => PyRuntimeError::new_err(error.to_string()),
    }
}

pub(super) fn upgrading(error: &UpgradeError) -> PyErr {
    let text = error.to_string();
    match error {
        UpgradeError::Closed(_) => PyConnectionResetError::new_err(text),
        UpgradeError::Header(_) | UpgradeError::Reserved { .. } => PyValueError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}
