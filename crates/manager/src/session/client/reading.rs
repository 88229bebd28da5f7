//! Responses out of bytes.

use super::{Answer, Body, Client, Incoming, Reading};
use crate::core::Core;
use crate::error::StreamError;
use crate::http::{AnswerHead, AskedAs, BodyReader, BodyStream, Ends, Response};
use crate::limits::Limits;
use crate::session::{Buffers, Over, Step};
use bytes::{Buf, Bytes};
use exeunt_drain::Framing;
use std::time::Instant;

/// Interim responses to one request, at most. Most servers send none, and none sends many.
const INTERIM: u32 = 100;

const TOO_LONG: &str = "the body of the response is longer than it may be";

impl Client {
    pub(crate) fn arrived(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        now: Instant,
        bytes: &[u8],
    ) -> Option<Step> {
        (self.seen, self.last_byte, self.heard) = (now, now, true);
        buffers.recv.extend_from_slice(bytes);
        self.step(core, buffers)
    }

    /// The next thing to tell of what is in the buffer.
    pub(super) fn step(&mut self, core: &Core, buffers: &mut Buffers) -> Option<Step> {
        let step = match &self.reading {
            Reading::Head => self.head(core, buffers),
            Reading::Body(incoming) if incoming.paused => Ok(None),
            Reading::Body(_) => self.body(core, buffers),
            Reading::Switching | Reading::Over => Ok(None),
        };
        step.unwrap_or_else(|why| self.fail(buffers, why))
    }

    fn head(&mut self, core: &Core, buffers: &mut Buffers) -> Result<Option<Step>, String> {
        loop {
            if buffers.recv.is_empty() {
                buffers.release();
                return Ok(None);
            }
            let Some(call) = self.calls.front() else {
                return Err("the server has sent something that it was not asked for".to_owned());
            };
            self.head_since.get_or_insert(self.seen);
            let asked = AskedAs { head_only: call.asked.head_only, connect: call.asked.connect };
            let parsed = self.parser.parse_answer(&buffers.recv, core.limits.head_bytes, asked);
            let Some(head) = parsed.map_err(|why| self.about(why))? else { return Ok(None) };
            if head.is_interim() {
                self.interim += 1;
                if self.interim > INTERIM {
                    return Err(self.about("the server has sent a hundred interim responses, and no other"));
                }
                buffers.recv.advance(head.len);
                self.head_since = None;
                continue;
            }
            if head.status == 101 && !call.asked.upgrade {
                return Err(self.about("the server has switched protocols unasked"));
            }
            (self.head_since, self.interim) = (None, 0);
            if head.status == 101 && self.websocket.is_some() {
                return self.opens(buffers, head).map(Some);
            }
            return Ok(Some(self.begin(core, buffers, head)));
        }
    }

    /// A head is whole: what to tell of it.
    fn begin(&mut self, core: &Core, buffers: &mut Buffers, head: AnswerHead) -> Step {
        let raw = Bytes::copy_from_slice(buffers.recv.get(..head.len).unwrap_or_default());
        let most = core.limits.body_bytes as u64;
        let body = match head.ends {
            Ends::Framed(framing) => Body::Collected(BodyReader::new(framing, most)),
            Ends::Switches => Body::Collected(BodyReader::new(Framing::None, most)),
            Ends::WithConnection => Body::CollectedToEnd,
        };
        let response = Response::new(raw, head.clone(), Bytes::new());
        self.reading =
            Reading::Body(Box::new(Incoming { head, body, response: response.clone(), paused: false }));
        Step::Answer(Answer::Head(response))
    }

    /// From here on the body of the present response is told in pieces. `most`: how many bytes there may be.
    pub(crate) fn stream_body(&mut self, buffers: &mut Buffers, most: u64) -> Result<(), StreamError> {
        let Reading::Body(incoming) = &mut self.reading else { return Err(StreamError::TooLate) };
        incoming.body = match (&incoming.body, incoming.head.ends) {
            (Body::Collected(_), Ends::Framed(framing)) => Body::Streamed(BodyStream::new(framing, most)),
            (Body::Collected(_), Ends::Switches) => Body::Streamed(BodyStream::new(Framing::None, most)),
            (Body::CollectedToEnd, _) => Body::StreamedToEnd { left: most },
            _ => return Err(StreamError::TooLate),
        };
        buffers.recv.advance(incoming.head.len.min(buffers.recv.len()));
        Ok(())
    }

    /// What is in the buffer of a body, if there is something to tell of it.
    fn body(&mut self, core: &Core, buffers: &mut Buffers) -> Result<Option<Step>, String> {
        let Reading::Body(incoming) = &mut self.reading else { return Ok(None) };
        let most = core.limits.body_bytes;
        match &mut incoming.body {
            Body::Collected(reader) => {
                let behind = buffers.recv.get(incoming.head.len..).unwrap_or_default();
                match reader.read(behind) {
                    Ok(None) => Ok(None),
                    Ok(Some(length)) => Ok(Some(self.whole(buffers, length))),
                    Err(refusal) if refusal.status == 413 => Err(self.about(TOO_LONG)),
                    Err(refusal) => Err(self.about(refusal.why)),
                }
            }
            Body::CollectedToEnd if buffers.recv.len().saturating_sub(incoming.head.len) > most => {
                Err(self.about(TOO_LONG))
            }
            Body::CollectedToEnd => Ok(None),
            Body::Streamed(stream) => match stream.take(&mut buffers.recv) {
                Err(refusal) if refusal.status == 413 => Err(self.about(TOO_LONG)),
                Err(refusal) => Err(self.about(refusal.why)),
                Ok(piece) if stream.is_done() => Ok(Some(self.last_piece(core, buffers, piece))),
                Ok(piece) => Ok(tell_piece(buffers, piece)),
            },
            Body::StreamedToEnd { left } => {
                let Some(rest) = left.checked_sub(buffers.recv.len() as u64) else {
                    return Err(self.about(TOO_LONG));
                };
                *left = rest;
                let piece = buffers.recv.split().freeze();
                Ok(tell_piece(buffers, piece))
            }
        }
    }

    /// The response is whole, and so long behind its head.
    fn whole(&mut self, buffers: &mut Buffers, length: usize) -> Step {
        let before = std::mem::replace(&mut self.reading, Reading::Over);
        let Reading::Body(incoming) = before else { return Step::Failed(String::new()) };
        let Incoming { head, body, response, .. } = *incoming;
        let total = head.len + length;
        let response = match body {
            // A head that was told is a response, where nothing is behind it.
            _ if length == 0 => {
                buffers.recv.advance(total.min(buffers.recv.len()));
                response
            }
            body => {
                let raw = buffers.recv.split_to(total.min(buffers.recv.len())).freeze();
                let content = match body {
                    Body::Collected(reader) => reader.body(&raw, head.len),
                    _ => raw.slice(head.len.min(raw.len())..),
                };
                Response::new(raw, head.clone(), content)
            }
        };
        self.answered(&head);
        self.told = Some(response.clone());
        buffers.release();
        Step::Answer(Answer::Whole(response))
    }

    /// As [`whole`](Self::whole), of one that was told in pieces.
    fn last_piece(&mut self, _: &Core, buffers: &mut Buffers, piece: Bytes) -> Step {
        let before = std::mem::replace(&mut self.reading, Reading::Over);
        let Reading::Body(incoming) = before else { return Step::Failed(String::new()) };
        let Incoming { head, response, .. } = *incoming;
        self.answered(&head);
        self.told = Some(response.clone());
        buffers.release();
        Step::Answer(Answer::Piece(piece, Some(response)))
    }

    /// The oldest call has its answer; what is read next.
    fn answered(&mut self, head: &AnswerHead) {
        let call = self.calls.pop_front();
        if head.ends == Ends::Switches {
            // What was asked behind it is not HTTP any more.
            self.calls.clear();
        }
        self.end_work();
        self.reading = match head.ends {
            Ends::Switches => Reading::Switching,
            _ if self.websocket.is_some() => Reading::Over,
            _ if head.close || call.is_none_or(|call| call.asked.close) => Reading::Over,
            _ => Reading::Head,
        };
        if self.calls.is_empty() && matches!(self.reading, Reading::Head) {
            self.asking.stays();
        }
    }

    /// The head was told, and the program may have asked for its body in pieces: what follows.
    pub(crate) fn announced(&mut self, core: &Core, buffers: &mut Buffers) -> Option<Step> {
        self.step(core, buffers)
    }

    /// The response was told.
    pub(crate) fn told_of(&mut self) {
        self.told = None;
    }

    /// The peer has ended its side: what to tell of that.
    pub(super) fn end_of_input(&mut self, core: &Core, buffers: &mut Buffers) -> Option<Step> {
        let reading = &self.reading;
        match reading {
            Reading::Over | Reading::Switching => None,
            Reading::Body(_) if self.reset => {
                let why = self.about("the connection was reset in the middle of the response");
                self.fail(buffers, why)
            }
            Reading::Body(incoming) => match &incoming.body {
                Body::CollectedToEnd => {
                    let length = buffers.recv.len().saturating_sub(incoming.head.len);
                    Some(self.whole(buffers, length))
                }
                Body::StreamedToEnd { .. } => Some(self.last_piece(core, buffers, Bytes::new())),
                Body::Collected(_) | Body::Streamed(_) => {
                    let why = self.about("the server has ended the connection in the middle of its response");
                    self.fail(buffers, why)
                }
            },
            Reading::Head if self.calls.is_empty() => None,
            Reading::Head => {
                let why = self.about("the server has ended the connection without an answer");
                self.fail(buffers, why)
            }
        }
    }

    /// It is over, without the answers that are due: `why`, to be told.
    pub(super) fn fail(&mut self, buffers: &mut Buffers, why: String) -> Option<Step> {
        self.reading = Reading::Over;
        self.websocket = None;
        self.calls.clear();
        self.end_work();
        buffers.recv.clear();
        buffers.release();
        Some(Step::Failed(why))
    }

    /// That, with the request that it happened to.
    pub(super) fn about(&self, why: &str) -> String {
        match self.calls.front() {
            Some(call) => format!("{}: {why}", call.asked.name),
            None => why.to_owned(),
        }
    }

    fn end_work(&mut self) {
        if self.calls.is_empty()
            && let Some(work) = self.work.take()
        {
            self.over = Some(Over { work, cut: None });
        }
    }

    /// How much may wait to be read at present.
    pub(crate) fn room(&self, limits: &Limits) -> usize {
        match &self.reading {
            // The readers refuse what is too much.
            Reading::Body(_) => usize::MAX,
            Reading::Switching => limits.receive_bytes.max(1),
            Reading::Head | Reading::Over => limits.head_bytes.saturating_add(1),
        }
    }
}

fn tell_piece(buffers: &mut Buffers, piece: Bytes) -> Option<Step> {
    buffers.release();
    (!piece.is_empty()).then_some(Step::Answer(Answer::Piece(piece, None)))
}
