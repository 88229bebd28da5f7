//! The byte stream under a connection: what a drain needs of it beyond reading and writing.

use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::AsFd;
use std::task::Poll;
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

    /// Writes what the kernel takes now; `WouldBlock` where its buffer is full.
    ///
    /// It says that a socket is writable when a third of its buffer is free (of a Unix socket three quarters; socket(7),
    /// `sk_stream_is_writeable`): a peer that reads slowly, but reads, may take minutes to get there.
    fn write_now(&self, bytes: &[u8]) -> io::Result<usize>;

    /// What became of a write that is tried again: before it counts as one of which nothing is taken, the kernel is asked
    /// itself.
    fn written_again(
        &self,
        bytes: Option<&[u8]>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let (Poll::Pending, Some(bytes)) = (&written, bytes) else { return written };
        match self.write_now(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            written => Poll::Ready(written),
        }
    }

    /// Makes the close that follows a reset, so that the peer cannot take a torn response for a whole one.
    fn reset_on_close(&self);
}

impl Transport for TcpStream {
    fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        read_now(self, buffer)
    }

    fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        write_now(self, bytes)
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

    fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        write_now(self, bytes)
    }

    /// unix(7) knows no reset; the peer sees a response that is too short.
    fn reset_on_close(&self) {}
}

fn read_now(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (read, _) = rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT)?;
    Ok(read)
}

fn write_now(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}
