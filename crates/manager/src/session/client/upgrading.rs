//! A request that is to become a WebSocket.

use super::{Client, Reading};
use crate::core::Core;
use crate::error::RequestError;
use crate::http::{AnswerHead, Ask, Response};
use crate::session::{Buffers, Protocol, Session, Step};
use crate::websocket::{Hope, UpgradeError, check_fields};
use bytes::Bytes;
use exeunt_lifecycle::Work;
use std::time::Instant;

/// What a WebSocket begins with.
pub(crate) struct Joined {
    pub(crate) uri: String,
    /// When it was asked for.
    pub(crate) since: Instant,
    pub(crate) work: Option<Work>,
    pub(crate) now: Instant,
}

impl Session {
    /// Asks for a WebSocket, before anything else is asked.
    pub(crate) fn ws_ask(
        &mut self,
        core: &Core,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), UpgradeError> {
        let Protocol::Client(client) = &mut self.protocol else { return Err(UpgradeError::NotHttp) };
        check_fields(headers)?;
        let hope = Hope::new(headers);
        let fields = [&hope.headers()[..], headers].concat();
        let ask = Ask { method: "GET", uri, headers: &fields, body: b"" };
        match client.request(core, &mut self.buffers, ask, |_| Ok(())) {
            Ok(()) => {}
            Err(RequestError::Field(error)) => return Err(error.into()),
            Err(error) => return Err(UpgradeError::Request(error)),
        }
        client.websocket = Some(Box::new(hope));
        Ok(())
    }
}

impl Client {
    /// A 101 has come: whether that is what was asked for.
    pub(super) fn opens(&mut self, buffers: &mut Buffers, head: AnswerHead) -> Result<Step, String> {
        let length = head.len.min(buffers.recv.len());
        let response = Response::new(buffers.recv.split_to(length).freeze(), head, Bytes::new());
        let granted = self.websocket.as_ref().map_or(Ok(()), |hope| hope.is_granted(&response));
        granted.map_err(|why| self.about(why))?;
        // What the program would write now is neither HTTP nor a frame.
        self.reading = Reading::Over;
        Ok(Step::WsOpen(response))
    }

    /// What the WebSocket goes on with, once that was said.
    pub(crate) fn take_websocket(&mut self) -> Option<Joined> {
        self.websocket = None;
        let call = self.calls.pop_front()?;
        let uri = call.asked.name.strip_prefix("GET ").unwrap_or_default().to_owned();
        Some(Joined { uri, since: call.since.unwrap_or(self.seen), work: self.work.take(), now: self.seen })
    }

    /// It was to be a WebSocket, and was answered in another way: told once.
    pub(super) fn is_refused(&mut self) -> Option<Step> {
        let refused = self.calls.is_empty() && self.websocket.take().is_some();
        refused.then(|| Step::Failed("the server has answered, and opened no WebSocket".to_owned()))
    }
}
