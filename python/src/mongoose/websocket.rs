//! What a handler sees of a WebSocket's message, and what a program may send.

use super::payload::text;
use super::shared::lock;
use exeunt_manager as engine;
use exeunt_manager::WsOp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::sync::Mutex;

/// A message, as long as its handler runs; afterwards it is empty, and false.
#[pyclass(frozen, module = "exeunt.mongoose")]
pub(crate) struct WsMessage {
    message: Mutex<Option<engine::WsMessage>>,
}

impl WsMessage {
    pub(super) fn of(message: &engine::WsMessage) -> Self {
        Self { message: Mutex::new(Some(message.clone())) }
    }

    /// The handler has returned.
    pub(super) fn end(&self) {
        let message = lock(&self.message).take();
        drop(message);
    }

    fn message(&self) -> Option<engine::WsMessage> {
        lock(&self.message).clone()
    }
}

#[pymethods]
impl WsMessage {
    /// An empty one, as those are whose handler has returned.
    #[new]
    fn new() -> Self {
        Self { message: Mutex::default() }
    }

    /// The message as UTF-8; what is not UTF-8 (of a binary one) comes with lone surrogates ("surrogateescape").
    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let message = self.message();
        text(py, message.as_ref().map(engine::WsMessage::data).unwrap_or_default())
    }

    /// The message as bytes.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let message = self.message();
        PyBytes::new(py, message.as_ref().map(engine::WsMessage::data).unwrap_or_default())
    }

    /// The first byte of a frame that has all of it (RFC 6455 §5.2): 129 of text, 130 of binary. `flags & 15` is the opcode, and
    /// `flags & 2` tells binary.
    #[getter]
    fn flags(&self) -> u8 {
        match self.message() {
            Some(message) if message.is_binary() => 0x82,
            Some(_) => 0x81,
            None => 0,
        }
    }

    fn __bool__(&self) -> bool {
        lock(&self.message).is_some()
    }

    fn __repr__(&self) -> String {
        match self.message() {
            Some(message) => {
                let kind = if message.is_binary() { "binary" } else { "text" };
                format!("<WsMessage {kind}, {} bytes>", message.data().len())
            }
            None => "<WsMessage, its handler has returned>".to_owned(),
        }
    }
}

/// `WEBSOCKET_OP_*`, the opcodes of RFC 6455 §5.2.
pub(super) fn op(number: i64) -> PyResult<WsOp> {
    Ok(match number {
        1 => WsOp::Text,
        2 => WsOp::Binary,
        8 => WsOp::Close,
        9 => WsOp::Ping,
        10 => WsOp::Pong,
        _ => {
            return Err(PyValueError::new_err(format!(
                "op is one of WEBSOCKET_OP_TEXT (1), _BINARY (2), _CLOSE (8), _PING (9) and _PONG (10), not {number}"
            )));
        }
    })
}
