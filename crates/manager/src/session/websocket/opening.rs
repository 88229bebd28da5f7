//! From HTTP to a WebSocket.

use super::WebSocket;
use crate::core::Core;
use crate::http::Request;
use crate::session::{Protocol, Session};
use crate::websocket::{Role, UpgradeError};

/// The golden ratio's fraction: its multiples are spread evenly, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

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
        let share = (id as f64 * GOLDEN).fract();
        let websocket = WebSocket::new(Role::Server, request.uri(), upgraded.since, upgraded.work, share);
        self.protocol = Protocol::WebSocket(Box::new(websocket));
        Ok(request)
    }

    /// The program knows that it is open.
    pub(crate) fn ws_opened(&mut self) {
        if let Protocol::WebSocket(websocket) = &mut self.protocol {
            websocket.opening = false;
        }
    }
}
