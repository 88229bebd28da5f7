//! The stream of a connection that was handed to the program: a WebSocket, a tunnel, any upgrade.
//!
//! The program has it behind hyper's `Upgraded`, for as long as it likes, in a task that nobody here knows. The
//! connection's own task has a claim on it all the while: it takes it back when the program drops it, to end it by rule
//! D7, and takes it away at the cut (rule D8).

use crate::http1::io::Watched;
use crate::transport::Transport;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncWrite, ReadBuf};

/// A stream, shared by the program's end ([`Lent`]) and the connection's task.
pub(crate) struct Tunnel<T: Transport> {
    state: Mutex<State<T>>,
}

struct State<T: Transport> {
    /// Gone once it was taken back, or away. What passes meanwhile is not watched.
    stream: Option<Watched<T>>,
    /// The program's end is dropped.
    released: bool,
    /// Who waits to read and to write: a stream that is taken away wakes nobody by itself.
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// The connection's task, while it waits for the release.
    task: Option<Waker>,
}

/// The program's end.
pub(crate) struct Lent<T: Transport>(Arc<Tunnel<T>>);

impl<T: Transport> Tunnel<T> {
    /// Lends the stream.
    pub(crate) fn lend(stream: Watched<T>) -> (Arc<Self>, Lent<T>) {
        let state = State { stream: Some(stream), released: false, reader: None, writer: None, task: None };
        let tunnel = Arc::new(Self { state: Mutex::new(state) });
        (Arc::clone(&tunnel), Lent(tunnel))
    }

    /// Waits until the program has dropped its end; then the stream, if there is an end to be made of it.
    pub(crate) fn poll_released(&self, cx: &mut Context<'_>) -> Poll<Option<Watched<T>>> {
        let mut state = self.lock();
        if state.released {
            return Poll::Ready(state.stream.take());
        }
        note(&mut state.task, cx);
        Poll::Pending
    }

    /// Takes the stream away, and ends it by a reset, which the machine has ordered. Whatever the program does with its
    /// end is an error from now on, and it is woken to see that.
    pub(crate) fn cut(&self) {
        let (stream, wakers) = {
            let mut state = self.lock();
            (state.stream.take(), [state.reader.take(), state.writer.take()])
        };
        drop(stream);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Transport> Lent<T> {
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        let polled = state.stream()?.poll_read(cx, buffer);
        if polled.is_pending() {
            note(&mut state.reader, cx);
        }
        polled
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    pub(crate) fn is_write_vectored(&self) -> bool {
        self.0.lock().stream.as_ref().is_some_and(Watched::is_write_vectored)
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_flush)
    }

    /// Ends the writing, and nothing else: the program may read on.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_shutdown)
    }

    fn write<R>(
        &self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let mut state = self.0.lock();
        let polled = write(state.stream()?, cx);
        if polled.is_pending() {
            note(&mut state.writer, cx);
        }
        polled
    }
}

impl<T: Transport> Drop for Lent<T> {
    fn drop(&mut self) {
        let (task, torn) = {
            let mut state = self.0.lock();
            state.released = true;
            // A program that panics was not done: an end in good order would make what it wrote look whole.
            let torn = if std::thread::panicking() { state.stream.take() } else { None };
            (state.task.take(), torn)
        };
        drop(torn);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl<T: Transport> State<T> {
    fn stream(&mut self) -> io::Result<Pin<&mut T>> {
        let cut =
            || io::Error::new(io::ErrorKind::ConnectionAborted, "the server's stop has cut this connection");
        self.stream.as_mut().and_then(Watched::unwatched).ok_or_else(cut)
    }
}

fn note(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}
