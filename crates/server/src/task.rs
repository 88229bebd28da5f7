//! The task of one connection: hyper's part of it, and the drain machine's clock.

use crate::exchange::{Exchange, order};
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
    let mut alarm = Alarm::default();
    // A spawned task is woken by one waker all its life, here and in `Alarm`.
    poll_fn(|cx| {
        exchange.run_by(cx.waker());
        Poll::Ready(())
    })
    .await;
    let outcome = poll_fn(|cx| {
        if alarm.rings() {
            exchange.tick();
        }
        loop {
            if exchange.is_ordered(order::CLOSE) {
                return Poll::Ready(Ok(()));
            }
            if let Poll::Ready(outcome) = http.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            if alarm.set(exchange.wake_at(), cx).is_pending() {
                return Poll::Pending;
            }
            exchange.tick();
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
    /// Whether its time has come since it was set.
    fn rings(&self) -> bool {
        self.sleep.as_ref().is_some_and(|sleep| sleep.is_elapsed())
    }

    /// Sees to it that the task is woken at `at` or sooner. Ready: that is now.
    fn set(&mut self, at: Option<std::time::Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at.map(Instant::from) else { return Poll::Pending };
        match &mut self.sleep {
            Some(sleep) if sleep.deadline() <= at && !sleep.is_elapsed() => return Poll::Pending,
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(Box::pin(sleep_until(at))),
        }
        // Polled when it is set and not again.
        self.sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
