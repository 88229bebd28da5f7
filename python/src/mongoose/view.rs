//! What a handler is shown, and nobody afterwards.

use super::http::HttpMessage;
use super::shared::lock;
use super::websocket::WsMessage;
use exeunt_manager as engine;
use exeunt_manager::WsHandshake;
use pyo3::prelude::*;
use std::sync::Mutex;

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

    /// The same, by one that nobody has kept, if there is any.
    pub(super) fn of_request_in(
        py: Python<'_>,
        spare: &Mutex<Option<Py<HttpMessage>>>,
        conn: &engine::Connection,
        request: &engine::Request,
    ) -> PyResult<Self> {
        let Some(view) = lock(spare).take() else { return Self::of_request(py, conn, request) };
        view.get().begin(conn, request);
        Ok(Self::Http(view))
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

    /// Whoever keeps it sees nothing in it from now on. If nobody does, the next request is shown in it.
    #[expect(
        deprecated,
        reason = "the count may be old where there is no GIL, and the stable ABI of this module has one"
    )]
    pub(super) fn end(self, py: Python<'_>, spare: &Mutex<Option<Py<HttpMessage>>>) {
        match self {
            Self::Http(view) => {
                view.get().end();
                if view.bind(py).get_refcnt() == 1 {
                    let before = lock(spare).replace(view);
                    drop(before);
                }
            }
            Self::WebSocket(view) => view.get().end(),
        }
    }
}
