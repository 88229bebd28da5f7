//! The response body on its way: breaks off at a cut, and tells the exchange when the program has given its last byte.

use super::exchange::{Exchange, order};
use super::streams::Key;
use crate::BoxError;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pin_project_lite::pin_project! {
    /// A program's response body, or an empty one of ours.
    ///
    /// hyper drops a body when it has taken its last frame, so the drop is the sign, whatever the body's own kind of end.
    pub(crate) struct Answer<B> {
        #[pin]
        program: Option<B>,
        given: Given,
        // The exchange knows that it is the program who has nothing to say.
        asked: bool,
    }
}

/// Tells the exchange that nothing of this response is the program's any more, when it is dropped.
pub(super) struct Given {
    pub(super) exchange: Arc<Exchange>,
    pub(super) key: Key,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.exchange.given(self.key);
    }
}

impl<B> Answer<B> {
    pub(super) fn new(program: Option<B>, given: Given) -> Self {
        Self { program, given, asked: false }
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for Answer<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        let this = self.project();
        let Some(program) = this.program.as_pin_mut() else { return Poll::Ready(None) };
        let Given { exchange, key } = this.given;
        if exchange.is_ordered(order::CUT) || exchange.overdue(*key).is_some() {
            // D8, D9. hyper resets the stream with this code.
            return Poll::Ready(Some(Err(h2::Error::from(h2::Reason::CANCEL).into())));
        }
        let polled = program.poll_frame(cx);
        // hyper asks again when the peer's window has taken the last piece. So pieces that lie ready tell nobody anything.
        if polled.is_pending() != *this.asked {
            *this.asked = polled.is_pending();
            exchange.asked(*key, *this.asked);
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.program.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.program.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
