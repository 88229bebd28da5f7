//! The service wrapper between hyper and the program: counts the request, sets the header, and stands in for the
//! program where it cannot answer.

use crate::body::BodyNews;
use crate::http1::answer::Answer;
use crate::http1::exchange::{Exchange, order};
use crate::http1::strict;
use crate::http1::upgrade::Asked;
use crate::in_flight::InFlight;
use crate::observe::Seen;
use crate::{HttpService, RequestBody};
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

    pub(crate) fn into_service(self) -> S {
        self.service
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
        let version = request.version();
        let limit = common.body_limit(request.method(), request.uri());
        let seen = Seen::new(&request);
        let asked = Asked::by(&mut request, common.stop.is_requested());
        if let Some(status) = refusal(&request, limit).or(asked.refusal()) {
            let exchange = Arc::clone(&self.exchange);
            let (program, refusal, held) = (None, Some(status), None);
            return Responding { program, refusal, asked, held, version, exchange, seen, body: PhantomData };
        }
        request.extensions_mut().insert(InFlight::new(
            Weak::<Exchange>::clone(&counted),
            number,
            common.stop.clone(),
        ));
        common.introduce(self.exchange.peer(), request.extensions_mut());
        request.extensions_mut().insert(self.exchange.draining().clone());
        let request = request.map(|body| RequestBody::new(body, limit, &counted, number));
        Responding {
            program: Some(self.service.clone().oneshot(request)),
            refusal: None,
            asked,
            held: None,
            version,
            exchange: Arc::clone(&self.exchange),
            seen,
            body: PhantomData,
        }
    }
}

/// The answer to a request that no handler is to see (D9).
fn refusal(request: &Request<Incoming>, body_limit: u64) -> Option<StatusCode> {
    strict::refusal(request.method(), request.uri(), request.version(), request.headers())
        .or_else(|| RequestBody::exceeds(request.body(), body_limit).then_some(StatusCode::PAYLOAD_TOO_LARGE))
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
        // `None`: it is refused.
        #[pin]
        program: Option<Oneshot<S, Request<RequestBody>>>,
        refusal: Option<StatusCode>,
        asked: Asked,
        // An answer that hands the connection over, until that is lent.
        held: Option<Box<Response<Answer<B>>>>,
        version: Version,
        exchange: Arc<Exchange>,
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
        let exchange = Arc::clone(this.exchange);
        if let Some(held) = this.held.take_if(|_| exchange.is_lent()) {
            return Poll::Ready(Ok(*held));
        } else if this.held.is_some() {
            return Poll::Pending;
        }
        // What a refusal leaves unread is not looked at for a further request.
        let mut closes = this.refusal.is_some();
        let mut response = if let Some(status) = ordered(&exchange) {
            closes = true;
            stand_in(status, exchange)
        } else if let Some(program) = this.program.as_mut().as_pin_mut() {
            // A handler that panics answers 500 (D8) and takes neither the connection's task nor the others' with it.
            match catch_unwind(AssertUnwindSafe(|| this.seen.poll(exchange.common(), || program.poll(cx)))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(Ok(response))) => response.map(|body| Answer::program(body, exchange)),
                Ok(Poll::Ready(Err(error))) => {
                    let status = failed(&exchange, &*error.into());
                    closes = status.is_client_error();
                    stand_in(status, exchange)
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
        } else {
            let status = this.refusal.unwrap_or(StatusCode::BAD_REQUEST);
            tracing::debug!(?exchange, %status, "a request was refused");
            stand_in(status, exchange)
        };
        if this.asked.is_granted_by(response.status()) {
            if this.exchange.upgrade() {
                // The task has to make hyper ready for it before the answer is seen: it looks when this is pending.
                *this.held = Some(Box::new(response));
                return Poll::Pending;
            }
            response = stand_in(StatusCode::SERVICE_UNAVAILABLE, Arc::clone(this.exchange));
        }
        if this.exchange.respond() || closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            // To a response that calls itself 1.1, hyper adds `keep-alive` for a client of 1.0 that asked for it.
            *response.version_mut() = *this.version;
        }
        Poll::Ready(Ok(response))
    }
}

/// The answer that is ordered in the program's place.
fn ordered(exchange: &Exchange) -> Option<StatusCode> {
    if !exchange.is_ordered(order::ANSWER_503 | order::ANSWER_408) {
        return None;
    }
    let cut = exchange.is_ordered(order::ANSWER_503);
    Some(if cut { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::REQUEST_TIMEOUT })
}

/// The answer in the place of a service that has failed: perhaps because of what its peer sent.
fn failed(exchange: &Exchange, error: &(dyn std::error::Error + 'static)) -> StatusCode {
    let status = match exchange.body_fault() {
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

fn stand_in<B>(status: StatusCode, exchange: Arc<Exchange>) -> Response<Answer<B>> {
    let mut response = Response::new(Answer::empty(exchange));
    *response.status_mut() = status;
    response
}

pub(crate) fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(a payload that is no text)")
}
