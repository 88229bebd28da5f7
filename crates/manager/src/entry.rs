//! A socket, as the thread that polls has it.

use crate::connect::Connecting;
use crate::connection::Connection;
use crate::tls::Tls;
use crate::url::Url;
use crate::wire::Wire;
use exeunt_listener::{Address, Closing, Listener};
use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd};
use std::sync::Arc;
use std::time::Instant;

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
    Stream(Wire),
    Datagram(Arc<UdpSocket>),
    Listener(Door),
    /// A listener that drains.
    Closing(Box<Closing>, Terms),
    /// One that is not connected yet.
    Connecting(Box<Connecting>),
    /// Only while one turns into another.
    Between,
}

/// A listener that accepts.
pub(crate) struct Door {
    pub(crate) listener: Listener,
    pub(crate) terms: Terms,
    /// Descriptors were short: not before then.
    pub(crate) not_before: Option<Instant>,
}

/// What is spoken with whoever comes.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) speaks: Speaks,
    pub(crate) secured: Secured,
}

/// Whether TLS is spoken with whoever comes, and how.
#[derive(Clone, Debug)]
pub(crate) enum Secured {
    No,
    /// The URL says so, and the program may say how.
    ByProgram,
    By(Tls),
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http,
    Bytes,
}

impl Secured {
    /// As the program gave it, or else as the URL says.
    pub(crate) fn new(tls: Option<Tls>, url: &Url) -> Self {
        match tls {
            Some(tls) => Self::By(tls),
            None if url.is_tls() => Self::ByProgram,
            None => Self::No,
        }
    }
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
            Socket::Stream(wire) => wire.register(registry, token, both),
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
            Self::Stream(wire) => {
                let stream = wire.tcp()?;
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
