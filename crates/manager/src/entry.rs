//! A socket, as the thread that polls has it.

use crate::connect::Connecting;
use crate::connection::Connection;
use exeunt_listener::{Address, Closing, Listener};
use mio::net::{TcpStream, UdpSocket, UnixStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Entry {
    pub(crate) connection: Connection,
    pub(crate) socket: Socket,
    /// The kernel may have something to read; it said so, and has not yet said that there is nothing.
    pub(crate) readable: bool,
    /// The kernel may take something.
    pub(crate) writable: bool,
    /// The peer is known to have ended its side, so that a short read is not the last.
    pub(crate) hung_up: bool,
    /// The connection broke, or the peer has closed its socket: it takes nothing any more, though something may be to
    /// be read.
    pub(crate) broken: bool,
    /// The last read found nothing.
    pub(crate) looked_in_vain: bool,
    /// It is in the list of those to be looked at.
    pub(crate) listed: bool,
    /// For when it is among the deadlines.
    pub(crate) armed: Option<Instant>,
}

pub(crate) enum Socket {
    Stream(Stream),
    Datagram(Arc<UdpSocket>),
    Listener(Door),
    /// A listener that drains.
    Closing(Box<Closing>, Speaks),
    /// One that is not connected yet.
    Connecting(Box<Connecting>),
    /// Only while one turns into another.
    Between,
}

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// A listener that accepts.
pub(crate) struct Door {
    pub(crate) listener: Listener,
    pub(crate) speaks: Speaks,
    /// Descriptors were short: not before then.
    pub(crate) not_before: Option<Instant>,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http,
    Bytes,
}

impl Entry {
    pub(crate) fn new(connection: Connection, socket: Socket) -> Self {
        Self {
            connection,
            socket,
            readable: true,
            writable: true,
            hung_up: false,
            broken: false,
            looked_in_vain: false,
            listed: false,
            armed: None,
        }
    }

    /// Has the kernel tell of it, by this token, as it changes (edges, not levels: who is told of an edge takes all there is).
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match &mut self.socket {
            Socket::Stream(Stream::Tcp(stream)) => registry.register(stream, token, both),
            Socket::Stream(Stream::Unix(stream)) => registry.register(stream, token, both),
            Socket::Datagram(socket) => {
                registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)
            }
            Socket::Listener(door) => registry.register(
                &mut SourceFd(&door.listener.as_fd().as_raw_fd()),
                token,
                Interest::READABLE,
            ),
            // What there is of it registers itself.
            Socket::Connecting(_) | Socket::Closing(..) | Socket::Between => Ok(()),
        }
    }
}

impl Socket {
    /// Makes one that has just been connected ready; its own address.
    pub(crate) fn prepare(&self) -> Option<Address> {
        match self {
            Self::Stream(Stream::Tcp(stream)) => {
                // Whole requests are written at once, so that waiting for more would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(target: "exeunt::manager", %error, "TCP_NODELAY was refused");
                }
                stream.local_addr().ok().map(Address::from)
            }
            Self::Datagram(socket) => socket.local_addr().ok().map(Address::from),
            _ => None,
        }
    }
}

impl Stream {
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(buffer),
            Self::Unix(stream) => (&*stream).read(buffer),
        }
    }

    /// Writes what more follows upon at once, so that it need not go by itself.
    pub(crate) fn write_before_more(&self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        {
            use rustix::net::{SendFlags, send};
            Ok(send(self, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?)
        }
        #[cfg(not(target_os = "linux"))]
        self.write(bytes)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).write(bytes),
            Self::Unix(stream) => (&*stream).write(bytes),
        }
    }

    /// Ends our side.
    pub(crate) fn shut_down(&self) {
        // A peer that is gone already has seen the end.
        _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Makes the close that follows a reset. unix(7) knows none.
    pub(crate) fn reset_on_close(&self) {
        if let Self::Tcp(stream) = self
            && let Err(error) = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(target: "exeunt::manager", %error, "SO_LINGER was refused; it closes without a reset");
        }
    }
}
