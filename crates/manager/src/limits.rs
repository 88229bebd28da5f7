//! What a peer may take of time and memory (rule D9).

use std::time::Duration;

/// The limits of each connection and of all together, in service as in draining.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Times of the drain protocol and of silence: head 30 s, idle 75 s, `idle_grace` 250 ms, linger 2 s and 64 KiB.
    pub drain: exeunt_drain::Limits,
    /// The largest request head. Default 64 KiB; beyond it, 431.
    pub head_bytes: usize,
    /// The largest request body that is collected. Default 8 MiB; beyond it, 413, unless the program takes the body as it
    /// comes ([`Connection::stream_body`](crate::Connection::stream_body)), with a limit for that one.
    pub body_bytes: usize,
    /// How long a body that is begun may stay silent. Default 30 s; then 408. A WebSocket message that is begun, too: then
    /// Close 1008.
    pub body_stall: Duration,
    /// How long the program may take for its answer, from the whole request on. None by default, since only the program
    /// knows what it is doing; beyond it, 408 in the program's place, and the connection drains.
    pub answer: Option<Duration>,
    /// How long a server may leave a request of ours without a byte of an answer, from the last byte of the request on. None by
    /// default, since only the program knows what it asks for; beyond it, `Error` and `Close`.
    pub response: Option<Duration>,
    /// How long a client that has ended its side may be left without a further byte of its answer. Default 10 s; then an
    /// answer not begun is a 408, one begun is reset, and `Close` is told. Whoever ends his side may still read, or be gone:
    /// only writing tells the two apart. It is shorter than a drain, so that whoever has gone holds none up to its deadline.
    pub half_closed: Duration,
    /// Whether such a client is sent `100 Continue`, once, while it waits for an answer to HTTP/1.1: who has gone answers that
    /// with a reset, and `Close` comes within a round trip; who still reads is to skip it, though it did not ask for it
    /// (RFC 9110 §15.2). Default no, for programs that talk to clients that know no interim answers.
    pub probe_half_closed: bool,
    /// How long a TLS handshake may take, from its beginning on, in the drain, too. Default 10 s: two round trips and some
    /// arithmetic, so that this bounds only peers that say nothing, or trickle.
    pub handshake: Duration,
    /// What a raw connection may receive without the program consuming it. Default 1 MiB; then reading stops until
    /// there is room again, and the peer is held back by TCP's flow control. 0 is taken for 1.
    pub receive_bytes: usize,
    /// What may wait to be sent before the peer is not read any more. Default 1 MiB: an answer counts, so that whoever
    /// does not read answers cannot pile them up. 0 is taken for 1.
    pub send_pause: usize,
    /// What may wait to be sent at all. Default 256 MiB; beyond it, writing is an error.
    pub send_bytes: usize,
    /// How long a peer may leave unread what waits for it. Default 60 s without a byte taken; then the connection is reset.
    pub write_stall: Duration,
    /// How long a connection of ours may take to come about, from the call to `Connect`, the name's resolution included.
    /// Default 10 s; then `Error` and `Close`.
    pub connect: Duration,
    /// The largest WebSocket message. Default 16 MiB; beyond it, Close 1009. What has come of one is in memory, and no
    /// room is made for what was only announced.
    pub ws_message_bytes: usize,
    /// How long the peer's Close is awaited behind ours, once that has gone. Default 10 s, which is a slow network's round
    /// trip and a busy program's turn; then the connection closes without it.
    pub ws_close: Duration,
    /// After so long a silence a WebSocket's peer is sent a ping, and after as long again without a byte of his, Close 1011.
    /// None by default: these connections are quiet by nature, and may stay open without a limit.
    pub ws_ping: Option<Duration>,
    /// Over how long a time a drain spreads the Close 1001s, evenly, so that not everybody reconnects at the same moment
    /// (rule D6). Default 0; what is longer than the drain is not told to all in time.
    pub ws_close_spread: Duration,
    /// Open connections, listeners aside. Default 50,000; beyond it, clients wait in the listener's queue. Those that the
    /// program connects itself count, and are not refused.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            drain: exeunt_drain::Limits::default(),
            head_bytes: 64 * 1024,
            body_bytes: 8 * MIB,
            body_stall: Duration::from_secs(30),
            answer: None,
            response: None,
            half_closed: Duration::from_secs(10),
            probe_half_closed: false,
            handshake: Duration::from_secs(10),
            receive_bytes: MIB,
            send_pause: MIB,
            send_bytes: 256 * MIB,
            write_stall: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            ws_message_bytes: 16 * MIB,
            ws_close: Duration::from_secs(10),
            ws_ping: None,
            ws_close_spread: Duration::ZERO,
            connections: 50_000,
        }
    }
}
