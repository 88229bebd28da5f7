//! Requests, in all the ways in which they are made.

use super::{Call, Client, Reading};
use crate::core::Core;
use crate::error::{AnswerError, ConnectionClosed, RequestError, SendError};
use crate::http::{self, Ask};
use crate::session::Buffers;
use bytes::BytesMut;
use std::time::Instant;

impl Client {
    /// Writes what the program says, whatever it is.
    pub(crate) fn send(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        bytes: &[u8],
    ) -> Result<(), ConnectionClosed> {
        if self.deaf || matches!(self.reading, Reading::Over) {
            return Err(ConnectionClosed);
        }
        buffers.send.extend_from_slice(bytes);
        if matches!(self.reading, Reading::Switching) {
            return Ok(());
        }
        let Self { asking, calls, work, .. } = self;
        asking.write(bytes, !calls.is_empty(), |asked| {
            calls.push_back(Call { asked, since: None });
            if work.is_none() {
                *work = core.begin_work();
            }
        });
        Ok(())
    }

    /// Writes a request; `room` bytes may be written.
    pub(crate) fn request(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        ask: Ask<'_>,
        room: impl FnOnce(usize) -> Result<(), SendError>,
    ) -> Result<(), RequestError> {
        if self.asking.is_amid() || self.asking.is_closed() {
            return Err(RequestError::Unfinished);
        }
        let mut out = BytesMut::new();
        http::ask(&mut out, ask, &self.authority)?;
        room(out.len())?;
        if self.calls.is_empty() {
            self.asking.begins();
        }
        Ok(self.send(core, buffers, &out).map_err(SendError::from)?)
    }

    /// Writes one chunk of a chunked request.
    pub(crate) fn chunk(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        bytes: &[u8],
    ) -> Result<(), AnswerError> {
        if !self.asking.is_chunking() {
            return Err(AnswerError::NotChunked);
        }
        let mut framed = BytesMut::new();
        http::chunk(&mut framed, bytes);
        Ok(self.send(core, buffers, &framed)?)
    }

    /// Something has gone, or come.
    pub(crate) fn stirs(&mut self, now: Instant) {
        self.last_byte = now;
    }
}
