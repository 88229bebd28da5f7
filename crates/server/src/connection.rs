//! One connection, from its accept to its end.

use crate::common::Common;
use crate::http1::{self, Exchange};
use crate::http2;
use crate::peer::Peer;
use crate::registry::Registry;
use crate::transport::Transport;
use crate::{BoxError, HttpService};
use http_body::Body;
use std::sync::Arc;

/// Serves a connection until it is over. It is entered before the first poll: whoever accepts it and is told of the
/// drain in the next moment has told it, too.
pub(crate) fn serve<T, S, B>(
    transport: T,
    peer: Peer,
    service: S,
    common: &Arc<Common>,
    registry: &Arc<Registry>,
) -> impl Future<Output = ()> + Send + use<T, S, B>
where
    T: Transport,
    S: HttpService<B>,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let exchange = Arc::new(Exchange::new(Arc::clone(common), peer));
    let entry = registry.enter(Arc::<Exchange>::clone(&exchange));
    let (common, draining) = (Arc::clone(common), exchange.draining().clone());
    async move {
        let peer = exchange.peer().clone();
        if let Some(preface) = http1::serve(transport, service, exchange).await {
            let exchange = Arc::new(http2::Exchange::new(common, peer, draining));
            entry.replace(Arc::<http2::Exchange>::clone(&exchange));
            // In a place of its own: connections of HTTP/1 need not carry it.
            Box::pin(http2::serve(preface, exchange)).await;
        }
        drop(entry);
    }
}
