//! `Connection`: one Python object for a connection's whole life.
//!
//! A class has one block of methods (`PyO3`), so that this is long; what is more than a call of the engine's is in the files
//! beside it.

use super::errors::{Raised, closed, runtime};
use super::files::{self, Said};
use super::headers::Headers;
use super::http::HttpMessage;
use super::interrupts::check_depth;
use super::payload::{Payload, most};
use super::shared::lock;
use super::tls::{self, TlsOpts};
use super::websocket;
use crate::fork::Origin;
use exeunt_manager as engine;
use exeunt_manager::listener::Address;
use exeunt_manager::{AnswerError, SendError, UpgradeError};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};
use pyo3::{PyTraverseError, PyVisit};
use std::path::PathBuf;
use std::sync::Mutex;

/// A listener, an accepted connection, one that the program has made, or a UDP socket.
///
/// It stays valid when its connection is gone, and says so: questions answer no, buffers are empty, and what would send
/// raises `RuntimeError` ("closed"). Any thread may use it.
#[pyclass(frozen, weakref, module = "exeunt.mongoose")]
pub(crate) struct Connection {
    engine: engine::Connection,
    origin: Origin,
    /// Of the request that was told last: what answers does so through it.
    asked: Mutex<Option<engine::Connection>>,
    handler: Mutex<Option<Py<PyAny>>>,
    userdata: Mutex<Option<Py<PyAny>>>,
}

impl Connection {
    pub(super) fn new(engine: engine::Connection, handler: Option<Py<PyAny>>) -> Self {
        Self {
            engine,
            origin: Origin::here(),
            asked: Mutex::default(),
            handler: Mutex::new(handler),
            userdata: Mutex::default(),
        }
    }

    /// From now on it answers that request.
    pub(super) fn asks(&self, request: &engine::Connection) {
        let before = lock(&self.asked).replace(request.clone());
        drop(before);
    }

    /// What a connection is asked and told through: a forked child has no part in it.
    fn reach(&self) -> PyResult<&engine::Connection> {
        self.origin.check("Connection")?;
        Ok(&self.engine)
    }

    /// What answers: the request that was told last, or, before the first, whatever is asked.
    pub(super) fn answering(&self) -> PyResult<engine::Connection> {
        let engine = self.reach()?;
        Ok(lock(&self.asked).as_ref().unwrap_or(engine).clone())
    }

    /// The request that a view shows, if it is one of this connection's, whose handler runs.
    pub(super) fn request(&self, message: &HttpMessage) -> PyResult<engine::Request> {
        message.request_of(self.reach()?).ok_or_else(|| {
            PyValueError::new_err(
                "HttpMessage is not valid here: it shows a request of this connection while its handler runs, and nothing else does",
            )
        })
    }

    pub(super) fn handler(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        lock(&self.handler).as_ref().map(|handler| handler.clone_ref(py))
    }

    /// From now on this one is told; none: the manager's.
    pub(super) fn handle_by(&self, handler: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut *lock(&self.handler), handler);
        drop(before);
    }

    fn send_answer(&self, send: impl Fn(&engine::Connection) -> Result<(), AnswerError>) -> PyResult<()> {
        send(&self.answering()?).map_err(Raised::raised)
    }

    /// The same with a whole answer. Between requests 408 and 503 tell whoever is idle that he has to go; while the last
    /// answer is under way (in the handler that gave it, say) the engine takes these for a second one, too.
    fn send_reply(&self, code: u16, headers: &Headers<'_>, content_type: &str, body: &[u8]) -> PyResult<()> {
        let content_type = Some(content_type).filter(|_| !matches!(code, 0..200 | 204 | 304));

        headers.with(content_type, |headers| {
            let replied = self.answering()?.try_reply(code, headers, body);
            let replied = match replied {
                Err(AnswerError::Answered) if matches!(code, 408 | 503) => {
                    self.reach()?.try_reply(code, headers, body)
                }
                replied => replied,
            };
            replied.map_err(Raised::raised)
        })?
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what Python gives is extracted, and owned, for each call")]
#[pymethods]
impl Connection {
    /// Greater than 0, and never used again by the same manager; 0 once it is closed.
    #[getter]
    fn id(&self) -> PyResult<u64> {
        let engine = self.reach()?;
        Ok(if engine.is_open() { engine.id() } else { 0 })
    }

    /// Whether it accepts others, or is a UDP socket that does not know its peer.
    #[getter]
    fn is_listening(&self) -> PyResult<bool> {
        let engine = self.reach()?;
        Ok(engine.is_listening() || engine.is_udp() && !engine.is_client())
    }

    /// Whether the program has connected it.
    #[getter]
    fn is_client(&self) -> PyResult<bool> {
        Ok(self.reach()?.is_client())
    }

    /// Whether TLS is spoken on it, or will be.
    #[getter]
    fn is_tls(&self) -> PyResult<bool> {
        Ok(self.reach()?.is_tls())
    }

    /// Whether it is a UDP socket.
    #[getter]
    fn is_udp(&self) -> PyResult<bool> {
        Ok(self.reach()?.is_udp())
    }

    /// Whether it is a WebSocket by now.
    #[getter]
    fn is_websocket(&self) -> PyResult<bool> {
        Ok(self.reach()?.is_websocket())
    }

    /// Whether received bytes are there.
    #[getter]
    fn is_readable(&self) -> PyResult<bool> {
        Ok(self.reach()?.is_readable())
    }

    /// Whether bytes wait to be sent.
    #[getter]
    fn is_writable(&self) -> PyResult<bool> {
        Ok(self.reach()?.is_writable())
    }

    /// Whether the peer is not read at present, since too much of it is here already.
    #[getter]
    fn is_full(&self) -> PyResult<bool> {
        Ok(self.reach()?.is_full())
    }

    /// Whether it closes once everything is sent: drain was called.
    #[getter]
    fn is_draining(&self) -> PyResult<bool> {
        Ok(self.reach()?.is_draining())
    }

    /// Whether it is closed, or will be by the next poll.
    #[getter]
    fn is_closing(&self) -> PyResult<bool> {
        Ok(self.reach()?.is_closing())
    }

    /// Our address: IP, port, whether that is IPv6. Of a Unix socket its path. None once it is closed.
    #[getter]
    fn local_addr(&self) -> PyResult<Option<(String, u16, bool)>> {
        let engine = self.reach()?;
        let local = engine.local_address();
        Ok(engine.is_open().then(|| shown(local)))
    }

    /// The peer's address in the same form, 0.0.0.0 and 0 where there is none; of a UDP socket, who sent the last datagram.
    /// None once it is closed.
    #[getter]
    fn remote_addr(&self) -> PyResult<Option<(String, u16, bool)>> {
        let engine = self.reach()?;
        let remote = engine.remote_address();
        Ok(engine.is_open().then(|| shown(remote)))
    }

    /// Whatever the program keeps with it; it stays when the connection closes.
    #[getter]
    fn userdata(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.reach()?;
        Ok(lock(&self.userdata).as_ref().map(|data| data.clone_ref(py)))
    }

    #[setter]
    fn set_userdata(&self, data: Option<Py<PyAny>>) -> PyResult<()> {
        self.reach()?;
        let before = std::mem::replace(&mut *lock(&self.userdata), data);
        drop(before);
        Ok(())
    }

    /// The handler of its own; None: the manager's is told.
    #[getter(handler)]
    fn own_handler(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.reach()?;
        Ok(self.handler(py))
    }

    /// Has this handler told from now on; None: the manager's. Connections that a listener accepts have its handler as it is
    /// then. Does nothing once it is closed.
    fn set_handler(&self, handler: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        if let Some(handler) = &handler
            && !handler.is_callable()
        {
            let kind = handler.get_type().name()?;
            return Err(PyTypeError::new_err(format!("handler is a callable or None, not '{kind}'")));
        }
        if self.reach()?.is_open() {
            self.handle_by(handler.map(Bound::unbind));
        }
        Ok(())
    }

    /// How many bytes were received and are still here.
    #[getter]
    fn recv_len(&self) -> PyResult<usize> {
        Ok(self.reach()?.received_len())
    }

    /// How large the receive buffer is at present, in bytes.
    #[getter]
    fn recv_size(&self) -> PyResult<usize> {
        Ok(self.reach()?.receive_capacity())
    }

    /// How many bytes wait to be sent.
    #[getter]
    fn send_len(&self) -> PyResult<usize> {
        Ok(self.reach()?.unsent_len())
    }

    /// How large the send buffer is at present, in bytes.
    #[getter]
    fn send_size(&self) -> PyResult<usize> {
        Ok(self.reach()?.send_capacity())
    }

    /// A copy of what was received and is still here, `length` bytes of it at most; all, if that is negative. While a request
    /// is told, it is here as it came. What comes on a plain TCP connection stays, unless it is consumed.
    #[pyo3(signature = (length = -1), text_signature = "($self, length=-1)")]
    fn recv_data<'py>(&self, py: Python<'py>, length: i64) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.reach()?.received(most(length))))
    }

    /// A copy of what waits to be sent, `length` bytes of it at most; all, if that is negative.
    #[pyo3(signature = (length = -1), text_signature = "($self, length=-1)")]
    fn send_data<'py>(&self, py: Python<'py>, length: i64) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.reach()?.unsent(most(length))))
    }

    /// Takes `length` bytes, all if that is negative, off what a plain TCP connection or a UDP socket has received; gives how
    /// many were there to be taken. A TCP peer is not read any more while 1 MiB is here. HTTP consumes its own.
    #[pyo3(signature = (length = -1), text_signature = "($self, length=-1)")]
    fn consume(&self, length: i64) -> PyResult<usize> {
        Ok(self.reach()?.consume(most(length)))
    }

    /// Sends str (as UTF-8) or bytes as they are: into the send buffer, or, by UDP, at once. On an HTTP connection that was
    /// asked, they are the answer.
    ///
    /// Raises `RuntimeError` if it is closed, a listener or a WebSocket, if the request has been answered, or if too much (256
    /// MiB) waits to be sent.
    fn send(&self, data: Payload<'_>) -> PyResult<()> {
        self.answering()?.send(data.bytes()).map_err(Raised::raised)
    }

    /// Answers the request, now or later, from any thread. `Content-Length`, `Date` and `Connection` are added, and
    /// `Content-Type: text/plain` if `headers` (a dict, or pairs) have none. With the header `Transfer-Encoding: chunked` it
    /// begins an answer that `http_chunk` goes on with.
    ///
    /// Raises `RuntimeError` if it is closed, was asked nothing or has been answered already, `ValueError` for an illegal header
    /// or status; nothing is sent then.
    #[pyo3(
        signature = (status_code, body = None, headers = None),
        text_signature = "($self, status_code, body=b'', headers=None)"
    )]
    fn reply(
        &self,
        status_code: u16,
        body: Option<Payload<'_>>,
        headers: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let headers = Headers::given(headers.as_ref())?;
        let body = body.as_ref().map(Payload::bytes).unwrap_or_default();
        self.send_reply(status_code, &headers, "text/plain", body)
    }

    /// The same with `data` as JSON, as json.dumps writes it, and `Content-Type: application/json`.
    ///
    /// Raises what reply does, and `TypeError` or `ValueError` if `data` is no JSON.
    #[pyo3(signature = (data, status_code = 200, headers = None))]
    fn reply_json(
        &self,
        py: Python<'_>,
        data: Bound<'_, PyAny>,
        status_code: u16,
        headers: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let headers = Headers::given(headers.as_ref())?;
        let body = DUMPS.import(py, "json", "dumps")?.call1((data,))?;
        let body = body.cast::<PyString>()?;
        self.send_reply(status_code, &headers, "application/json", body.to_str()?.as_bytes())
    }

    /// Sends a chunk of an answer, or of a client's request, that was begun with `Transfer-Encoding: chunked`; an empty one
    /// ends it.
    ///
    /// Raises `RuntimeError` if it is closed, or none was begun.
    fn http_chunk(&self, data: Payload<'_>) -> PyResult<()> {
        self.send_answer(|conn| conn.chunk(data.bytes()))
    }

    /// Sends a server-sent event; the first begins the answer, as `text/event-stream`, unless the program has. An empty
    /// `http_chunk` ends it.
    ///
    /// Raises `RuntimeError` as `http_chunk` does, `ValueError` if the type has a line end.
    fn http_sse(&self, event_type: &str, data: &str) -> PyResult<()> {
        self.send_answer(|conn| conn.sse(event_type, data))
    }

    /// Writes the header `Authorization` (RFC 7617) into a request that the program sends in its own words.
    ///
    /// Raises `RuntimeError` if it is closed, `ValueError` for a colon in the name and for control characters.
    fn http_basic_auth(&self, username: &str, password: &str) -> PyResult<()> {
        let engine = self.answering()?;
        if !engine.is_open() {
            return Err(closed());
        }
        let value = engine::http::basic_auth(username, password).map_err(Raised::raised)?;
        engine.send(format!("Authorization: {value}\r\n")).map_err(Raised::raised)
    }

    /// Answers with what the request's path means in a folder: a file (or a part of it, or that it has not changed), the
    /// `index.html` or a list of a folder, or 404. `extra_headers`: lines that end with CRLF. `mime_types`:
    /// "ext=type,ext=type". `page404`: a file that is sent with 200 for what is not found. Nothing outside of the folder is
    /// served, by links neither.
    ///
    /// Raises `ValueError` if `message` is not of this connection's request or its handler has returned, `RuntimeError` if the
    /// request was answered already, or the connection is closed.
    #[pyo3(signature = (message, root_dir, extra_headers = "", mime_types = "", page404 = ""))]
    fn serve_dir(
        &self,
        py: Python<'_>,
        message: &HttpMessage,
        root_dir: PathBuf,
        extra_headers: &str,
        mime_types: &str,
        page404: &str,
    ) -> PyResult<()> {
        files::serve_dir(py, self, message, &root_dir, &Said { extra_headers, mime_types, page404 })
    }

    /// The same with one file, wherever it is, whatever the request's path is.
    #[pyo3(signature = (message, path, extra_headers = "", mime_types = ""))]
    fn serve_file(
        &self,
        py: Python<'_>,
        message: &HttpMessage,
        path: PathBuf,
        extra_headers: &str,
        mime_types: &str,
    ) -> PyResult<()> {
        files::serve_file(py, self, message, &path, &Said { extra_headers, mime_types, page404: "" })
    }

    /// Makes a WebSocket of the connection whose request asks for one, with these headers in the answer; `MG_EV_WS_OPEN` is told
    /// before this returns. A request that asks for none is answered with 426, and any once a stop has begun with 503.
    ///
    /// Raises `ValueError` if `message` is not of this connection's request, or for an illegal header, `RuntimeError` if the
    /// request was answered already, or the connection is closed.
    #[pyo3(signature = (message, extra_headers = None))]
    fn ws_upgrade(
        &self,
        message: Option<&HttpMessage>,
        extra_headers: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        check_depth()?;
        let none = HttpMessage::new();
        self.request(message.unwrap_or(&none))?;
        let headers = Headers::given(extra_headers.as_ref())?;
        let conn = self.answering()?;
        match headers.with(None, |headers| conn.ws_upgrade(headers))? {
            // They were answered, as programs expect.
            Ok(()) | Err(UpgradeError::NoUpgrade { .. } | UpgradeError::Stopping) => Ok(()),
            Err(error) => Err(error.raised()),
        }
    }

    /// Sends a message, or a control frame: op is `WEBSOCKET_OP_TEXT`, _BINARY, _PING, _PONG, or 8 for a Close, whose data is
    /// empty or a code of two bytes and a reason.
    ///
    /// Raises `RuntimeError` if it is no WebSocket, or closed, or has said Close; `ValueError` for text that is not UTF-8, control
    /// frames of more than 125 bytes, and other ops.
    #[pyo3(signature = (data, op = 1))]
    fn ws_send(&self, data: Payload<'_>, op: i64) -> PyResult<()> {
        let engine = self.reach()?;
        match engine.ws_send(websocket::op(op)?, data.bytes()) {
            Err(SendError::NotWebSocket) if !engine.is_open() => Err(closed()),
            sent => sent.map_err(Raised::raised),
        }
    }

    /// Speaks TLS from here on: call it in `MG_EV_ACCEPT` or `MG_EV_CONNECT`, before anything is sent. `MG_EV_TLS_HS` tells that
    /// the handshake is done. On a listener: with all whom it accepts from now on. Options that are of no use are told by
    /// `MG_EV_ERROR`, and close the connection.
    ///
    /// Raises `RuntimeError` if it is closed or a UDP socket, or if TLS or plain HTTP was spoken already.
    fn tls_init(&self, py: Python<'_>, opts: &TlsOpts) -> PyResult<()> {
        tls::begin(py, self.reach()?, opts)
    }

    /// Takes `tls_init` back, as if it had not been called.
    ///
    /// Raises `RuntimeError` if it is closed, or if the handshake has begun.
    fn tls_free(&self) -> PyResult<()> {
        tls::forget(self.reach()?)
    }

    /// Nothing has to be resolved by the program: connect does that by itself, and tells `MG_EV_RESOLVE`. This is there for
    /// those who call it on a connection that is on its way.
    ///
    /// Raises `RuntimeError` if it is closed, or is not on its way, `ValueError` if the URL is none.
    fn resolve(&self, url: &str) -> PyResult<()> {
        let engine = self.reach()?;
        if !engine.is_open() {
            return Err(closed());
        }
        engine::url::Url::parse(url).map_err(|error| PyValueError::new_err(error.to_string()))?;
        if engine.is_connecting() {
            return Ok(());
        }
        Err(runtime(
            &"this connection is not on its way: connect(url) resolves names, and tells MG_EV_RESOLVE",
        ))
    }

    /// Gives up a connection whose name is not resolved yet: it closes. Does nothing on others.
    ///
    /// Raises `RuntimeError` if it is closed.
    fn resolve_cancel(&self) -> PyResult<()> {
        let engine = self.reach()?;
        if !engine.is_open() {
            return Err(closed());
        }
        if engine.is_connecting() && engine.remote_address().is_none() {
            engine.close();
        }
        Ok(())
    }

    /// Tells the handler `MG_EV_ERROR` with this text, before it returns; then the connection closes.
    ///
    /// Raises `RuntimeError` if it is closed, `RecursionError` where 64 handlers are in each other.
    fn error(&self, message: &str) -> PyResult<()> {
        let engine = self.reach()?;
        if !engine.is_open() {
            return Err(closed());
        }
        check_depth()?;
        engine.error(message);
        engine.close();
        Ok(())
    }

    /// Ends it in peace: what is pending is delivered, then `MG_EV_CLOSE` is told and the peer sees the end. Nothing that comes
    /// after the call is told. A listener stops accepting, and loses nobody who is connected. Does nothing once it is closed.
    fn drain(&self) -> PyResult<()> {
        self.reach()?.drain();
        Ok(())
    }

    /// Ends it at once, when the handler has returned; what was not sent is lost. Does nothing once it is closed.
    fn close(&self) -> PyResult<()> {
        self.reach()?.close();
        Ok(())
    }

    fn __repr__(&self) -> PyResult<String> {
        let engine = self.reach()?;
        if !engine.is_open() {
            return Ok("<Connection closed>".to_owned());
        }
        let kind = match (self.is_listening()?, engine.is_client()) {
            (true, _) => "listener at",
            (_, true) => "client of",
            _ => "from",
        };
        let address = if self.is_listening()? { engine.local_address() } else { engine.remote_address() };
        let (host, port, _) = shown(address);
        Ok(format!("<Connection id={} {kind} {host} port {port}>", engine.id()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The collector may come while another thread is at them; then they are somebody's, and alive.
        for held in [&self.handler, &self.userdata] {
            if let Ok(held) = held.try_lock()
                && let Some(held) = &*held
            {
                visit.call(held)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let held = (lock(&self.handler).take(), lock(&self.userdata).take());
        drop(held);
    }
}

/// As programs know addresses.
fn shown(address: Option<Address>) -> (String, u16, bool) {
    match address {
        Some(Address::Socket(at)) => (at.ip().to_string(), at.port(), at.is_ipv6()),
        Some(Address::Unix(path)) => (path.to_string_lossy().into_owned(), 0, false),
        _ => ("0.0.0.0".to_owned(), 0, false),
    }
}
