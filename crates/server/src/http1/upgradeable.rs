//! hyper's connection, in the two forms that it has.
//!
//! A connection *with upgrades* hands its stream to whoever holds an `OnUpgrade`, at its end, if any request on it has
//! ever offered an upgrade, whatever the answer was. So it becomes one only when an upgrade was granted; one that was not
//! ends by rule D7, and whoever waits for its upgrade gets an error.

use crate::http1::exchange::Exchange;
use crate::http1::respond::Respond;
use crate::http1::stream::Stream;
use crate::http1::task::Preface;
use crate::transport::Transport;
use crate::{BoxError, HttpService};
use http_body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::task::{Context, Poll};

type Io<T> = TokioIo<Stream<T>>;

pub(crate) enum Http<T, S, B>
where
    T: Transport,
    S: HttpService<B>,
    B: Body + 'static,
{
    Plain(http1::Connection<Io<T>, Respond<S, B>>),
    Upgradeable(http1::UpgradeableConnection<Io<T>, Respond<S, B>>),
    /// While it changes.
    Neither,
}

impl<T, S, B> Http<T, S, B>
where
    T: Transport,
    S: HttpService<B>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, exchange: &Exchange) -> Poll<hyper::Result<()>> {
        loop {
            let polled = match self {
                Self::Plain(http) => Pin::new(http).poll(cx),
                Self::Upgradeable(http) => return Pin::new(http).poll(cx),
                Self::Neither => return Poll::Ready(Ok(())),
            };
            if polled.is_ready() || !exchange.is_lent() {
                return polled;
            }
            // The answer waits for this.
            if let Self::Plain(http) = std::mem::replace(self, Self::Neither) {
                *self = Self::Upgradeable(http.with_upgrades());
            }
        }
    }

    /// What goes on as HTTP/2.
    pub(crate) fn into_preface(self) -> Option<Preface<T, S>> {
        let Self::Plain(http) = self else { return None };
        let parts = http.into_parts();
        let (transport, read) = parts.io.into_inner().into_http2()?;
        Some(Preface { transport, read, service: parts.service.into_service() })
    }

    /// The stream, if it is HTTP's to end.
    pub(crate) fn into_stream(self) -> Option<Stream<T>> {
        match self {
            Self::Plain(http) => Some(http.into_parts().io.into_inner()),
            Self::Upgradeable(_) | Self::Neither => None,
        }
    }
}
