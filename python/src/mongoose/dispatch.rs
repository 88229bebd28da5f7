//! From an event of the engine to a call of the program's handler.

use super::connection::Connection;
use super::events;
use super::shared::{Shared, lock};
use super::view::View;
use exeunt_manager as engine;
use exeunt_manager::Event;
use exeunt_sys_python::{call, call3};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

impl Shared {
    /// Tells the program. Called by the engine, by any thread, without the GIL or with it.
    pub(super) fn told(&self, conn: &engine::Connection, event: Event<'_>) {
        if !self.origin.is_here() {
            // A handler of the parent's has forked, and returned in the child, to a loop that has nothing to do here.
            return;
        }
        Python::attach(|py| {
            // What failed then is not the program's: no memory for an object, mostly.
            if let Err(error) = self.tell(py, conn, event) {
                error.write_unraisable(py, None);
            }
        });
    }

    fn tell(&self, py: Python<'_>, conn: &engine::Connection, event: Event<'_>) -> PyResult<()> {
        if matches!(event, Event::Open) {
            let object = self.begin(py, conn)?;
            return self.call(py, &object, events::OPEN, None);
        }
        let object = self.object(py, conn)?;
        let (number, view) = match event {
            Event::Resolve => (events::RESOLVE, None),
            Event::Connect => (events::CONNECT, None),
            Event::Accept => (events::ACCEPT, None),
            Event::TlsHandshake => (events::TLS_HS, None),
            Event::Poll => (events::POLL, None),
            Event::Read(_) => (events::READ, None),
            Event::Write(_) => (events::WRITE, None),
            Event::HttpHeaders(request) => {
                object.get().asks(conn);
                (events::HTTP_HDRS, Some(View::of_request_in(py, &self.spare, conn, request)?))
            }
            Event::HttpMessage(request) => {
                object.get().asks(conn);
                (events::HTTP_MSG, Some(View::of_request_in(py, &self.spare, conn, request)?))
            }
            Event::HttpResponseHeaders(response) => {
                (events::HTTP_HDRS, Some(View::of_response(py, conn, response)?))
            }
            Event::HttpResponse(response) => (events::HTTP_MSG, Some(View::of_response(py, conn, response)?)),
            Event::WsOpen(handshake) => (events::WS_OPEN, View::of_handshake(py, conn, handshake)?),
            Event::WsMessage(message) => (events::WS_MSG, Some(View::of_message(py, message)?)),
            Event::WsControl(_) => (events::WS_CTL, None),
            Event::Close => {
                let told = self.call(py, &object, events::CLOSE, None);
                self.forget(conn.id());
                object.get().handle_by(None);
                return told;
            }
            Event::Error(text) => {
                let text = PyString::new(py, text).into_any();
                return self.call(py, &object, events::ERROR, Some(text));
            }
            Event::Wakeup(payload) => {
                let payload = PyBytes::new(py, payload).into_any();
                return self.call(py, &object, events::WAKEUP, Some(payload));
            }
            _ => return Ok(()),
        };
        let told = self.call(py, &object, number, view.as_ref().map(|view| view.data(py)));
        if let Some(view) = view {
            view.end(py, &self.spare);
        }
        told
    }

    fn call<'py>(
        &self,
        py: Python<'py>,
        object: &Py<Connection>,
        number: u8,
        data: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let own = object.get().handler(py);
        let handler = own.or_else(|| lock(&self.handler).as_ref().map(|handler| handler.clone_ref(py)));
        let Some(handler) = handler else { return Ok(()) };
        let number = number.into_pyobject(py)?;
        let data = data.unwrap_or_else(|| py.None().into_bound(py));
        self.within(py, || {
            if let Err(error) = call3(handler.bind(py), [object.bind(py), &number, &data]) {
                self.failed(py, error, &handler);
            }
        });
        Ok(())
    }

    /// What is no `Exception` (`KeyboardInterrupt`, `SystemExit`) leaves `poll`; anything else goes to the error handler, or
    /// to stderr as a traceback. `raised_by`: what was called.
    pub(super) fn failed(&self, py: Python<'_>, error: PyErr, raised_by: &Py<PyAny>) {
        if !error.is_instance_of::<PyException>(py) {
            return self.raise(py, error, Some(raised_by));
        }
        let error_handler = lock(&self.error_handler).as_ref().map(|handler| handler.clone_ref(py));
        let Some(error_handler) = error_handler else { return error.display(py) };
        let told = (error.value(py),).into_pyobject(py);
        let Err(further) = told.and_then(|told| call(error_handler.bind(py), &told)) else { return };
        if !further.is_instance_of::<PyException>(py) {
            return self.raise(py, further, Some(&error_handler));
        }
        error.display(py);
        further.display(py);
    }
}
