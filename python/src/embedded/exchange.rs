//! A request, and the means to answer it; what it turns into, if it is upgraded.

use super::errors::{answering, sending, upgrading};
use super::happened::Ledger;
use exeunt_manager as engine;
use exeunt_manager::WsOp;
use exeunt_manager::listener::Address;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::sync::Arc;
use std::time::Instant;

/// Valid for as long as it is kept; what sends is an error once the client is gone.
#[pyclass(frozen, module = "exeunt._native")]
pub(crate) struct Exchange {
    conn: engine::Connection,
    request: engine::Request,
    peer: Option<Address>,
    began: Instant,
    ledger: Arc<Ledger>,
}

type Headers = Vec<(String, String)>;

impl Exchange {
    pub(super) fn new(conn: engine::Connection, request: engine::Request, ledger: Arc<Ledger>) -> Self {
        let peer = conn.remote_address();
        Self { conn, request, peer, began: Instant::now(), ledger }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "PyO3 hands vectors over by value")]
#[pymethods]
impl Exchange {
    // What was asked.

    #[getter]
    fn id(&self) -> u64 {
        self.conn.id()
    }

    #[getter]
    fn method(&self) -> &str {
        self.request.method()
    }

    #[getter]
    fn target(&self) -> &str {
        self.request.target()
    }

    #[getter]
    fn path(&self) -> &str {
        self.request.uri()
    }

    #[getter]
    fn query(&self) -> &str {
        self.request.query()
    }

    /// Names as they were sent; values in Latin-1 where they are not UTF-8 (RFC 9110 §5.5 has them opaque).
    fn headers(&self) -> Headers {
        self.request.headers().map(|(name, value)| (name.to_owned(), text(value))).collect()
    }

    fn header(&self, name: &str) -> Option<String> {
        self.request.header_bytes(name).map(text)
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.request.body())
    }

    /// An address and a port, or the path of a Unix socket (often empty).
    #[getter]
    fn peer<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.peer.as_ref().map(|peer| address(py, peer)).transpose()
    }

    /// The same in words.
    #[getter]
    fn peer_name(&self) -> Option<String> {
        self.peer.as_ref().map(ToString::to_string)
    }

    #[getter]
    fn is_tls(&self) -> bool {
        self.conn.is_tls()
    }

    /// Seconds since it was whole.
    #[getter]
    fn age(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.conn.is_open()
    }

    // What is answered.

    fn reply(&self, status: u16, headers: Headers, body: &[u8]) -> PyResult<()> {
        self.conn.try_reply(status, &borrowed(&headers), body).map_err(|error| answering(&error))
    }

    /// Begins an answer that `chunk` goes on with.
    fn begin(&self, status: u16, headers: Headers) -> PyResult<()> {
        let mut headers = borrowed(&headers);
        headers.push(("Transfer-Encoding", "chunked"));
        self.conn.try_reply(status, &headers, b"").map_err(|error| answering(&error))
    }

    /// An empty one ends the answer. How many bytes are unsent now.
    fn chunk(&self, piece: &[u8]) -> PyResult<usize> {
        self.conn.chunk(piece).map_err(|error| answering(&error))?;
        Ok(self.conn.unsent_len())
    }

    /// Whether no more than so many bytes are unsent; if not, the loop tells when that is so.
    fn is_below(&self, most: usize) -> bool {
        self.ledger.mark(&self.conn, most)
    }

    /// Ends the connection at once. An answer that was begun is reset, so that nobody takes it for whole.
    fn abort(&self) {
        self.conn.close();
    }

    fn upgrade(&self, headers: Headers) -> PyResult<()> {
        self.conn.ws_upgrade(&borrowed(&headers)).map_err(|error| upgrading(&error))
    }

    /// How many bytes are unsent now.
    fn send(&self, message: &Bound<'_, PyAny>) -> PyResult<usize> {
        let sent = match message.cast::<PyString>() {
            Ok(text) => self.conn.ws_send(WsOp::Text, text.to_str()?),
            Err(_) => self.conn.ws_send(WsOp::Binary, message.extract::<&[u8]>()?),
        };
        sent.map_err(|error| sending(&error))?;
        Ok(self.conn.unsent_len())
    }

    fn ping(&self, payload: &[u8]) -> PyResult<()> {
        self.conn.ws_send(WsOp::Ping, payload).map_err(|error| sending(&error))
    }

    fn say_close(&self, code: u16, reason: &str) -> PyResult<()> {
        self.conn.ws_close(code, reason).map_err(|error| sending(&error))
    }

    fn pause(&self, paused: bool) {
        self.conn.pause_messages(paused);
    }
}

pub(super) fn address<'py>(py: Python<'py>, of: &Address) -> PyResult<Bound<'py, PyAny>> {
    match of {
        Address::Socket(at) => Ok((at.ip().to_string(), at.port()).into_pyobject(py)?.into_any()),
        Address::Unix(path) => Ok(path.to_string_lossy().into_pyobject(py)?.into_any()),
        other => Ok(other.to_string().into_pyobject(py)?.into_any()),
    }
}

fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn text(value: &[u8]) -> String {
    match str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().copied().map(char::from).collect(),
    }
}
