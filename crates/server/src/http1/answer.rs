//! The response body on its way: tells the exchange when the program has given its last byte.

use crate::http1::exchange::Exchange;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pin_project_lite::pin_project! {
    /// A program's response body, or an empty one of ours.
    ///
    /// hyper drops a body when it has taken its last frame, so the drop is the sign, whatever the body's own kind of
    /// end: `is_end_stream`, `None`, an error, or never asked (HEAD).
    pub(crate) struct Answer<B> {
        #[pin]
        program: Option<B>,
        exchange: Arc<Exchange>,
    }

    impl<B> PinnedDrop for Answer<B> {
        fn drop(this: Pin<&mut Self>) {
            this.exchange.body_done();
        }
    }
}

impl<B> Answer<B> {
    pub(crate) fn program(body: B, exchange: Arc<Exchange>) -> Self {
        Self { program: Some(body), exchange }
    }

    pub(crate) fn empty(exchange: Arc<Exchange>) -> Self {
        Self { program: None, exchange }
    }
}

impl<B: Body> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().program.as_pin_mut().map_or(Poll::Ready(None), |body| body.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.program.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.program.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
