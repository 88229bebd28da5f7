//! What is said of each request, whatever protocol it came by: that it came, to a lame duck that waits until no more do
//! (D2), and all of it to whoever traces.

use crate::Probe;
use crate::common::Common;
use exeunt_lifecycle::Phase;
use http::{Request, Response};
use std::task::Poll;
use tracing::Span;
use tracing::field::Empty;

/// A request on its way through the program.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Disabled, unless somebody wants it.
    span: Span,
    begun: bool,
}

impl Seen {
    pub(crate) fn new<B>(request: &Request<B>) -> Self {
        // Without the query, which may hold what no log should.
        let span = tracing::debug_span!(
            target: "exeunt::server",
            "request",
            method = %request.method(),
            path = request.uri().path(),
            version = ?request.version(),
            status = Empty,
        );
        Self { span, begun: false }
    }

    /// Polls the program's answer inside the request's span.
    pub(crate) fn poll<B, E>(
        &mut self,
        common: &Common,
        poll: impl FnOnce() -> Poll<Result<Response<B>, E>>,
    ) -> Poll<Result<Response<B>, E>> {
        let answer = self.span.in_scope(poll);
        // A probe is answered at once: what is not done with at its first poll is a request.
        if !self.begun && common.stop.phase() == Phase::LameDuck && !is_probe(&answer) {
            common.stop.note_arrival();
        }
        self.begun = true;
        if let Poll::Ready(Ok(response)) = &answer {
            self.span.record("status", response.status().as_u16());
        }
        answer
    }
}

fn is_probe<B, E>(answer: &Poll<Result<Response<B>, E>>) -> bool {
    matches!(answer, Poll::Ready(Ok(response)) if response.extensions().get::<Probe>().is_some())
}
