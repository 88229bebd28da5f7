//! The I/O wrapper between hyper and the socket: tells the drain machine what passes, and ends it by rules D5 and D7.
//!
//! hyper's own `graceful_shutdown` closes an idle connection at once, and with it the request that arrives in that
//! instant. Here an idle connection ends as if its peer had closed it: `poll_read` answers the end of the input, after
//! a last look, and hyper then finishes of its own accord. Its `poll_shutdown` lingers.

use crate::http1::exchange::{Exchange, order};
use crate::http1::sniff::{Sniff, Verdict};
use crate::transport::Transport;
use bytes::Bytes;
use exeunt_drain::Input;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is discarded at a time in a linger.
const DISCARD: usize = 4096;

/// A socket whose traffic the drain machine sees.
pub(crate) struct Watched<T: Transport> {
    /// Gone when HTTP/2 has taken over.
    transport: Option<T>,
    exchange: Arc<Exchange>,
    sniff: Sniff,
    /// `Finished` has been told.
    finished: bool,
    /// The write side is shut down.
    write_closed: bool,
    /// The peer did not take what was last written to it.
    write_blocked: bool,
}

impl<T: Transport> Watched<T> {
    pub(crate) fn new(transport: T, exchange: Arc<Exchange>) -> Self {
        Self {
            transport: Some(transport),
            exchange,
            sniff: Sniff::default(),
            finished: false,
            write_closed: false,
            write_blocked: false,
        }
    }

    /// The socket, and what was read, for HTTP/2 to go on with.
    pub(crate) fn into_http2(mut self) -> Option<(T, Bytes)> {
        let transport = self.transport.take()?;
        Some((transport, std::mem::take(&mut self.sniff).into_http2()))
    }

    fn transport(&mut self) -> io::Result<Pin<&mut T>> {
        self.unwatched().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reads more of the first bytes into the buffer, behind what is held, until they say what the peer speaks.
    fn poll_sniff(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let start = buffer.filled().len();
            self.sniff.release(buffer);
            let before = buffer.filled().len();
            let read = self.poll_read_more(cx, buffer);
            if let Poll::Ready(Err(error)) = read {
                return Poll::Ready(Err(error));
            }
            let ended = read.is_ready() && buffer.filled().len() == before;
            match self.sniff.look(buffer, start, ended) {
                Verdict::Pass => return Poll::Ready(Ok(())),
                // The rest of an empty hold is an empty read, which would mean the end.
                Verdict::Hold if read.is_pending() => return Poll::Pending,
                Verdict::Hold => {}
                Verdict::Http2 => {
                    self.exchange.leave_to_http2();
                    return Poll::Pending;
                }
            }
        }
    }

    /// What comes next: by the last look, if one is ordered; else as ever.
    fn poll_read_more(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.exchange.take_look() && self.look(buffer)? {
            return Poll::Ready(Ok(()));
        }
        if self.exchange.is_ordered(order::END_INPUT) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(self.transport()?.poll_read(cx, buffer))?;
        self.tell_read(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }

    /// The socket itself, for whoever has taken the connection over from HTTP.
    pub(crate) fn unwatched(&mut self) -> Option<Pin<&mut T>> {
        self.transport.as_mut().map(Pin::new)
    }

    /// The last look (D5). False: it found nothing.
    fn look(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
        let before = buffer.filled().len();
        match self.transport()?.read_now(buffer.initialize_unfilled()) {
            Ok(read) => buffer.advance(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.exchange.tell(Input::NothingThere);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        self.tell_read(&buffer.filled()[before..]);
        Ok(true)
    }

    fn tell_read(&self, read: &[u8]) {
        self.exchange.tell(if read.is_empty() { Input::Eof } else { Input::Bytes(read) });
    }

    /// Tells how long the peer takes nothing of `bytes`.
    fn watch_write(
        &mut self,
        bytes: Option<&[u8]>,
        mut written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Some(transport) = self.transport.as_ref().filter(|_| self.write_blocked) {
            written = transport.written_again(bytes, written);
        }
        if written.is_pending() != self.write_blocked {
            self.write_blocked = written.is_pending();
            if self.write_blocked { self.exchange.write_blocked() } else { self.exchange.write_moved() }
        }
        written
    }

    /// Reads and discards until the machine has had enough (D7).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.write_closed {
            ready!(self.transport()?.poll_shutdown(cx))?;
            self.write_closed = true;
        }
        let mut scratch = [0; DISCARD];
        loop {
            if self.exchange.is_ordered(order::CLOSE) {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(self.transport()?.poll_read(cx, &mut buffer))?;
            self.tell_read(buffer.filled());
        }
    }
}

impl<T: Transport> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.sniff, Sniff::Http1) {
            self.poll_read_more(cx, buffer)
        } else {
            self.poll_sniff(cx, buffer)
        }
    }
}

impl<T: Transport> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.transport()?.poll_write(cx, bytes);
        self.watch_write(Some(bytes), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.transport()?.poll_write_vectored(cx, slices);
        self.watch_write(slices.iter().map(|slice| &**slice).find(|slice| !slice.is_empty()), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.as_ref().is_some_and(T::is_write_vectored)
    }

    /// hyper flushes the transport only when its own buffer is empty, so a response whose body is done is done here.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.transport()?.poll_flush(cx))?;
        self.exchange.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished {
            self.finished = true;
            self.exchange.tell(Input::Finished);
        }
        if self.exchange.is_ordered(order::LINGER) { self.poll_linger(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl<T: Transport> Drop for Watched<T> {
    fn drop(&mut self) {
        // Torn: the program's body failed or panicked, or the task was dropped.
        if let Some(transport) = &self.transport
            && (self.exchange.is_ordered(order::RESET) || self.exchange.is_torn())
        {
            transport.reset_on_close();
        }
    }
}
