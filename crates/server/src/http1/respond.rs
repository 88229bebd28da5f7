//! The service wrapper between hyper and the program: counts the request, sets the header, and stands in for the
//! program where it cannot answer.

use crate::http1::answer::Answer;
use crate::http1::exchange::{Exchange, order};
use crate::in_flight::InFlight;
use crate::{BoxError, HttpService, RequestBody};
use exeunt_drain::Framing;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tower::ServiceExt as _;
use tower::util::Oneshot;

/// The program's service, on one connection.
pub(crate) struct Respond<S, B> {
    service: S,
    exchange: Arc<Exchange>,
    body: PhantomData<fn() -> B>,
}

impl<S, B> Respond<S, B> {
    pub(crate) fn new(service: S, exchange: Arc<Exchange>) -> Self {
        Self { service, exchange, body: PhantomData }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Respond<S, B>
where
    S: HttpService<B>,
    B: Body + 'static,
{
    type Response = Response<Answer<B>>;
    type Error = Infallible;
    type Future = Responding<S, B>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let number = self.exchange.begin(request.method(), request.uri(), framing(request.body()));
        let counted: Weak<Exchange> = Arc::downgrade(&self.exchange);
        let common = self.exchange.common();
        request.extensions_mut().insert(InFlight::new(counted, number, common.stop.clone()));
        common.introduce(self.exchange.peer(), request.extensions_mut());
        request.extensions_mut().insert(self.exchange.draining().clone());
        let version = request.version();
        Responding {
            program: self.service.clone().oneshot(request.map(RequestBody::new)),
            version,
            exchange: Arc::clone(&self.exchange),
            body: PhantomData,
        }
    }
}

fn framing(body: &Incoming) -> Framing {
    match body.size_hint().exact() {
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

pin_project_lite::pin_project! {
    /// One response in the making.
    pub(crate) struct Responding<S, B>
    where
        S: tower_service::Service<Request<RequestBody>>,
    {
        #[pin]
        program: Oneshot<S, Request<RequestBody>>,
        version: Version,
        exchange: Arc<Exchange>,
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
        let this = self.project();
        let exchange = Arc::clone(this.exchange);
        let mut response = if exchange.is_ordered(order::ANSWER_503) {
            stand_in(StatusCode::SERVICE_UNAVAILABLE, exchange)
        } else {
            // A handler that panics answers 500 (D8) and takes neither the connection's task nor the others' with it.
            match catch_unwind(AssertUnwindSafe(|| this.program.poll(cx))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(Ok(response))) => response.map(|body| Answer::program(body, exchange)),
                Ok(Poll::Ready(Err(error))) => {
                    let error: BoxError = error.into();
                    tracing::error!(?exchange, error = &*error, "the service failed: answered 500");
                    stand_in(StatusCode::INTERNAL_SERVER_ERROR, exchange)
                }
                Err(panic) => {
                    tracing::error!(
                        ?exchange,
                        panic = message(&*panic),
                        "the handler panicked: answered 500"
                    );
                    stand_in(StatusCode::INTERNAL_SERVER_ERROR, exchange)
                }
            }
        };
        if this.exchange.respond() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            // To a response that calls itself 1.1, hyper adds `keep-alive` for a client of 1.0 that asked for it.
            *response.version_mut() = *this.version;
        }
        Poll::Ready(Ok(response))
    }
}

fn stand_in<B>(status: StatusCode, exchange: Arc<Exchange>) -> Response<Answer<B>> {
    let mut response = Response::new(Answer::empty(exchange));
    *response.status_mut() = status;
    response
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(a payload that is no text)")
}
