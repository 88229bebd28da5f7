//! The accept loop, and the close of the listener (rule D3), on tokio.

use exeunt_listener::{Accept, CloseOptions, CloseReport, Connection, Listener, Step};
use std::io;
use std::time::Instant;
use tokio::io::unix::AsyncFd;

/// A listener on the runtime, for servers that speak something else than HTTP.
///
/// Dropping it closes the listener at once, and loses whoever waits in its queue; [`close`](Self::close) does not.
#[derive(Debug)]
pub struct Acceptor {
    listener: AsyncFd<Listener>,
}

impl Acceptor {
    /// On the present runtime.
    ///
    /// # Errors
    ///
    /// The runtime cannot watch the socket.
    #[expect(
        deprecated,
        reason = "its successor is unsafe because a type may lie about its descriptor; a Listener owns one and keeps it"
    )]
    pub fn new(listener: Listener) -> io::Result<Self> {
        Ok(Self { listener: AsyncFd::new(listener)? })
    }

    /// The next connection. Where descriptors or memory are short it waits and tries again.
    ///
    /// # Errors
    ///
    /// The socket is of no use any more.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has accepted nobody.
    pub async fn accept(&self) -> io::Result<Connection> {
        loop {
            let mut ready = self.listener.readable().await?;
            match ready.get_inner().accept() {
                Accept::Connection(connection) => return Ok(connection),
                Accept::Failed(error) => return Err(error),
                Accept::BackOff(wait) => {
                    tracing::warn!(?wait, "no descriptor or memory for a connection: it waits in the queue");
                    tokio::time::sleep(wait).await;
                }
                Accept::Nothing => ready.clear_ready(),
            }
        }
    }

    /// Closes the listener without losing anyone (rule D3); whom the close accepts goes to `serve`.
    pub async fn close(self, options: CloseOptions, mut serve: impl FnMut(Connection)) -> CloseReport {
        let mut closing = self.listener.into_inner().close(options);
        loop {
            match closing.step(Instant::now()) {
                Step::Accepted(connection) => serve(connection),
                Step::Wait { until } => tokio::time::sleep_until(until.into()).await,
                Step::Closed(report) => return report,
            }
        }
    }
}
