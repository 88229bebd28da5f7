//! What all connections of a server share.

use crate::body::BodyLimit;
use crate::draining::Streams;
use crate::peer::{ConnectInfo, Peer};
use crate::{Late, Limits};
use exeunt_drain::Telling;
use exeunt_lifecycle::{Scope, Stop};
use http::{Extensions, Method, Uri};
use std::sync::Arc;

/// What the program has chosen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) telling: Telling,
    pub(crate) connect_info: Option<ConnectInfo>,
    pub(crate) body_limit: Option<BodyLimit>,
    pub(crate) late: Late,
}

/// What every connection of a server knows of it.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) settings: Settings,
    /// Counts the work in flight.
    pub(crate) scope: Arc<Scope>,
    pub(crate) stop: Stop,
    /// Tells those who hold a stream.
    pub(crate) streams: Arc<Streams>,
}

impl Common {
    pub(crate) fn new(settings: Settings, scope: Scope) -> Self {
        let stop = scope.stop();
        let streams = Streams::new(stop.clone(), settings.telling);
        Self { settings, streams, stop, scope: Arc::new(scope) }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// How many bytes the body of that request may have.
    pub(crate) fn body_limit(&self, method: &Method, uri: &Uri) -> u64 {
        let chosen = self.settings.body_limit.as_ref().and_then(|limit| limit.of(method, uri));
        chosen.unwrap_or(self.limits().body_bytes)
    }

    /// Tells a request's handler by which connection it came.
    pub(crate) fn introduce(&self, peer: &Peer, extensions: &mut Extensions) {
        extensions.insert(peer.clone());
        if let Some(info) = &self.settings.connect_info {
            info.insert(peer, extensions);
        }
    }
}
