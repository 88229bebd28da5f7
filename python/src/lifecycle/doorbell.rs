//! A descriptor that is readable once it was rung, for event loops.

use std::io::{self, Read as _, Write as _};

#[cfg(unix)]
use std::os::fd::{AsRawFd as _, RawFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream as Stream;

#[cfg(windows)]
use std::net::TcpStream as Stream;
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket as _, RawSocket};

/// The number by which `select` knows it.
#[cfg(unix)]
pub(super) type Descriptor = RawFd;
#[cfg(windows)]
pub(super) type Descriptor = RawSocket;

/// Readable from a `ring` on, until it is `seen`.
pub(super) struct Doorbell {
    reader: Stream,
    writer: Stream,
}

impl Doorbell {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Self { reader, writer })
    }

    /// Full is as good as written: the reader has not looked yet.
    pub(super) fn ring(&self) {
        _ = (&self.writer).write(&[1]);
    }

    /// Not readable any more, but for what is rung from now on.
    pub(super) fn seen(&self) {
        let mut buffer = [0; 64];
        while matches!((&self.reader).read(&mut buffer), Ok(1..)) {}
    }

    #[cfg(unix)]
    pub(super) fn descriptor(&self) -> Descriptor {
        self.reader.as_raw_fd()
    }

    #[cfg(windows)]
    pub(super) fn descriptor(&self) -> Descriptor {
        self.reader.as_raw_socket()
    }

    #[cfg(unix)]
    pub(super) fn reader(&self) -> &Stream {
        &self.reader
    }
}

#[cfg(unix)]
fn pair() -> io::Result<(Stream, Stream)> {
    Stream::pair()
}

/// `select` takes sockets alone there, and those of Unix come without a pair (as `socket.socketpair` of Python, which makes
/// one like this).
#[cfg(windows)]
fn pair() -> io::Result<(Stream, Stream)> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let writer = Stream::connect(listener.local_addr()?)?;
    writer.set_nodelay(true)?;
    loop {
        let (reader, peer) = listener.accept()?;
        // Anybody here may have connected first.
        if peer == writer.local_addr()? {
            return Ok((reader, writer));
        }
    }
}
