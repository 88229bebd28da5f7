//! From HTTP to a WebSocket.

use super::WebSocket;
use crate::core::{Core, Stage};
use crate::http::Request;
use crate::session::{Joined, Protocol, Session};
use crate::websocket::{Role, UpgradeError};

impl Session {
    /// Answers the upgrade, and goes on as a WebSocket; with the request, which the program is to be told of.
    /// `id`: the connection's.
    pub(crate) fn ws_upgrade(
        &mut self,
        core: &Core,
        headers: &[(&str, &str)],
        id: u64,
    ) -> Result<Request, UpgradeError> {
        if self.is_closing() {
            return Err(crate::ConnectionClosed.into());
        }
        let Protocol::Http(http) = &mut self.protocol else { return Err(UpgradeError::NotHttp) };
        let upgraded = http.upgrade(core, &mut self.buffers, headers)?;
        let request = upgraded.request;
        let websocket = WebSocket::new(Role::Server, request.uri(), upgraded.since, upgraded.work, share(id));
        self.protocol = Protocol::WebSocket(Box::new(websocket));
        Ok(request)
    }

    /// The server has agreed, and the program is to be told. `id`: the connection's.
    pub(crate) fn ws_joins(&mut self, core: &Core, id: u64) {
        let Protocol::Client(client) = &mut self.protocol else { return };
        let Some(Joined { uri, since, work, now }) = client.take_websocket() else { return };
        let mut websocket = WebSocket::new(Role::Client, &uri, since, work, share(id));
        websocket.last_byte = now;
        if core.stage() >= Stage::Draining && self.heard_of_drain {
            websocket.draining = Some(now);
        }
        self.protocol = Protocol::WebSocket(Box::new(websocket));
    }

    /// The program knows that it is open.
    pub(crate) fn ws_opened(&mut self) {
        if let Protocol::WebSocket(websocket) = &mut self.protocol {
            websocket.opening = false;
        }
    }
}

/// Which part of a spread is whose: multiples of the golden ratio are spread evenly, however many there are.
fn share(id: u64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    (id as f64 * GOLDEN).fract()
}
