//! `/livez` and `/readyz` (rule D1).

use bytes::Bytes;
use exeunt_lifecycle::{Phase, Stop};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Puts `/livez` and `/readyz` before a service; every other path is the service's.
///
/// - `/livez` answers 200 as long as it answers at all: a process that drains is alive, and an orchestrator that
///   restarts it then would cut what it is finishing.
/// - `/readyz` answers 200 in the phase `Running`, and 503 before it and from the stop request on, so that a load
///   balancer goes elsewhere while connections are still served.
///
/// GET and HEAD are answered, other methods with 405, and none of it keeps a lame duck up ([`Probe`]).
///
/// ```
/// # use exeunt_server::{Health, lifecycle::{Config, Lifecycle}};
/// # use http::StatusCode;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let lifecycle = Lifecycle::on_runtime(Config::default())?;
/// # let router = tower::service_fn(async |_: http::Request<String>| {
/// #     Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(bytes::Bytes::new()))) });
/// // Behind HAProxy with `option httpchk GET /up` and `http-check disable-on-404`:
/// let service = Health::new(router, lifecycle.stop()).readiness_at("/up").while_draining(StatusCode::NOT_FOUND);
/// # use tower::ServiceExt as _;
/// # lifecycle.ready();
/// # lifecycle.stop().request_stop("the example is over");
/// # let request = http::Request::get("/up").body(String::new())?;
/// # assert_eq!(service.oneshot(request).await?.status(), StatusCode::NOT_FOUND);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Health<S> {
    service: S,
    /// In one: a service is cloned for each request.
    own: Arc<Own>,
}

#[derive(Clone)]
struct Own {
    stop: Stop,
    liveness: Option<Cow<'static, str>>,
    readiness: Option<Cow<'static, str>>,
    while_draining: StatusCode,
    metrics: Option<(Cow<'static, str>, Render)>,
}

/// Gives the metrics in words.
pub(crate) type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// Among a response's extensions it says that the request was a probe of whoever watches the program, and no sign that
/// clients still come: it keeps no lame duck up ([`Config::lame_duck_quiet`](exeunt_lifecycle::Config::lame_duck_quiet)).
/// [`Health`] puts it there; a handler that answers probes by itself may, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe;

impl<S> Health<S> {
    /// Answers for the lifecycle that `stop` belongs to.
    pub fn new(service: S, stop: Stop) -> Self {
        let own = Own {
            stop,
            liveness: Some(Cow::Borrowed("/livez")),
            readiness: Some(Cow::Borrowed("/readyz")),
            while_draining: StatusCode::SERVICE_UNAVAILABLE,
            metrics: None,
        };
        Self { service, own: Arc::new(own) }
    }

    /// Answers whether it is alive under this path, in place of `/livez`; under none, if it is empty.
    #[must_use]
    pub fn liveness_at(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        Arc::make_mut(&mut self.own).liveness = Some(path.into()).filter(|path| !path.is_empty());
        self
    }

    /// Answers whether it is ready under this path, in place of `/readyz`; under none, if it is empty.
    #[must_use]
    pub fn readiness_at(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        Arc::make_mut(&mut self.own).readiness = Some(path.into()).filter(|path| !path.is_empty());
        self
    }

    /// The status of the readiness from the stop request on. 503 unless told otherwise. HAProxy's `http-check
    /// disable-on-404` takes 404 for "no new sessions, and finish those that there are", which 503 is not. Before the
    /// program is ready it is 503 in any case.
    #[must_use]
    pub fn while_draining(mut self, status: StatusCode) -> Self {
        Arc::make_mut(&mut self.own).while_draining = status;
        self
    }

    /// Answers with metrics under this path: what `render` gives, in the text format that Prometheus scrapes. With the
    /// feature `metrics`, those of the lifecycle and of the servers are brought up to date before.
    ///
    /// Clients can ask for it as well; [`Admin`](crate::Admin) has an address of its own for it.
    #[must_use]
    pub fn metrics_at(
        mut self,
        path: impl Into<Cow<'static, str>>,
        render: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.own).metrics = Some((path.into(), Arc::new(render)));
        self
    }
}

impl Own {
    /// The answer, if it is ours to give.
    fn answer(&self, method: &Method, path: &str) -> Option<Response<Full<Bytes>>> {
        if self.liveness.as_deref() == Some(path) {
            return Some(answer(method, StatusCode::OK, TEXT, "alive\n"));
        }
        if self.readiness.as_deref() == Some(path) {
            let (status, text) = match self.stop.phase() {
                Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
                Phase::Running => (StatusCode::OK, "ready\n"),
                _ => (self.while_draining, "not ready\n"),
            };
            return Some(answer(method, status, TEXT, text));
        }
        let (_, render) = self.metrics.as_ref().filter(|(own, _)| own == path)?;
        #[cfg(feature = "metrics")]
        self.stop.record_metrics();
        Some(answer(method, StatusCode::OK, PROMETHEUS, render()))
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own")
            .field("liveness", &self.liveness)
            .field("readiness", &self.readiness)
            .field("while_draining", &self.while_draining)
            .field("metrics", &self.metrics.as_ref().map(|(path, _)| path))
            .finish_non_exhaustive()
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
        match self.own.answer(request.method(), request.uri().path()) {
            None => HealthFuture::Service { future: self.service.call(request) },
            answer @ Some(_) => HealthFuture::Own { answer },
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

/// <https://prometheus.io/docs/instrumenting/exposition_formats/>
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An answer to GET and HEAD, and none to other methods.
fn answer(
    method: &Method,
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(content.into()));
    *response.status_mut() = status;
    response.extensions_mut().insert(Probe);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !matches!(*method, Method::GET | Method::HEAD) {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        *response.body_mut() = Full::from("GET and HEAD only\n");
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
