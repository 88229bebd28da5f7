//! The task of one connection: hyper's part of it, and the drain machine's clock.

use super::exchange::{Exchange, order};
use super::io::Watched;
use super::respond::Respond;
use super::tasks::Tasks;
use crate::alarm::Alarm;
use crate::http1::Preface;
use crate::transport::Transport;
use crate::{BoxError, HttpService};
use http_body::Body;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Serves one connection until it is over, and closes it by ending.
pub(crate) async fn serve<T, S, B>(preface: Preface<T, S>, exchange: Arc<Exchange>)
where
    T: Transport,
    S: HttpService<B>,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let Preface { transport, read, service } = preface;
    let io = TokioIo::new(Watched::new(transport, read, Arc::clone(&exchange)));
    let respond: Respond<S, B> = Respond::new(service, Arc::clone(&exchange));
    let mut builder = http2::Builder::new(Tasks(Arc::clone(&exchange)));
    builder.timer(TokioTimer::new());
    let limits = exchange.common().limits();
    limits.http2.apply(&mut builder);
    builder.max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX));
    let mut http = pin!(builder.serve_connection(io, respond));
    let mut alarm = Alarm::default();
    // A spawned task is woken by one waker all its life, here and in `Alarm`.
    poll_fn(|cx| {
        exchange.run_by(cx.waker());
        Poll::Ready(())
    })
    .await;
    let part = |cx: &mut Context<'_>| {
        if exchange.take(order::GO_AWAY) {
            http.as_mut().graceful_shutdown();
        }
        http.as_mut().poll(cx)
    };
    match until_closed(&exchange, &mut alarm, part).await {
        None | Some(Ok(())) => {}
        Some(Err(error)) => {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::debug!(?exchange, error, "the connection broke");
        }
    }
}

/// Drives `part` to its end, with the machine's clock. `None`: the machine has closed the connection before.
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
            let orders = exchange.orders();
            if orders & order::CLOSE != 0 {
                return Poll::Ready(None);
            }
            if let Poll::Ready(outcome) = part(cx) {
                return Poll::Ready(Some(outcome));
            }
            // Orders that came of what has passed meanwhile.
            if exchange.orders() & !orders != 0 {
                continue;
            }
            if alarm.set(exchange.wake_at(), cx).is_pending() {
                return Poll::Pending;
            }
            exchange.tick();
        }
    })
    .await
}
