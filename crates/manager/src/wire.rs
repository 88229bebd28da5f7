//! A connected socket, with TLS on it or without.

use crate::tls::{Channel, Got, Opening, Sent, TlsInfo};
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What reads and writes the bytes of a session, which does not see the difference.
pub(crate) struct Wire {
    stream: Stream,
    tls: Option<Box<Channel>>,
    /// It is to end with a reset, so that nothing says that it ended well.
    aborted: bool,
}

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<Stream> for Wire {
    fn from(stream: Stream) -> Self {
        Self { stream, tls: None, aborted: false }
    }
}

impl Wire {
    pub(crate) fn register(&mut self, registry: &Registry, token: Token, what: Interest) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => registry.register(stream, token, what),
            Stream::Unix(stream) => registry.register(stream, token, what),
        }
    }

    /// The socket, if it is TCP's.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        match &self.stream {
            Stream::Tcp(stream) => Some(stream),
            Stream::Unix(_) => None,
        }
    }

    /// The socket, if what is sent on it is sent as it is.
    pub(crate) fn plain(&self) -> Option<&Stream> {
        self.tls.is_none().then_some(&self.stream)
    }

    /// Speaks TLS from here on.
    pub(crate) fn secure(&mut self, opening: Opening) -> Result<(), rustls::Error> {
        self.tls = Some(Box::new(Channel::new(opening)?));
        Ok(())
    }

    /// Reads once. What came is at the beginning of `scratch`, which is overwritten.
    pub(crate) fn read(&mut self, scratch: &mut [u8], now: Instant) -> io::Result<Got> {
        match &mut self.tls {
            Some(tls) => tls.read(&mut self.stream, scratch, now),
            None => match self.stream.read(scratch)? {
                0 => Ok(Got::End),
                // A short read says that there is no more (epoll(7), question 9).
                length => Ok(Got::Bytes { length, more: length == scratch.len() }),
            },
        }
    }

    /// Sends what the kernel takes of these bytes; they are offered again, unchanged, until it has taken them. `more`
    /// follows at once.
    pub(crate) fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<Sent> {
        match &mut self.tls {
            Some(tls) => tls.write(&mut self.stream, bytes),
            None => {
                let sent =
                    if more { self.stream.write_before_more(bytes)? } else { self.stream.write(bytes)? };
                // What the kernel does not take whole, it takes no more of (epoll(7), question 9).
                Ok(Sent { bytes: sent, blocked: sent < bytes.len() })
            }
        }
    }

    /// Whether TLS has something to send that no write brings along.
    pub(crate) fn wants_flush(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_flush())
    }

    /// Sends what TLS has to send.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        tls.flush(&mut self.stream)?;
        if tls.takes_end() {
            self.stream.shut_down();
        }
        Ok(())
    }

    /// Ends our side.
    pub(crate) fn shut_down(&mut self) {
        match &mut self.tls {
            None => self.stream.shut_down(),
            // What the kernel does not take now has the time that the peer has to see the end.
            Some(tls) => {
                tls.end();
                _ = self.flush();
            }
        }
    }

    /// Makes the close that follows a reset. unix(7) knows none.
    pub(crate) fn reset_on_close(&mut self) {
        self.aborted = true;
        if let Stream::Tcp(stream) = &self.stream
            && let Err(error) = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(target: "exeunt::manager", %error, "SO_LINGER was refused; it closes without a reset");
        }
    }

    /// Says that it ends, before it does, where there is somebody to say it to.
    pub(crate) fn say_goodbye(&mut self) {
        if let (false, Some(tls)) = (self.aborted, &mut self.tls) {
            tls.end();
            _ = tls.flush(&mut self.stream);
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// What the handshake came to, if it is done, and nobody has been told.
    pub(crate) fn becomes_secured(&mut self) -> Option<TlsInfo> {
        self.tls.as_mut().and_then(|tls| tls.becomes_secured())
    }

    /// Whether bytes that were offered are sent already, though the kernel does not have all of them.
    pub(crate) fn owes(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.owes())
    }

    /// Whether the peer has said a word of TLS.
    pub(crate) fn has_heard(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_heard())
    }

    /// Whether the peer is in the middle of a record that has not taken longer than that.
    pub(crate) fn is_within_record(&self, now: Instant, limit: Duration) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_within_record(now, limit))
    }
}

impl Stream {
    /// Writes what more follows upon at once, so that it need not go by itself.
    fn write_before_more(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        {
            use rustix::net::{SendFlags, send};
            Ok(send(self, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?)
        }
        #[cfg(not(target_os = "linux"))]
        self.write(bytes)
    }

    /// Ends our side.
    fn shut_down(&self) {
        // A peer that is gone already has seen the end.
        _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    #[cfg(target_os = "linux")]
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        // writev(2) would raise SIGPIPE, where a program has taken back its default.
        use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
        Ok(sendmsg(self, pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(pieces),
            Self::Unix(stream) => stream.write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
