//! What a listener hands out.

use std::{
    net::{SocketAddr, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

/// An accepted connection, non-blocking and close-on-exec.
#[derive(Debug)]
pub enum Connection {
    /// From a TCP client.
    Tcp {
        /// The connection.
        stream: TcpStream,
        /// The client's address.
        peer: SocketAddr,
    },
    /// From a client of a Unix socket.
    Unix {
        /// The connection.
        stream: UnixStream,
    },
}

impl Connection {
    /// The TCP client's address.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { peer, .. } => Some(*peer),
            Self::Unix { .. } => None,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp { stream, .. } => stream.as_fd(),
            Self::Unix { stream } => stream.as_fd(),
        }
    }
}

impl From<Connection> for OwnedFd {
    fn from(connection: Connection) -> Self {
        match connection {
            Connection::Tcp { stream, .. } => stream.into(),
            Connection::Unix { stream } => stream.into(),
        }
    }
}
