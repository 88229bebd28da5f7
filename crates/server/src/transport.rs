//! The byte stream under a connection: what a drain needs of it beyond reading and writing.

use rustix::net::RecvFlags;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A stream that can be asked for what the kernel holds, and closed with a reset.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Reads what is in the receive queue now, past any cached readiness; `WouldBlock` where there is nothing.
    ///
    /// A runtime's `poll_read` answers from the readiness that its last look at epoll found. The last look of rule D5
    /// must not: a request that arrived a microsecond ago is a request.
    fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes the close that follows a reset, so that the peer cannot take a torn response for a whole one.
    fn reset_on_close(&self);
}

impl Transport for TcpStream {
    fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        read_now(self, buffer)
    }

    fn reset_on_close(&self) {
        if let Err(error) = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "SO_LINGER was refused; the connection closes without a reset");
        }
    }
}

impl Transport for UnixStream {
    fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        read_now(self, buffer)
    }

    /// unix(7) knows no reset; the peer sees a response that is too short.
    fn reset_on_close(&self) {}
}

fn read_now(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (read, _) = rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT)?;
    Ok(read)
}
