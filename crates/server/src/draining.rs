//! What a handler that holds a stream may know of the drain: that it has begun, and when it ends (rule D6).

use exeunt_drain::Telling;
use exeunt_lifecycle::{Phase, Stop};
use futures_util::Stream;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::coop::unconstrained;

/// How long a stream whose items are always ready goes on when it is told: the `idle_grace` of rule D5.
const PATIENCE: Duration = Duration::from_millis(250);

/// The shortest time of a timer. When one has rung, tokio has asked epoll since it was set.
const TURN: Duration = Duration::from_millis(1);

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Tells the handler of a long answer (a WebSocket, server-sent events, a long poll) that it should come to its end;
/// among the [extensions](http::Request::extensions) of every request: in axum, the argument
/// `Extension(draining): Extension<Draining>`.
///
/// It is told when the phase [`Draining`](Phase::Draining) begins, or when
/// [`Server::tell_streams`](crate::Server::tell_streams) and [`Server::close_spread`](crate::Server::close_spread) say
/// for its connection; from then until the [`deadline`](Self::deadline) there is time to say goodbye. A handler that
/// does not look is cut at the deadline.
///
/// Clones are told at the same moment. They keep neither the request nor the server busy, so they may go into tasks
/// and streams that outlive both.
///
/// ```
/// # use exeunt_server::Draining;
/// # use std::time::Duration;
/// # use tokio::sync::broadcast;
/// /// A long poll: the next piece of news, or nothing, when the client had better ask another server.
/// async fn next(draining: Draining, mut news: broadcast::Receiver<String>) -> Option<String> {
///     tokio::select! {
///         news = news.recv() => news.ok(),
///         () = draining.begun() => None,
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Draining {
    shared: Arc<Streams>,
    /// The connection's, in the order of accept.
    number: u64,
}

impl Draining {
    /// Whether to come to an end: [`begun`](Self::begun) would complete at once. One atomic load in service.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        match self.shared.stop.phase() {
            Phase::Draining => self.moment().is_none(),
            phase => phase > Phase::Draining,
        }
    }

    /// Completes when it is time to come to an end, and the runtime has looked once more at what has arrived by then: a
    /// `select!` that is `biased` towards its peer answers that first.
    ///
    /// In a loop, wait for the same future in each round: a new one takes its place in a queue that all share.
    ///
    /// ```
    /// # use exeunt_server::Draining;
    /// # struct Socket;
    /// # impl Socket { async fn recv(&mut self) -> Option<String> { None } async fn close(&mut self, _code: u16) {} }
    /// async fn chat(draining: Draining, mut socket: Socket) {
    ///     let mut told = std::pin::pin!(draining.begun());
    ///     loop {
    ///         tokio::select! {
    ///             biased;
    ///             message = socket.recv() => match message {
    ///                 Some(_message) => { /* answer it */ }
    ///                 None => return,
    ///             },
    ///             () = &mut told => return socket.close(1001).await, // going away
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; waiting again after the fact completes at once.
    pub async fn begun(&self) {
        let stop = &self.shared.stop;
        stop.reached(Phase::Draining).await;
        while let Some(moment) = self.moment() {
            tokio::select! {
                () = tokio::time::sleep_until(moment.into()) => {}
                // The end was forced: the deadline is now.
                () = stop.reached(Phase::Closing) => return,
            }
        }
        if self.is_fresh() {
            tokio::time::sleep(TURN).await;
        }
    }

    /// [`begun`](Self::begun) for tasks and streams, which borrow nothing.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn begun_owned(self) {
        self.begun().await;
    }

    /// The items of `stream` until it ends, or until it is time to come to an end. What is ready by then still comes (a
    /// message that has arrived, say), unless there is no end to it: then for 250 ms. Chain a goodbye behind it:
    ///
    /// ```
    /// # use exeunt_server::Draining;
    /// use futures_util::stream::{self, Stream, StreamExt as _};
    ///
    /// fn events(draining: &Draining, news: impl Stream<Item = String>) -> impl Stream<Item = String> {
    ///     draining.until(news).chain(stream::iter(["goodbye".to_owned()]))
    /// }
    /// ```
    pub fn until<S>(&self, stream: S) -> Until<S> {
        Until { stream: Some(stream), told: Told::Not { when: Box::pin(self.clone().begun_owned()) } }
    }

    /// When what is in flight will be cut; `None` before the stop request. On the runtime's clock: a
    /// `tokio::time::Instant` by `from_std`.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.stop.drain_deadline()
    }

    /// How long until the [`deadline`](Self::deadline); zero when it has passed, `None` before the stop request.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.shared.stop.time_left()
    }

    /// When it will be told, now that the drain has begun; `None` if that is so.
    fn moment(&self) -> Option<Instant> {
        self.told_at().filter(|moment| now() < *moment)
    }

    /// Whether its moment was just now, so that what arrived before it may not be seen yet. Not for long: a loop that
    /// waits anew in each round must get to its end, however many messages come.
    fn is_fresh(&self) -> bool {
        self.told_at().is_some_and(|moment| now().saturating_duration_since(moment) < PATIENCE)
    }

    /// When it is told, or was, now that the drain has begun; `None` if the lifecycle is gone.
    fn told_at(&self) -> Option<Instant> {
        let deadline = self.shared.stop.drain_deadline()?;
        Some(self.shared.telling.moment(self.number, self.shared.begin(now()), deadline))
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").field("number", &self.number).finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// The stream of [`Draining::until`]. What it is made of is dropped as soon as it ends.
    #[must_use = "streams do nothing unless polled"]
    pub struct Until<S> {
        #[pin]
        stream: Option<S>,
        told: Told,
    }
}

enum Told {
    Not { when: Pin<Box<dyn Future<Output = ()> + Send>> },
    Since(tokio::time::Instant),
}

impl<S: Stream> Stream for Until<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let Told::Not { when } = this.told
            && when.as_mut().poll(cx).is_ready()
        {
            *this.told = Told::Since(tokio::time::Instant::now());
        }
        let next = match this.told {
            Told::Not { .. } => stream.poll_next(cx),
            Told::Since(since) if since.elapsed() > PATIENCE => Poll::Ready(None),
            Told::Since(_) => match ready_now(stream, cx) {
                Poll::Ready(item) => Poll::Ready(item),
                Poll::Pending => Poll::Ready(None),
            },
        };
        if let Poll::Ready(None) = next {
            this.stream.set(None);
        }
        next
    }
}

/// Pending means that there is nothing, and not that the task has done enough for this turn.
fn ready_now<S: Stream>(mut stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
    pin!(unconstrained(poll_fn(|cx| stream.as_mut().poll_next(cx)))).poll(cx)
}

impl<S> fmt::Debug for Until<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Until").field("ended", &self.stream.is_none()).finish_non_exhaustive()
    }
}

/// What the streams of a server know of its drain. Without its scope: whoever keeps this does not keep the server.
pub(crate) struct Streams {
    stop: Stop,
    telling: Telling,
    /// When the drain began, as the first who looked saw it: the same for all.
    begun: OnceLock<Instant>,
    connections: AtomicU64,
}

impl Streams {
    pub(crate) fn new(stop: Stop, telling: Telling) -> Arc<Self> {
        Arc::new(Self { stop, telling, begun: OnceLock::new(), connections: AtomicU64::new(0) })
    }

    /// The drain has begun, no later than `now`; answers when.
    pub(crate) fn begin(&self, now: Instant) -> Instant {
        *self.begun.get_or_init(|| now)
    }

    /// For the next connection: a clone goes into each of its requests.
    pub(crate) fn draining(self: &Arc<Self>) -> Draining {
        Draining { shared: Arc::clone(self), number: self.connections.fetch_add(1, Ordering::Relaxed) }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("telling", &self.telling).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "draining_tests.rs"]
mod tests;
