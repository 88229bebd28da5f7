//! The task of one connection: hyper's part of it, and the drain machine's clock.

use crate::alarm::Alarm;
use crate::http1::exchange::{Exchange, order};
use crate::http1::respond::Respond;
use crate::http1::stream::Stream;
use crate::http1::tunnel::Tunnel;
use crate::http1::upgradeable::Http;
use crate::transport::Transport;
use crate::{BoxError, HttpService};
use bytes::Bytes;
use http_body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite as _;

/// Serves one connection until it is over, and closes it by ending; or answers what to go on with, if the peer speaks
/// HTTP/2.
pub(crate) async fn serve<T, S, B>(transport: T, service: S, exchange: Arc<Exchange>) -> Option<Preface<T, S>>
where
    T: Transport,
    S: HttpService<B>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    let io = TokioIo::new(Stream::new(transport, Arc::clone(&exchange)));
    let respond: Respond<S, B> = Respond::new(service, Arc::clone(&exchange));
    let mut http = http1::Builder::new();
    exchange.common().limits().apply(&mut http);
    // `half_close`: a client that shuts down its write side behind a request still gets its answer.
    let mut http = Http::Plain(http.half_close(true).serve_connection(io, respond));
    let mut alarm = Alarm::default();
    // A spawned task is woken by one waker all its life, here and in `Alarm`.
    poll_fn(|cx| {
        exchange.run_by(cx.waker());
        Poll::Ready(())
    })
    .await;
    let ended = until_closed(&exchange, &mut alarm, |cx| http.poll(cx, &exchange)).await;
    if let Some(tunnel) = exchange.lent::<Tunnel<T>>() {
        drop(http);
        // In a box: few connections come here, and all would make room for it.
        Box::pin(until_returned(&tunnel, &exchange, alarm)).await;
        return None;
    }
    match ended {
        None if exchange.is_ordered(order::HTTP2) && !exchange.is_ordered(order::CLOSE) => {
            return http.into_preface();
        }
        None => {}
        Some(Ok(())) => {
            // Where the client has ever offered an upgrade (as curl --http2 does), hyper leaves out the shutdown, and
            // with it the linger. Where it did not, this has nothing left to do.
            let mut stream = http.into_stream()?;
            let shutdown = |cx: &mut Context<'_>| Pin::new(&mut stream).poll_shutdown(cx);
            // What does not work in a shutdown is the peer's reset.
            until_closed(&exchange, &mut alarm, shutdown).await;
        }
        Some(Err(error)) if error.is_user() => {
            tracing::error!(?exchange, error = chain(&error), "the response's body failed: it was torn off");
        }
        Some(Err(error)) => tracing::debug!(?exchange, error = chain(&error), "the connection broke"),
    }
    None
}

/// A connection whose peer has begun with the preface of HTTP/2 (RFC 9113 §3.4).
pub(crate) struct Preface<T, S> {
    pub(crate) transport: T,
    /// What was read, the preface first.
    pub(crate) read: Bytes,
    pub(crate) service: S,
}

/// The program has the stream: sees it through to its end (rules D6 to D8).
async fn until_returned<T: Transport>(tunnel: &Tunnel<T>, exchange: &Exchange, mut alarm: Alarm) {
    let returned = until_closed(exchange, &mut alarm, |cx| tunnel.poll_released(cx)).await;
    if returned.is_none() {
        tunnel.cut();
        // It was woken, and may use what closes behind it until it has let go.
        poll_fn(|cx| tunnel.poll_released(cx)).await;
    }
    exchange.returned();
    if let Some(Some(mut stream)) = returned {
        until_closed(exchange, &mut alarm, |cx| Pin::new(&mut stream).poll_shutdown(cx)).await;
    }
}

/// Drives `part` to its end, with the machine's clock. `None`: the machine has closed the connection before, or it goes on
/// as HTTP/2.
async fn until_closed<T>(
    exchange: &Exchange,
    alarm: &mut Alarm,
    mut part: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    poll_fn(|cx| {
        if alarm.rings() {
            exchange.tick();
        }
        loop {
            if exchange.is_ordered(order::CLOSE) {
                return Poll::Ready(None);
            }
            if let Poll::Ready(outcome) = part(cx) {
                return Poll::Ready(Some(outcome));
            }
            if exchange.is_ordered(order::HTTP2) {
                return Poll::Ready(None);
            }
            if alarm.set(exchange.wake_at(), cx).is_pending() {
                return Poll::Pending;
            }
            exchange.tick();
        }
    })
    .await
}

fn chain(error: &hyper::Error) -> &(dyn std::error::Error + 'static) {
    error
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
