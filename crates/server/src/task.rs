//! The task of one connection: hyper's part of it, and the drain machine's clock.

use crate::exchange::Exchange;
use crate::io::Watched;
use crate::respond::Respond;
use crate::transport::Transport;
use crate::{BoxError, HttpService};
use http_body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// Serves one connection until it is over, and closes it by ending.
pub(crate) async fn serve<T, S, B>(transport: T, service: S, exchange: Arc<Exchange>)
where
    T: Transport,
    S: HttpService<B>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    let io = TokioIo::new(Watched::new(transport, Arc::clone(&exchange)));
    let respond: Respond<S, B> = Respond::new(service, Arc::clone(&exchange));
    // `half_close`: a client that shuts down its write side behind a request still gets its answer.
    let mut http = pin!(http1::Builder::new().half_close(true).serve_connection(io, respond));
    let mut alarm = pin!(Alarm::default());
    let outcome = poll_fn(|cx| {
        // Registered before the state is read: what the server changes after that wakes us.
        exchange.task.register(cx.waker());
        loop {
            if exchange.tick().close {
                return Poll::Ready(Ok(()));
            }
            if let Poll::Ready(outcome) = http.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            match exchange.wake_at() {
                Some(at) if alarm.as_mut().poll(at.into(), cx).is_ready() => {}
                _ => return Poll::Pending,
            }
        }
    })
    .await;
    if let Err(error) = outcome {
        tracing::debug!(?exchange, error = &error as &dyn std::error::Error, "the connection broke");
    }
}

/// A clock that is seldom set: it may ring too early, never too late.
///
/// Each request moves the end of the idle time, and moving a timer costs a lock of the runtime; so a ring that comes
/// early is answered with another look at the machine instead.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            None => self.sleep = Some(Box::pin(sleep_until(at))),
            Some(sleep) if at < sleep.deadline() || sleep.is_elapsed() => sleep.as_mut().reset(at),
            Some(_) => {}
        }
        self.sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}
