//! Metrics of a server's connections, through the `metrics` facade. They are counted when somebody asks for them: a
//! connection or a request never looks at a recorder.
//!
//! | name | sort | labels | meaning |
//! |---|---|---|---|
//! | `exeunt_connections` | gauge | `server`, `protocol`, `state` | open connections: `http/1.1` and `http/2`; `idle`, `busy` with a request, or `upgraded` to a stream of the program's |
//! | `exeunt_connections_total` | counter | `server` | connections that were accepted |

use crate::registry::Registry;
use exeunt_lifecycle::{Scope, Stop, Watch};
use std::sync::{Arc, Weak};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    Idle,
    Busy,
    Upgraded,
}

/// Open connections, by protocol and activity, and how many there ever were.
#[derive(Debug, Default)]
pub(crate) struct Census {
    open: [[u32; 3]; 2],
    accepted: u64,
}

impl Census {
    /// Of none that is open.
    pub(crate) fn of(accepted: u64) -> Self {
        Self { accepted, ..Self::default() }
    }

    pub(crate) fn count(&mut self, (protocol, activity): (Protocol, Activity)) {
        let count = self.open.get_mut(protocol as usize).and_then(|states| states.get_mut(activity as usize));
        if let Some(count) = count {
            *count += 1;
        }
    }

    fn record(&self, server: &str) {
        for (protocol, states) in ["http/1.1", "http/2"].into_iter().zip(self.open) {
            for (state, count) in ["idle", "busy", "upgraded"].into_iter().zip(states) {
                let labels = [
                    ("server", server.to_owned()),
                    ("protocol", protocol.to_owned()),
                    ("state", state.to_owned()),
                ];
                metrics::gauge!("exeunt_connections", &labels).set(f64::from(count));
            }
        }
        metrics::counter!("exeunt_connections_total", "server" => server.to_owned()).absolute(self.accepted);
    }
}

/// Counts a server's connections, whenever the lifecycle's metrics are brought up to date.
#[derive(Debug)]
pub(crate) struct Counting {
    registry: Weak<Registry>,
    server: Arc<str>,
    #[expect(dead_code, reason = "held for its drop")]
    watch: Watch,
}

impl Counting {
    pub(crate) fn of(registry: &Arc<Registry>, scope: &Scope, stop: &Stop) -> Self {
        let (registry, server) = (Arc::downgrade(registry), Arc::<str>::from(scope.name()));
        let watch = stop.on_record_metrics({
            let (registry, server) = (Weak::clone(&registry), Arc::clone(&server));
            move || {
                if let Some(registry) = registry.upgrade() {
                    registry.census().record(&server);
                }
            }
        });
        Self { registry, server, watch }
    }
}

impl Drop for Counting {
    /// Nobody would count again, and those that were open last would seem to be for ever.
    fn drop(&mut self) {
        let accepted = self.registry.upgrade().map_or(0, |registry| registry.census().accepted);
        Census::of(accepted).record(&self.server);
    }
}
