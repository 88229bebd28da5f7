//! What a WebSocket may do.

use super::Connection;
use crate::error::SendError;
use crate::event::Event;
use crate::websocket::{UpgradeError, WsHandshake, WsOp};
use std::time::Instant;

/// As a `WebSocket` (RFC 6455).
impl Connection {
    /// Whether it speaks in messages.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        let session = self.lock();
        session.is_open() && session.is_websocket()
    }

    /// Answers the request, which asks for a WebSocket, with 101 and these headers (a subprotocol, say); tells
    /// [`Event::WsOpen`] in this thread before it returns; and from then on the connection is a WebSocket. As for answers: in
    /// the request's handler, or later, from any thread. In `WsOpen` and behind it messages may be sent at once.
    ///
    /// A request that is no upgrade is answered 426, and any once a stop was requested, 503 (rule D2).
    ///
    /// # Errors
    ///
    /// It is no WebSocket then; see [`UpgradeError`].
    pub fn ws_upgrade(&self, headers: &[(&str, &str)]) -> Result<(), UpgradeError> {
        let request = self.try_change(|session, core| match session.has_answered(self.request) {
            true => Err(UpgradeError::Answered),
            false => session.ws_upgrade(core, headers, self.id()),
        })??;
        if let Some(core) = self.core() {
            self.of(None).tell(&core, Event::WsOpen(WsHandshake::Asked(&request)));
        }
        self.change(|session, _| session.ws_opened());
        Ok(())
    }

    /// Sends a message, or a control frame. A message is one frame.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub fn ws_send(&self, op: WsOp, data: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.try_change(|session, core| session.ws_send(core, op, data.as_ref()))?
    }

    /// Whether no more messages are wanted at present: none is told, and the peer is not read, and held back by TCP's flow
    /// control; his times (`body_stall`, `ws_ping`) do not run. For whoever takes messages more slowly than a peer may send
    /// them. What is whole by then waits, in order. It ends with the program's wish, and with our Close, be it a drain's: that is
    /// said when nothing waits any more. That a peer is gone is found out by reading him, or writing to him.
    pub fn pause_messages(&self, paused: bool) {
        let now = Instant::now();
        self.change(|session, _| session.pause_messages(paused, now));
    }

    /// Says Close, with a code (RFC 6455 §7.4: 1000 if nothing is wrong) and a reason of 123 bytes at most. What the peer
    /// sent before his Close is still told, then that; then the connection ends. His Close is awaited for
    /// [`Limits::ws_close`](crate::Limits::ws_close).
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub fn ws_close(&self, code: u16, reason: &str) -> Result<(), SendError> {
        self.try_change(|session, core| session.ws_close(core, code, reason))?
    }
}
