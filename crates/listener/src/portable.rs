//! For Unix systems without a way to turn clients away and without a table of handshakes to look into: the queue is emptied, no more.

use std::{convert::Infallible, io, os::fd::AsFd, time::Duration};

use rustix::io::Errno;
use socket2::Socket;

use crate::{
    close::report::{Newcomers, Ownership},
    connection::Connection,
};

pub(crate) fn accept(socket: &Socket) -> Result<Connection, Errno> {
    let (stream, peer) =
        socket.accept().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    stream.set_nonblocking(true).map_err(|_| Errno::CONNABORTED)?;
    Ok(match peer.as_socket() {
        Some(peer) => Connection::Tcp { stream: stream.into(), peer },
        None => Connection::Unix { stream: stream.into() },
    })
}

pub(crate) fn turn_away(_socket: &Socket) -> Newcomers {
    Newcomers::Admitted
}

pub(crate) fn let_in(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

/// Only forks are seen here, by the lifeline; emptying the queue of a socket that others hold too harms nobody.
#[derive(Debug)]
pub(crate) struct Owners;

impl Owners {
    pub(crate) fn of(_socket: impl AsFd) -> Self {
        Self
    }

    pub(crate) fn search(&mut self, _slice: Duration) -> Option<Ownership> {
        Some(Ownership::Sole)
    }
}

pub(crate) fn port_owner(_port: u16) -> Option<(u32, String)> {
    None
}

pub(crate) fn first_free_port() -> Option<u16> {
    None
}

#[derive(Debug)]
pub(crate) struct Handshakes(Infallible);

impl Handshakes {
    pub(crate) fn of(_socket: &Socket) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn count(&mut self) -> io::Result<usize> {
        match self.0 {}
    }
}
