//! `/livez` and `/readyz` (rule D1).

use bytes::Bytes;
use exeunt_lifecycle::{Phase, Stop};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Puts `/livez` and `/readyz` before a service; every other path is the service's.
///
/// - `/livez` answers 200 as long as it answers at all: a process that drains is alive, and an orchestrator that
///   restarts it then would cut what it is finishing.
/// - `/readyz` answers 200 in the phase `Running`, and 503 before it and from the stop request on, so that a load
///   balancer goes elsewhere while connections are still served.
#[derive(Clone, Debug)]
pub struct Health<S> {
    service: S,
    stop: Stop,
}

impl<S> Health<S> {
    /// Answers for the lifecycle that `stop` belongs to.
    pub fn new(service: S, stop: Stop) -> Self {
        Self { service, stop }
    }
}

impl<S, D, B> tower_service::Service<Request<D>> for Health<S>
where
    S: tower_service::Service<Request<D>, Response = Response<B>>,
    B: http_body::Body<Data = Bytes>,
{
    type Response = Response<Either<B, Full<Bytes>>>;
    type Error = S::Error;
    type Future = HealthFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<D>) -> Self::Future {
        let (status, text) = match request.uri().path() {
            "/livez" => (StatusCode::OK, "alive\n"),
            "/readyz" if self.stop.phase() == Phase::Running => (StatusCode::OK, "ready\n"),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            _ => return HealthFuture::Service { future: self.service.call(request) },
        };
        HealthFuture::Own { answer: Some(answer(request.method(), status, text)) }
    }
}

fn answer(method: &Method, status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !matches!(*method, Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

pin_project_lite::pin_project! {
    /// The future of [`Health`].
    #[derive(Debug)]
    #[project = Projected]
    #[allow(missing_docs, reason = "the variants are nobody's business, and the macro knows no privacy for them")]
    pub enum HealthFuture<F> {
        Service { #[pin] future: F },
        Own { answer: Option<Response<Full<Bytes>>> },
    }
}

impl<F, B, E> Future for HealthFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Either<B, Full<Bytes>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Service { future } => future.poll(cx).map_ok(|response| response.map(Either::Left)),
            // Polled again after its end, as no caller may: pending for ever rather than a panic.
            Projected::Own { answer } => {
                answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer.map(Either::Right))))
            }
        }
    }
}
