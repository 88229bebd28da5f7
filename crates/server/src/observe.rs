//! What is said of each request, whatever protocol it came by: to a lame duck that waits until no more come (D2).

use crate::Probe;
use exeunt_lifecycle::{Phase, Stop};
use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The program's service, and who is told of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Observe<S> {
    service: S,
    stop: Stop,
}

impl<S> Observe<S> {
    pub(crate) fn new(service: S, stop: Stop) -> Self {
        Self { service, stop }
    }
}

impl<S, D, B> tower_service::Service<Request<D>> for Observe<S>
where
    S: tower_service::Service<Request<D>, Response = Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Observed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<D>) -> Self::Future {
        // Asked here and not for each answer: only in a lame duck is there anybody to tell.
        let arrival = (self.stop.phase() == Phase::LameDuck).then(|| self.stop.clone());
        Observed { answer: self.service.call(request), arrival }
    }
}

pin_project_lite::pin_project! {
    /// A response in the making.
    pub(crate) struct Observed<F> {
        #[pin]
        answer: F,
        // Who is to be told that the request came.
        arrival: Option<Stop>,
    }
}

impl<F, B, E> Future for Observed<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = this.answer.poll(cx);
        // A probe is answered at once: whatever takes longer than the first look is a request.
        if let Some(stop) = this.arrival.take()
            && !is_probe(&answer)
        {
            stop.note_arrival();
        }
        answer
    }
}

fn is_probe<B, E>(answer: &Poll<Result<Response<B>, E>>) -> bool {
    matches!(answer, Poll::Ready(Ok(response)) if response.extensions().get::<Probe>().is_some())
}
