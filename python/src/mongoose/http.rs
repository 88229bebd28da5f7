//! What a handler sees of a request, or of a response.

use super::payload::text;
use super::shared::lock;
use exeunt_manager as engine;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use std::sync::Mutex;

/// A request, or on a client's connection a response, as long as its handler runs; afterwards it is empty, and false.
///
/// Of a response `method` is the version, `uri` the status as text and `proto` the reason: the three words of its first line.
/// Text that is not UTF-8 comes with lone surrogates ("surrogateescape").
#[pyclass(frozen, module = "exeunt.mongoose")]
pub(crate) struct HttpMessage {
    view: Mutex<Option<View>>,
}

/// What it shows, and of whom.
#[derive(Clone)]
struct View {
    connection: engine::Connection,
    message: Message,
}

#[derive(Clone)]
enum Message {
    Request(engine::Request),
    Response(engine::Response),
}

impl HttpMessage {
    pub(super) fn of_request(connection: &engine::Connection, request: &engine::Request) -> Self {
        Self::of(connection, Message::Request(request.clone()))
    }

    pub(super) fn of_response(connection: &engine::Connection, response: &engine::Response) -> Self {
        Self::of(connection, Message::Response(response.clone()))
    }

    fn of(connection: &engine::Connection, message: Message) -> Self {
        Self { view: Mutex::new(Some(View { connection: connection.clone(), message })) }
    }

    /// From now on it shows this request; nobody else has it.
    pub(super) fn begin(&self, connection: &engine::Connection, request: &engine::Request) {
        let view = View { connection: connection.clone(), message: Message::Request(request.clone()) };
        let before = lock(&self.view).replace(view);
        drop(before);
    }

    /// The handler has returned.
    pub(super) fn end(&self) {
        let view = lock(&self.view).take();
        drop(view);
    }

    /// The request of that connection that it shows, as long as it does.
    pub(super) fn request_of(&self, connection: &engine::Connection) -> Option<engine::Request> {
        match &*lock(&self.view) {
            Some(View { connection: of, message: Message::Request(request) }) if of == connection => {
                Some(request.clone())
            }
            _ => None,
        }
    }

    fn message(&self) -> Option<Message> {
        lock(&self.view).as_ref().map(|view| view.message.clone())
    }

    fn request(&self) -> Option<engine::Request> {
        match self.message() {
            Some(Message::Request(request)) => Some(request),
            _ => None,
        }
    }
}

impl Message {
    fn header(&self, name: &str) -> Option<&[u8]> {
        match self {
            Self::Request(request) => request.header_bytes(name),
            Self::Response(response) => response.header_bytes(name),
        }
    }

    fn headers(&self) -> Vec<(&str, &[u8])> {
        match self {
            Self::Request(request) => request.headers().collect(),
            Self::Response(response) => response.headers().collect(),
        }
    }

    fn body(&self) -> &[u8] {
        match self {
            Self::Request(request) => request.body(),
            Self::Response(response) => response.body(),
        }
    }
}

#[pymethods]
impl HttpMessage {
    /// An empty one, as those are whose handler has returned.
    #[new]
    pub(super) fn new() -> Self {
        Self { view: Mutex::default() }
    }

    /// The method of a request ("GET"); of a response its version.
    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        match self.message() {
            Some(Message::Request(request)) => PyString::new(py, request.method()),
            Some(Message::Response(response)) => PyString::new(py, &response.version().to_string()),
            None => PyString::new(py, ""),
        }
    }

    /// The path as it was sent, not decoded and without the query; of CONNECT "host:port". Of a response its status.
    #[getter]
    fn uri<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        match self.message() {
            Some(Message::Request(request)) => PyString::new(py, request.uri()),
            Some(Message::Response(response)) => PyString::new(py, &response.status().to_string()),
            None => PyString::new(py, ""),
        }
    }

    /// What stands behind the "?", not decoded.
    #[getter]
    fn query(&self) -> String {
        self.request().map(|request| request.query().to_owned()).unwrap_or_default()
    }

    /// The version of a request ("HTTP/1.1"); of a response its reason ("OK").
    #[getter]
    fn proto(&self) -> String {
        match self.message() {
            Some(Message::Request(request)) => request.version().to_string(),
            Some(Message::Response(response)) => response.reason().to_owned(),
            None => String::new(),
        }
    }

    /// The body, without chunks.
    #[getter]
    fn body_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let message = self.message();
        PyBytes::new(py, message.as_ref().map(Message::body).unwrap_or_default())
    }

    /// The body as UTF-8.
    #[getter]
    fn body_text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let message = self.message();
        text(py, message.as_ref().map(Message::body).unwrap_or_default())
    }

    /// The status of a response, 0 of a request, None if there is neither.
    fn status(&self) -> Option<u16> {
        self.message().map(|message| match message {
            Message::Request(_) => 0,
            Message::Response(response) => response.status(),
        })
    }

    /// The first header of that name, in any case; `default` if there is none.
    #[pyo3(signature = (name, default = None))]
    fn header<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let message = self.message();
        match message.as_ref().and_then(|message| message.header(name)) {
            Some(value) => Ok(Some(text(py, value)?.into_any())),
            None => Ok(default),
        }
    }

    /// All headers as pairs of name and value, in their order, with the names as they were sent.
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let message = self.message();
        let list = PyList::empty(py);
        for (name, value) in message.as_ref().map(Message::headers).unwrap_or_default() {
            list.append(PyTuple::new(py, [PyString::new(py, name), text(py, value)?])?)?;
        }
        Ok(list)
    }

    /// A variable in a header (a cookie in "Cookie", "realm" in "Authorization"), without its quotes; None if there is none.
    fn header_var<'py>(
        &self,
        py: Python<'py>,
        header_name: &str,
        var_name: &str,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        let message = self.message();
        let header = message.as_ref().and_then(|message| message.header(header_name));
        header.and_then(|value| variable(value, var_name.as_bytes())).map(|value| text(py, value)).transpose()
    }

    /// The first variable of that name in the query, decoded; None if there is none.
    fn query_var(&self, name: &str) -> Option<String> {
        self.request().and_then(|request| request.query_var(name))
    }

    fn __bool__(&self) -> bool {
        lock(&self.view).is_some()
    }

    fn __repr__(&self) -> String {
        match self.message() {
            Some(Message::Request(request)) => {
                format!("<HttpMessage {:?} {:?}>", request.method(), request.target())
            }
            Some(Message::Response(response)) => format!("<HttpMessage {}>", response.status()),
            None => "<HttpMessage, its handler has returned>".to_owned(),
        }
    }
}

/// The value of `name=value` among others, which blanks, commas and semicolons separate (RFC 6265 §4.2, RFC 9110 §11.2).
/// Quotes around it are left out, and may have separators between them.
fn variable<'a>(header: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = header;
    while !rest.is_empty() && !name.is_empty() {
        let start = rest.iter().position(|byte| !is_separator(*byte))?;
        rest = rest.get(start..)?;
        let end = rest.iter().position(|byte| *byte == b'=' || is_separator(*byte)).unwrap_or(rest.len());
        let (found, behind) = rest.split_at_checked(end)?;
        let Some(value) = behind.strip_prefix(b"=") else {
            rest = behind;
            continue;
        };
        let (value, behind) = match value.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = quoted.iter().position(|byte| *byte == b'"').unwrap_or(quoted.len());
                quoted
                    .split_at_checked(end)
                    .map(|(value, rest)| (value, rest.get(1..).unwrap_or_default()))?
            }
            None => {
                let end = value.iter().position(|byte| is_separator(*byte)).unwrap_or(value.len());
                value.split_at_checked(end)?
            }
        };
        if found == name {
            return Some(value);
        }
        rest = behind;
    }
    None
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b';' | b',')
}
