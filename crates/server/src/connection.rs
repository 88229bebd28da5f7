//! One connection, from its accept to its end.

use crate::common::Common;
use crate::http1::{self, Exchange};
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
    async move {
        http1::serve(transport, service, exchange).await;
        drop(entry);
    }
}
