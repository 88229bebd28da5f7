//! The service wrapper between hyper and the program: counts the request, and stands in for the program where it cannot
//! answer.

use super::answer::{Answer, Given};
use super::exchange::{Exchange, order};
use super::streams::Key;
use crate::body::BodyNews;
use crate::http1::message;
use crate::in_flight::InFlight;
use crate::observe::Seen;
use crate::{BoxError, HttpService, RequestBody};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tower::ServiceExt as _;
use tower::util::Oneshot;

/// The program's service, on one connection.
pub(super) struct Respond<S, B> {
    service: S,
    exchange: Arc<Exchange>,
    body: PhantomData<fn() -> B>,
}

impl<S, B> Respond<S, B> {
    pub(super) fn new(service: S, exchange: Arc<Exchange>) -> Self {
        Self { service, exchange, body: PhantomData }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Respond<S, B>
where
    S: HttpService<B>,
    B: Body<Error: Into<BoxError>> + 'static,
{
    type Response = Response<Answer<B>>;
    type Error = Infallible;
    type Future = Responding<S, B>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let key = self.exchange.begin(request.method(), request.uri());
        let common = self.exchange.common();
        let seen = Seen::new(&request);
        let tunnel = *request.method() == Method::CONNECT;
        let limit = common.body_limit(request.method(), request.uri());
        let refusal = if tunnel && common.stop.is_requested() {
            // Upgrades that are asked for after the stop request get 503 (D2).
            Some(StatusCode::SERVICE_UNAVAILABLE)
        } else {
            RequestBody::exceeds(request.body(), limit).then_some(StatusCode::PAYLOAD_TOO_LARGE)
        };
        let program = refusal.is_none().then(|| {
            let counted: Weak<Exchange> = Arc::downgrade(&self.exchange);
            let stop = common.stop.clone();
            let extensions = request.extensions_mut();
            extensions.insert(InFlight::new(Weak::<Exchange>::clone(&counted), key.pack(), stop));
            extensions.insert(self.exchange.draining().clone());
            common.introduce(self.exchange.peer(), extensions);
            let request = request.map(|body| RequestBody::new(body, limit, &counted, key.pack()));
            self.service.clone().oneshot(request)
        });
        let counted = Pending { exchange: Arc::clone(&self.exchange), key: Some(key) };
        Responding { program, refusal, tunnel, counted, seen, body: PhantomData }
    }
}

/// A request without a response.
struct Pending {
    exchange: Arc<Exchange>,
    key: Option<Key>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.exchange.abandon(key);
        }
    }
}

pin_project_lite::pin_project! {
    /// One response in the making.
    pub(super) struct Responding<S, B>
    where
        S: tower_service::Service<Request<RequestBody>>,
    {
        // `None`: it is refused.
        #[pin]
        program: Option<Oneshot<S, Request<RequestBody>>>,
        refusal: Option<StatusCode>,
        tunnel: bool,
        counted: Pending,
        seen: Seen,
        body: PhantomData<fn() -> B>,
    }
}

impl<S, B> Future for Responding<S, B>
where
    S: HttpService<B>,
    B: Body,
{
    type Output = Result<Response<Answer<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Pending { exchange, key: pending } = this.counted;
        // Polled again after its end, as no caller may: pending for ever rather than a panic.
        let Some(key) = *pending else { return Poll::Pending };
        let (cut, overdue) = (exchange.is_ordered(order::CUT), exchange.overdue(key));
        let (status, response) = match this.program.as_mut().as_pin_mut() {
            Some(program) if !cut && overdue.is_none() => {
                // A handler that panics answers 500 (D8).
                match catch_unwind(AssertUnwindSafe(|| {
                    this.seen.poll(exchange.common(), || program.poll(cx))
                })) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(Ok(response))) => (response.status(), Some(response)),
                    Ok(Poll::Ready(Err(error))) => (failed(exchange, key, &*error.into()), None),
                    Err(panic) => {
                        let panic = message(&*panic);
                        tracing::error!(?exchange, panic, "the handler panicked: answered 500");
                        (StatusCode::INTERNAL_SERVER_ERROR, None)
                    }
                }
            }
            _ => (this.refusal.or(overdue).unwrap_or(StatusCode::SERVICE_UNAVAILABLE), None),
        };
        *pending = None;
        exchange.answered(key, *this.tunnel && status.is_success());
        let given = Given { exchange: Arc::clone(exchange), key };
        Poll::Ready(Ok(match response {
            Some(response) => response.map(|body| Answer::new(Some(body), given)),
            None => {
                let mut response = Response::new(Answer::new(None, given));
                *response.status_mut() = status;
                response
            }
        }))
    }
}

/// The answer in the place of a service that has failed: perhaps because of what its peer sent.
fn failed(exchange: &Exchange, key: Key, error: &(dyn std::error::Error + 'static)) -> StatusCode {
    let status = match exchange.body_fault(key) {
        Some(BodyNews::TooLong) => StatusCode::PAYLOAD_TOO_LARGE,
        Some(BodyNews::Broken) => StatusCode::BAD_REQUEST,
        _ => {
            tracing::error!(?exchange, error, "the service failed: answered 500");
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
    };
    tracing::debug!(?exchange, error, %status, "the service failed because of the request's body");
    status
}
