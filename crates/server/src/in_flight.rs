//! What a handler may know of the request that it answers: that it is counted, and may shield what it does.

use crate::body::BodyNews;
use exeunt_lifecycle::{Phase, Shield, Stop, StopImminent};
use std::fmt;
use std::sync::Weak;
use std::time::Duration;

/// The request that a handler is answering, among its [extensions](http::Request::extensions): in axum, the argument
/// `Extension(request): Extension<InFlight>`.
///
/// The server counts it until its response is with the kernel, and reports it, cut or not, as one piece of work; so the
/// handler need count nothing itself to be waited for. Clones are the same request, and keep neither it nor the server
/// busy.
///
/// ```
/// # use exeunt_server::{InFlight, lifecycle::StopImminent};
/// # use http::{Request, Response};
/// # use std::time::Duration;
/// # async fn transfer() {}
/// async fn order<B>(request: Request<B>) -> Result<Response<String>, StopImminent> {
///     // `Server` puts it there.
///     if let Some(request) = request.extensions().get::<InFlight>() {
///         let _transaction = request.shield(Duration::from_secs(2))?;
///         transfer().await; // debit and credit
///     }
///     Ok(Response::new("ordered".to_owned()))
/// }
/// ```
#[derive(Clone)]
pub struct InFlight {
    /// Whoever keeps this longer than the request does not keep the server.
    counted: Weak<dyn Counted>,
    number: u64,
    stop: Stop,
}

/// Whoever counts requests: a connection of HTTP/1, or a stream of HTTP/2.
pub(crate) trait Counted: Send + Sync {
    /// A shield of that request's own work; `None` when it is over.
    #[track_caller]
    fn shield(&self, request: u64, budget: Duration) -> Option<Result<Shield, StopImminent>>;

    /// That request's body, read in whatever task, has news; of one that is over they are to be ignored.
    fn body(&self, request: u64, news: BodyNews);
}

impl InFlight {
    pub(crate) fn new(counted: Weak<dyn Counted>, number: u64, stop: Stop) -> Self {
        Self { counted, number, stop }
    }

    /// Protects a part of this request from the stop, such as a transaction, until the [`Shield`] is dropped, and for
    /// `budget` at most: [`Work::shield`](exeunt_lifecycle::Work::shield) of the request's own work.
    ///
    /// It is granted after the stop request too, while the request is being drained: then it ends with the drain
    /// deadline, which it does not move, so give it less time than the grace has. One that was taken before moves the
    /// drain deadline to its end. A stop alone does not break it at
    /// [`allow_break`](Shield::allow_break).
    ///
    /// When the request is over, in a task that outlives its response, this is [`Stop::shield`].
    ///
    /// # Errors
    ///
    /// [`StopImminent`] once the request was cut; and after the stop request, when it is over.
    #[track_caller]
    pub fn shield(&self, budget: Duration) -> Result<Shield, StopImminent> {
        let counted = self.counted.upgrade();
        match counted.and_then(|counted| counted.shield(self.number, budget)) {
            Some(outcome) => outcome,
            None => self.stop.shield(budget),
        }
    }

    /// Whether the drain has begun, and what can be put off or cut short should be. One atomic load. To wait for it:
    /// `request.stop().reached(Phase::Draining)`.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.stop.phase() >= Phase::Draining
    }

    /// The stop of the program that serves it.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("is_draining", &self.is_draining()).finish_non_exhaustive()
    }
}
