//! What hyper has of a connection: the watched socket, and from an upgrade on the program's end of it.

use crate::http1::exchange::{Exchange, order};
use crate::http1::io::Watched;
use crate::http1::tunnel::{Lent, Tunnel};
use crate::transport::Transport;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection's stream, as hyper has it, and later the program behind hyper's `Upgraded`.
pub(crate) struct Stream<T: Transport> {
    whose: Whose<T>,
    exchange: Arc<Exchange>,
}

enum Whose<T: Transport> {
    Http(Watched<T>),
    Program(Lent<T>),
    /// Nobody's, while it changes hands.
    Nobody,
}

impl<T: Transport> Stream<T> {
    pub(crate) fn new(transport: T, exchange: Arc<Exchange>) -> Self {
        Self { whose: Whose::Http(Watched::new(transport, Arc::clone(&exchange))), exchange }
    }

    /// The socket, and what was read, for HTTP/2 to go on with.
    pub(crate) fn into_http2(self) -> Option<(T, Bytes)> {
        match self.whose {
            Whose::Http(watched) => watched.into_http2(),
            Whose::Program(_) | Whose::Nobody => None,
        }
    }

    fn lend(&mut self) {
        self.whose = match std::mem::replace(&mut self.whose, Whose::Nobody) {
            Whose::Http(watched) => {
                let (tunnel, lent) = Tunnel::lend(watched);
                self.exchange.lend(tunnel);
                Whose::Program(lent)
            }
            other => other,
        };
    }
}

/// One of these at a time.
macro_rules! whose {
    ($stream:expr, $http:ident => $watched:expr, $program:ident => $lent:expr) => {
        match &mut $stream.whose {
            Whose::Http($http) => $watched,
            Whose::Program($program) => $lent,
            Whose::Nobody => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl<T: Transport> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        whose!(self, http => Pin::new(http).poll_read(cx, buffer), lent => lent.poll_read(cx, buffer))
    }
}

impl<T: Transport> AsyncWrite for Stream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        whose!(self, http => Pin::new(http).poll_write(cx, bytes), lent => lent.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        whose!(
            self,
            http => Pin::new(http).poll_write_vectored(cx, slices),
            lent => lent.poll_write_vectored(cx, slices)
        )
    }

    fn is_write_vectored(&self) -> bool {
        match &self.whose {
            Whose::Http(http) => http.is_write_vectored(),
            Whose::Program(lent) => lent.is_write_vectored(),
            Whose::Nobody => false,
        }
    }

    /// hyper flushes the transport only when its own buffer is empty: of what was written before the upgrade there is
    /// nothing left to watch.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(whose!(self, http => Pin::new(http).poll_flush(cx), lent => return lent.poll_flush(cx)))?;
        if self.exchange.is_ordered(order::LEND) {
            self.lend();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        whose!(self, http => Pin::new(http).poll_shutdown(cx), lent => lent.poll_shutdown(cx))
    }
}
