//! The I/O wrapper between hyper and the socket: tells the drain machine what passes, and ends it by rules D5 and D7.

use super::exchange::{Exchange, order};
use crate::transport::Transport;
use bytes::Bytes;
use exeunt_drain::http2::Input;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is discarded at a time in a linger.
const DISCARD: usize = 4096;

/// A socket whose traffic the drain machine sees.
pub(super) struct Watched<T: Transport> {
    transport: T,
    exchange: Arc<Exchange>,
    /// What was read before hyper had a say.
    read: Bytes,
    /// `Finished` has been told.
    finished: bool,
    /// The write side is shut down.
    write_closed: bool,
    /// The peer did not take what was last written to it.
    write_blocked: bool,
}

impl<T: Transport> Watched<T> {
    pub(super) fn new(transport: T, read: Bytes, exchange: Arc<Exchange>) -> Self {
        Self { transport, exchange, read, finished: false, write_closed: false, write_blocked: false }
    }

    /// The last look (D5). False: it found nothing.
    fn look(&self, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
        let before = buffer.filled().len();
        match self.transport.read_now(buffer.initialize_unfilled()) {
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

    fn tell_written(
        &mut self,
        slices: &[IoSlice<'_>],
        mut written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.write_blocked {
            let first = slices.iter().map(|slice| &**slice).find(|slice| !slice.is_empty());
            written = self.transport.written_again(first, written);
        }
        self.write_blocked = written.is_pending();
        match &written {
            Poll::Ready(Ok(count)) => self.exchange.written(slices, *count),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.exchange.blocked(),
        }
        written
    }

    /// Reads and discards until the machine has had enough (D7).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.write_closed {
            ready!(Pin::new(&mut self.transport).poll_shutdown(cx))?;
            self.write_closed = true;
        }
        let mut scratch = [0; DISCARD];
        loop {
            if self.exchange.is_ordered(order::CLOSE) {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buffer))?;
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
        if !self.read.is_empty() {
            let most = self.read.len().min(buffer.remaining());
            let read = self.read.split_to(most);
            buffer.put_slice(&read);
            self.tell_read(&read);
            return Poll::Ready(Ok(()));
        }
        if self.exchange.take(order::LOOK) && self.look(buffer)? {
            return Poll::Ready(Ok(()));
        }
        if self.exchange.is_ordered(order::END_INPUT) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.transport).poll_read(cx, buffer))?;
        self.tell_read(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(cx, bytes);
        self.tell_written(&[IoSlice::new(bytes)], written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(cx, slices);
        self.tell_written(slices, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
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
        if self.exchange.is_ordered(order::RESET) {
            self.transport.reset_on_close();
        }
        self.exchange.over();
    }
}
