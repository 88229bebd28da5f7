//! Requests out of bytes.

use super::{Answer, Asked, Http, Incoming, Reading};
use crate::core::Core;
use crate::http::{BodyReader, Head, Refusal, Request, TOO_LONG};
use crate::limits::Limits;
use crate::session::{Buffers, Step};
use bytes::Bytes;
use exeunt_drain::{Effect, Framing, Input};
use std::time::Instant;

impl Http {
    pub(crate) fn arrived(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        now: Instant,
        bytes: &[u8],
    ) -> Option<Step> {
        self.seen = now;
        // A request that came whole in one read needs no buffer.
        if buffers.recv.is_empty() && self.awaits_head() {
            return match self.parser.parse(bytes, core.limits.head_bytes) {
                Ok(Some(head)) => self.begin(core, buffers, head, Some(bytes)),
                Ok(None) => {
                    self.drain.on(now, Input::Bytes(bytes));
                    buffers.recv.extend_from_slice(bytes);
                    None
                }
                Err(refusal) => {
                    self.drain.on(now, Input::Bytes(bytes));
                    self.refuse(core, buffers, refusal)
                }
            };
        }
        self.drain.on(now, Input::Bytes(bytes));
        if let Reading::Body(incoming) = &mut self.reading {
            incoming.last_byte = now;
        }
        buffers.recv.extend_from_slice(bytes);
        self.step(core, buffers)
    }

    pub(crate) fn awaits_head(&self) -> bool {
        matches!((&self.reading, &self.answer), (Reading::Head, Answer::Nothing))
    }

    /// The next thing to tell of what is in the buffer.
    pub(super) fn step(&mut self, core: &Core, buffers: &mut Buffers) -> Option<Step> {
        if self.awaits_head() && !buffers.recv.is_empty() {
            return match self.parser.parse(&buffers.recv, core.limits.head_bytes) {
                Ok(Some(head)) => self.begin(core, buffers, head, None),
                Ok(None) => None,
                Err(refusal) => self.refuse(core, buffers, refusal),
            };
        }
        let Reading::Body(incoming) = &mut self.reading else { return None };
        if incoming.stream.is_some() {
            return self.stream(core, buffers);
        }
        let behind = buffers.recv.get(incoming.head.len..).unwrap_or_default();
        match incoming.body.read(behind) {
            Ok(None) => None,
            Err(refusal) => self.refuse(core, buffers, refusal),
            Ok(Some(length)) => {
                let Reading::Body(incoming) = std::mem::replace(&mut self.reading, Reading::Head) else {
                    return None;
                };
                let Incoming { head, body, .. } = *incoming;
                let raw = buffers.recv.split_to(head.len + length).freeze();
                buffers.release();
                self.whole(buffers, raw, head, &body, true)
            }
        }
    }

    /// A head is whole. It is at the beginning of `fresh`, which is in no buffer yet, or else of the receive buffer.
    fn begin(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        head: Head,
        fresh: Option<&[u8]>,
    ) -> Option<Step> {
        let bytes = fresh.unwrap_or(&buffers.recv);
        let behind = bytes.get(head.len..).unwrap_or_default();
        let mut body = BodyReader::new(head.framing, core.limits.body_bytes as u64);
        let length = match head.framing {
            Framing::None => Ok(Some(0)),
            _ => body.read(behind),
        };
        let nothing_behind = matches!(length, Ok(Some(length)) if head.len + length == bytes.len());
        let input = match fresh {
            Some(_) if nothing_behind => Input::Request(head.framing),
            Some(fresh) => {
                self.drain.on(self.seen, Input::Bytes(fresh));
                Input::HeadDone(head.framing)
            }
            None => Input::HeadDone(head.framing),
        };
        let length = match length {
            Ok(length) => length,
            // The program may want more than is collected: it is asked first (M20).
            Err(TOO_LONG) => {
                body = BodyReader::new(head.framing, core.limits.body_bytes as u64);
                None
            }
            Err(refusal) => return self.refuse(core, buffers, refusal),
        };
        let method = head.method.of(bytes);
        self.requests += 1;
        self.swallows = false;
        self.answer = Answer::Owed;
        self.asked = Some(Asked {
            version: head.version,
            head_only: method == b"HEAD",
            connect: method == b"CONNECT",
            close: head.close,
            expects: head.expect_continue && length.is_none(),
            since: self.seen,
            whole: None,
            announced: false,
            streams: None,
            request: None,
            work: core.begin_work(),
        });
        if self.drain.on(self.seen, input) == Some(Effect::Answer503) {
            self.give_up(core, buffers, 503);
            return None;
        }
        if let Some(length) = length {
            let total = head.len + length;
            let raw = match fresh {
                None => buffers.recv.split_to(total).freeze(),
                Some(fresh) => {
                    let (whole, rest) = fresh.split_at_checked(total).unwrap_or((fresh, &[]));
                    buffers.recv.extend_from_slice(rest);
                    Bytes::copy_from_slice(whole)
                }
            };
            buffers.release();
            return self.whole(buffers, raw, head, &body, false);
        }
        let raw = Bytes::copy_from_slice(bytes.get(..head.len).unwrap_or(bytes));
        if let Some(fresh) = fresh {
            buffers.recv.extend_from_slice(fresh);
        }
        let incoming =
            Incoming { head: head.clone(), body, stream: None, paused: false, last_byte: self.seen };
        self.reading = Reading::Body(Box::new(incoming));
        let request = Request::new(raw, head, Bytes::new());
        Some(Step::Headers { request, number: self.number() })
    }

    fn whole(
        &mut self,
        buffers: &mut Buffers,
        raw: Bytes,
        head: Head,
        body: &BodyReader,
        announced: bool,
    ) -> Option<Step> {
        if let Some(asked) = &mut self.asked {
            asked.whole = Some(self.seen);
            asked.expects = false;
        }
        // It has its answer already; its body was read only to get behind it.
        if !self.is_owed() {
            return None;
        }
        let content = if head.framing == Framing::None { Bytes::new() } else { body.body(&raw, head.len) };
        let request = Request::new(raw, head, content);
        buffers.told = Some(request.clone());
        Some(Step::Message { request, number: self.number(), announced })
    }

    /// The request is none, or too large: it is answered so, and nothing is read behind it.
    pub(crate) fn refuse(&mut self, core: &Core, buffers: &mut Buffers, refusal: Refusal) -> Option<Step> {
        let answered = matches!(self.reading, Reading::Body(_));
        self.reading = Reading::Over;
        buffers.recv.clear();
        match &self.answer {
            Answer::Owed => self.give_up(core, buffers, refusal.status),
            Answer::Nothing if !answered => self.answer_refused(core, buffers, refusal.status),
            // The answer that was given, or is being sent, is the last.
            _ => {}
        }
        self.closes = true;
        Some(Step::Refused(refusal.why))
    }

    /// The program has seen the request. It may be answered later; and until its answer has gone, a cut names it.
    pub(crate) fn keep(&mut self, request: Request) {
        let whole = matches!(self.answer, Answer::Whole | Answer::Source(_));
        if let Some(asked) = &mut self.asked {
            asked.announced = true;
            asked.request = Some(if whole { request.slim() } else { request });
        }
    }

    /// How much may wait to be read at present.
    pub(crate) fn room(&self, limits: &Limits) -> usize {
        match &self.reading {
            Reading::Head | Reading::Over => limits.head_bytes.saturating_add(1),
            // The reader refuses what is too much, framing included.
            Reading::Body(_) => usize::MAX,
        }
    }
}
