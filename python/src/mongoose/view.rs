//! What a handler is shown, and nobody afterwards.

use super::http::HttpMessage;
use super::websocket::WsMessage;
use exeunt_manager as engine;
use exeunt_manager::WsHandshake;
use pyo3::prelude::*;

pub(super) enum View {
    Http(Py<HttpMessage>),
    WebSocket(Py<WsMessage>),
}

impl View {
    pub(super) fn of_request(
        py: Python<'_>,
        conn: &engine::Connection,
        request: &engine::Request,
    ) -> PyResult<Self> {
        Py::new(py, HttpMessage::of_request(conn, request)).map(Self::Http)
    }

    pub(super) fn of_response(
        py: Python<'_>,
        conn: &engine::Connection,
        response: &engine::Response,
    ) -> PyResult<Self> {
        Py::new(py, HttpMessage::of_response(conn, response)).map(Self::Http)
    }

    pub(super) fn of_handshake(
        py: Python<'_>,
        conn: &engine::Connection,
        handshake: WsHandshake<'_>,
    ) -> PyResult<Option<Self>> {
        match handshake {
            WsHandshake::Asked(request) => Self::of_request(py, conn, request).map(Some),
            WsHandshake::Answered(response) => Self::of_response(py, conn, response).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn of_message(py: Python<'_>, message: &engine::WsMessage) -> PyResult<Self> {
        Py::new(py, WsMessage::of(message)).map(Self::WebSocket)
    }

    pub(super) fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Http(view) => view.bind(py).clone().into_any(),
            Self::WebSocket(view) => view.bind(py).clone().into_any(),
        }
    }

    /// Whoever keeps it sees nothing in it from now on.
    pub(super) fn end(&self) {
        match self {
            Self::Http(view) => view.get().end(),
            Self::WebSocket(view) => view.get().end(),
        }
    }
}
