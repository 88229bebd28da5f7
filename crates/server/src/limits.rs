//! What a peer may take of time and memory (rule D9).

use crate::http2::Http2Limits;
use std::time::Duration;

/// The limits of each connection and of all together, in service as in draining.
///
/// What a peer can make the server hold is bounded by them: at most [`connections`](Self::connections) times twice
/// [`buffer_bytes`](Self::buffer_bytes), and what the program has given of its answers (one frame of a body for each).
/// None costs a request a timer of its own.
///
/// ```
/// # use std::time::Duration;
/// use exeunt_server::{Limits, Server};
///
/// let mut limits = Limits::default();
/// limits.body_bytes = 1024 * 1024;
/// limits.answer = Duration::MAX; // none
/// let server = Server::bind("127.0.0.1:0")?.limits(limits);
/// # drop(server);
/// # Ok::<(), exeunt_server::ServerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Times of the drain protocol and of silence: head 30 s, idle 75 s, `idle_grace` 250 ms, linger 2 s and 64 KiB.
    pub drain: exeunt_drain::Limits,
    /// What HTTP/2 has beside.
    pub http2: Http2Limits,
    /// The largest request head. Default 64 KiB: several times what browsers send with all their cookies; beyond it, 431.
    pub head_bytes: usize,
    /// How many fields a head may have. Default 100; beyond it, 431. More of them cost each request an allocation.
    pub head_fields: usize,
    /// The largest request body, unless [`Server::body_limit`](crate::Server::body_limit) says otherwise for that request.
    /// Default 32 MiB: the body is handed on as it comes, so that this guards handlers that collect it, and the disks of
    /// those that store it. Beyond it: a body that says its length is refused with 413 before the handler is called;
    /// another fails with [`LengthLimitError`](http_body_util::LengthLimitError), which axum's extractors answer with 413,
    /// as the server does for a service that fails.
    pub body_bytes: u64,
    /// How long a handler may wait for the next bytes of a body that is begun. Default 30 s; then the answer is 408, or,
    /// if that was begun, the connection is reset. What a slow handler does not ask for is not the peer's fault.
    pub body_stall: Duration,
    /// How long a handler may take, from the request's head to the head of its response, and a second longer for each
    /// [`body_rate`](Self::body_rate) bytes of the request's body that it was given. Default 5 min, which a handler that is
    /// still of use to somebody does not reach; then the handler is dropped and the answer is 503. A response that is begun
    /// may take for ever.
    pub answer: Duration,
    /// How many bytes of a body a handler's time grows by a second for. Default 1 KiB: a long upload has the time of a slow
    /// network, and a peer that trickles has not much more than [`answer`](Self::answer). 0 is taken for 1.
    pub body_rate: u64,
    /// How long a peer may leave unread what waits for it. Default 60 s without a byte taken; then the connection is reset.
    pub write_stall: Duration,
    /// How much of what a peer sends, or does not take, the HTTP layer may keep, in each direction. Default 64 KiB. Beyond
    /// it the peer is not read, or the response's body is not asked for more; so one frame of that is kept in addition,
    /// however large the program makes it. At least 8 KiB, and [`head_bytes`](Self::head_bytes).
    pub buffer_bytes: usize,
    /// How many connections may be open. Default 20,000: more than a balancer keeps to one server, and at worst 2.5 GiB by
    /// the defaults. Who comes beyond waits in the listener's queue for [`connection_wait`](Self::connection_wait).
    /// The process needs as many descriptors (`ulimit -n`); where those are short, clients wait in the queue until there
    /// are some.
    pub connections: usize,
    /// How long clients wait in the queue when [`connections`](Self::connections) are open. Default 5 s, less than clients
    /// wait themselves; then they are answered 503 with `Retry-After` until there is room again, a few at a time.
    pub connection_wait: Duration,
    /// How many requests a connection may bring; the last response says `Connection: close`. Default [`u64::MAX`], none: it
    /// is for spreading clients anew over servers that come and go.
    pub requests_per_connection: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drain: exeunt_drain::Limits::default(),
            http2: Http2Limits::default(),
            head_bytes: 64 * 1024,
            head_fields: HYPERS_FIELDS,
            body_bytes: 32 * 1024 * 1024,
            body_stall: Duration::from_secs(30),
            answer: Duration::from_secs(5 * 60),
            body_rate: 1024,
            write_stall: Duration::from_secs(60),
            buffer_bytes: 64 * 1024,
            connections: 20_000,
            connection_wait: Duration::from_secs(5),
            requests_per_connection: u64::MAX,
        }
    }
}

/// What becomes of clients that connected before a listener was closed, and are accepted in the drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Late {
    /// They are served, as all who believe to be connected.
    #[default]
    Serve,
    /// Each connection is closed without a word, which a client or proxy may take for a reason to ask another server
    /// (RFC 9112 §9.3.1): for stops that have no time for new requests. A request that was sent by then is not answered.
    Close,
}

/// So many fields hyper parses on the stack, if it is told no number.
const HYPERS_FIELDS: usize = 100;

/// hyper panics below that.
const LEAST_BUFFER: usize = 8 * 1024;

impl Limits {
    /// How much longer a handler may take for so many bytes of a body.
    pub(crate) fn earned(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1000) / self.body_rate.max(1))
    }

    /// Sets those that hyper watches over in HTTP/1.
    pub(crate) fn apply(&self, http: &mut hyper::server::conn::http1::Builder) {
        http.max_header_size(self.head_bytes);
        // A head that is not whole is refused when it fills the buffer.
        http.max_buf_size(self.buffer_bytes.max(self.head_bytes).max(LEAST_BUFFER));
        if self.head_fields != HYPERS_FIELDS {
            http.max_headers(self.head_fields);
        }
    }
}
