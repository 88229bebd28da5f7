//! What a peer that speaks HTTP/2 may take (rule D9).

use hyper::server::conn::http2::Builder;
use std::time::Duration;

/// The limits of each HTTP/2 connection, beside those that both protocols share: of those,
/// [`Limits::head_bytes`](crate::Limits::head_bytes) counts as RFC 9113 §6.5.2 does.
///
/// Beside them the HTTP layer bounds what cannot be set: CONTINUATION frames by the head's size, SETTINGS and PING
/// that are not yet acknowledged to the peer (no more is read of one that does not read the acknowledgements), and
/// empty DATA frames. Whoever passes one of these bounds is told by a GOAWAY, and closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http2Limits {
    /// How many streams may be open at once (`SETTINGS_MAX_CONCURRENT_STREAMS`); further ones are refused, so that their
    /// client may ask again. Default 100, the least that RFC 9113 §6.5.2 recommends.
    pub concurrent_streams: u32,
    /// How many streams the peer may have reset before their requests were looked at (rapid reset, CVE-2023-44487); one more
    /// ends the connection. Default 20.
    pub pending_resets: usize,
    /// How many streams may have been reset by us for what the peer did wrong; one more ends the connection. Default 1024.
    pub error_resets: usize,
    /// How much of a response waits, on each stream, for a peer that does not read, before the body is not asked for more;
    /// a body's single piece may be longer. Default 64 KiB.
    pub send_buffer_bytes: usize,
    /// How much of its requests' bodies the peer may send before it is read, on one connection. Default 1 MiB, which
    /// feeds 20 MB/s over a round trip of 50 ms.
    pub receive_window_bytes: u32,
    /// How often to ask whether a peer is still there, by PING; one that has not answered within 20 s is gone. An answer is no
    /// activity: silence counts on. Default `None`: a response that is not taken tells as much.
    pub keep_alive: Option<Duration>,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            concurrent_streams: 100,
            pending_resets: 20,
            error_resets: 1024,
            send_buffer_bytes: 64 * 1024,
            receive_window_bytes: 1024 * 1024,
            keep_alive: None,
        }
    }
}

impl Http2Limits {
    pub(super) fn apply<E>(&self, builder: &mut Builder<E>) {
        builder
            .max_concurrent_streams(self.concurrent_streams)
            .max_pending_accept_reset_streams(self.pending_resets)
            .max_local_error_reset_streams(self.error_resets)
            .max_send_buf_size(self.send_buffer_bytes)
            .initial_connection_window_size(self.receive_window_bytes)
            .initial_stream_window_size(self.receive_window_bytes)
            .keep_alive_interval(self.keep_alive)
            // RFC 8441: WebSockets over HTTP/2.
            .enable_connect_protocol();
    }
}
