//! Connections that are accepted and not served: told so, and closed (rules D3, D9).

use crate::registry::{Member, Registry, Stage};
use crate::room::Door;
#[cfg(feature = "metrics")]
use crate::telemetry::{Activity, Protocol};
use crate::transport::Transport;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::timeout;

/// In HTTP/2 (RFC 9113 §6.8): SETTINGS, then GOAWAY, `ENHANCE_YOUR_CALM`, nothing processed, so that all can be sent anew.
const GOAWAY: &[u8] = &[
    0, 0, 0, 4, 0, 0, 0, 0, 0, // SETTINGS of stream 0, empty
    0, 0, 8, 7, 0, 0, 0, 0, 0, // GOAWAY of stream 0, 8 bytes:
    0, 0, 0, 0, 0, 0, 0, 11, // the last stream, and the error
];

/// The first bytes of HTTP/2's preface; no method of HTTP/1 that anybody uses begins so.
const HTTP2: &[u8] = b"PRI";

/// How a connection is turned away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// By 503 and `Retry-After`: the server is full.
    Full {
        /// When to ask again.
        retry_after: Duration,
    },
    /// By a close without a word, which clients and proxies take for a reason to ask another server.
    Closed,
}

/// Turns a connection away, through that door if there is one, within that time for each step. It is entered before the first poll, as
/// those that are served are, and given up at the cut.
pub(crate) fn turn_away<T: Transport>(
    transport: T,
    manner: Manner,
    patience: Duration,
    door: Option<Door>,
    registry: &Arc<Registry>,
) -> impl Future<Output = ()> + Send + use<T> {
    let leaving = Arc::new(Leaving::default());
    let entry = registry.enter(Arc::<Leaving>::clone(&leaving));
    async move {
        let leave = async {
            // Whatever breaks, the connection was to end.
            let said = say(transport, manner, patience).await;
            drop(door);
            said
        };
        tokio::select! {
            () = leaving.cut.notified() => {}
            _ = leave => {}
        }
        drop(entry);
    }
}

#[derive(Debug, Default)]
struct Leaving {
    cut: Notify,
}

impl Member for Leaving {
    fn tell(&self, stage: Stage) {
        if stage == Stage::Cut {
            self.cut.notify_one();
        }
    }

    /// Nothing is known of it; it is no request that is in flight.
    #[cfg(feature = "metrics")]
    fn activity(&self) -> (Protocol, Activity) {
        (Protocol::Http1, Activity::Idle)
    }
}

async fn say<T: Transport>(mut transport: T, manner: Manner, patience: Duration) -> io::Result<()> {
    if let Manner::Full { retry_after } = manner {
        // An answer that comes before its request is none, for some clients; and who asks nothing needs none.
        let mut first = [0; HTTP2.len()];
        let read = timeout(patience, transport.read(&mut first)).await.map_err(io::Error::from)??;
        let answer = if first.get(..read) == Some(HTTP2) { GOAWAY.to_vec() } else { full(retry_after) };
        timeout(patience, transport.write_all(&answer)).await.map_err(io::Error::from)??;
    }
    transport.shutdown().await?;
    // Input that is unread when a socket closes becomes a reset, which eats the answer (D7).
    timeout(patience, tokio::io::copy(&mut transport.take(UNREAD), &mut tokio::io::sink()))
        .await
        .map_err(io::Error::from)??;
    Ok(())
}

/// How much is read over behind an answer.
const UNREAD: u64 = 64 * 1024;

fn full(retry_after: Duration) -> Vec<u8> {
    let seconds = retry_after.as_secs().max(1);
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {seconds}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )
    .into_bytes()
}
