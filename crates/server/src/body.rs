//! The body of a request, as a service gets it.

use crate::BoxError;
use crate::in_flight::Counted;
use bytes::Bytes;
use http::{Method, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{LengthLimitError, Limited};
use hyper::body::Incoming;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

/// The body of a request, as it comes from the network.
///
/// It fails with [`LengthLimitError`], boxed and nothing around it, when it is longer than
/// [`Limits::body_bytes`](crate::Limits::body_bytes), and with a [`hyper::Error`] when it breaks.
pub struct RequestBody {
    body: Limited<Incoming>,
    /// The request that it belongs to, unless there is no body; whoever keeps this longer does not keep the connection.
    counted: Option<Weak<dyn Counted>>,
    number: u64,
    /// The program waits for more of it.
    is_awaited: bool,
    /// How many bytes have come that nobody was told of.
    untold: u64,
}

/// What becomes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyNews {
    /// The program waits for more.
    Awaited,
    /// It need not wait any longer; so many bytes have come since the last news.
    Came(u64),
    /// There is more than the limit allows.
    TooLong,
    /// It is malformed, or its peer has gone.
    Broken,
}

/// What the program says of how long the body of a request may be.
#[derive(Clone)]
pub(crate) struct BodyLimit(Arc<LimitOf>);

type LimitOf = dyn Fn(&Method, &Uri) -> Option<u64> + Send + Sync;

impl BodyLimit {
    pub(crate) fn new(limit: impl Fn(&Method, &Uri) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(limit))
    }

    pub(crate) fn of(&self, method: &Method, uri: &Uri) -> Option<u64> {
        (self.0)(method, uri)
    }
}

impl fmt::Debug for BodyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyLimit")
    }
}

impl RequestBody {
    /// The body of that request of `counted`, of `limit` bytes at most.
    pub(crate) fn new<C: Counted + 'static>(
        incoming: Incoming,
        limit: u64,
        counted: &Weak<C>,
        number: u64,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let counted = (!incoming.is_end_stream()).then(|| Weak::<C>::clone(counted) as Weak<dyn Counted>);
        Self { body: Limited::new(incoming, limit), counted, number, is_awaited: false, untold: 0 }
    }

    /// Whether a body says that it is longer than `limit` bytes.
    pub(crate) fn exceeds(body: &Incoming, limit: u64) -> bool {
        body.size_hint().lower() > limit
    }

    fn tell(&self, news: BodyNews) {
        if let Some(counted) = self.counted.as_ref().and_then(Weak::upgrade) {
            counted.body(self.number, news);
        }
    }

    fn end_wait(&mut self) {
        if std::mem::take(&mut self.is_awaited) {
            let bytes = std::mem::take(&mut self.untold);
            self.tell(BodyNews::Came(bytes));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending() && !self.is_awaited {
            self.is_awaited = true;
            self.tell(BodyNews::Awaited);
        }
        let frame = ready!(polled);
        if let Some(Ok(frame)) = &frame {
            self.untold += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        self.end_wait();
        if let Some(Err(error)) = &frame {
            self.tell(if error.is::<LengthLimitError>() { BodyNews::TooLong } else { BodyNews::Broken });
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.end_wait();
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("size_hint", &self.size_hint()).finish_non_exhaustive()
    }
}
