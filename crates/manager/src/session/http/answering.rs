//! What the program may do: answers, in all the ways in which they are given.

use super::{Answer, Http, Reading};
use crate::core::Core;
use crate::error::{AnswerError, SendError};
use crate::http::{Answering, Form, Outgoing, Reply, Version, announce_end, chunk, sse, write};
use crate::session::Buffers;
use bytes::BytesMut;
use exeunt_drain::{Effect, Input};
use std::num::NonZeroU64;

/// Where nothing is asked: such an answer is the last. The date comes with the answer.
const UNASKED: Answering<'static> =
    Answering { version: Version::Http11, head_only: false, connect: false, close: true, date: "" };

impl Http {
    /// The number of the request that was asked last.
    pub(crate) fn number(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.requests)
    }

    /// Whether that request is the present one, and may have something to be written about it still.
    pub(crate) fn answers(&self, number: NonZeroU64) -> bool {
        number.get() == self.requests && (self.asked.is_some() || self.swallows)
    }

    pub(crate) fn reply(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), AnswerError> {
        let answering = self.answering(status)?;
        self.answer_with(core, buffers, Reply { status, headers, body }, answering)
    }

    /// What an answer with that status is to, if it may be sent.
    pub(super) fn answering(&self, status: u16) -> Result<Answering<'static>, AnswerError> {
        match (&self.answer, &self.asked) {
            (Answer::Owed, Some(asked)) => Ok(Answering {
                version: asked.version,
                head_only: asked.head_only,
                connect: asked.connect,
                close: asked.close || self.leaves_body(),
                ..UNASKED
            }),
            (Answer::Nothing, _) if self.is_unasked(status) => Ok(UNASKED),
            _ => Err(AnswerError::Answered),
        }
    }

    /// Answers what is no request.
    pub(super) fn answer_refused(&mut self, core: &Core, buffers: &mut Buffers, status: u16) {
        // Cannot fail: it has no headers of the program's.
        _ = self.answer_with(core, buffers, Reply { status, headers: &[], body: b"" }, UNASKED);
    }

    pub(super) fn answer_with(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        reply: Reply<'_>,
        answering: Answering<'_>,
    ) -> Result<(), AnswerError> {
        let stopping = core.is_stopping();
        let close = answering.close || self.drain.would_say_close(stopping);
        let head_at = buffers.send.len();
        let form =
            core.with_date(|date| write(&mut buffers.send, reply, Answering { close, date, ..answering }))?;
        if form == Form::Interim {
            if let Some(asked) = &mut self.asked {
                asked.expects &= reply.status != 100;
            }
            return Ok(());
        }
        // The machine is told only of what is written.
        self.drain.on(self.seen, Input::ResponseHead { stopping });
        self.closes |= form.closes();
        self.answer = match form {
            Form::UntilClose if !answering.head_only => Answer::UntilClose,
            Form::Chunked { .. } | Form::UntilClose => Answer::Chunked,
            Form::Switching => Answer::Switching,
            _ => Answer::Whole,
        };
        buffers.head_at = Some(head_at).filter(|_| form != Form::Switching);
        Ok(())
    }

    pub(crate) fn send(&mut self, core: &Core, buffers: &mut Buffers, bytes: &[u8]) -> Result<(), SendError> {
        if let (Answer::Owed, Some(asked)) = (&self.answer, &self.asked) {
            self.answer = Answer::Raw(Box::new(Outgoing::new(asked.head_only, asked.connect)));
        }
        match &mut self.answer {
            Answer::Whole | Answer::Nothing if self.swallows => {}
            Answer::Whole | Answer::Source(_) => return Err(SendError::Answered),
            // Whatever comes next is taken for the answer to the next request.
            Answer::Nothing if self.requests > 0 => return Err(SendError::Answered),
            Answer::Raw(outgoing) => {
                let (drain, seen) = (&mut self.drain, self.seen);
                let (close, head_only) =
                    self.asked.as_ref().map_or((false, false), |asked| (asked.close, asked.head_only));
                let progress = outgoing.write(bytes, &mut buffers.send, || {
                    let stopping = core.is_stopping();
                    drain.on(seen, Input::ResponseHead { stopping }) == Some(Effect::SayClose) || close
                });
                if progress.switched {
                    self.answer = Answer::Switching;
                    return Ok(());
                }
                self.closes |= progress.closes;
                buffers.head_at = progress.head_at.or(buffers.head_at);
                if progress.done {
                    self.answer = Answer::Whole;
                    self.swallows = head_only;
                }
                // What HEAD does not want is left out, as in a reply.
                if progress.surplus > 0 && !head_only {
                    return Err(SendError::Answered);
                }
            }
            _ => buffers.send.extend_from_slice(bytes),
        }
        Ok(())
    }

    pub(crate) fn chunk(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        bytes: &[u8],
    ) -> Result<(), AnswerError> {
        let head_only = self.asked.as_ref().is_some_and(|asked| asked.head_only);
        match &self.answer {
            Answer::Chunked if head_only => {}
            Answer::Whole | Answer::Nothing if self.swallows => return Ok(()),
            Answer::Chunked => chunk(&mut buffers.send, bytes),
            Answer::UntilClose => buffers.send.extend_from_slice(bytes),
            Answer::Raw(_) => {
                let mut framed = BytesMut::new();
                chunk(&mut framed, bytes);
                return Ok(self.send(core, buffers, &framed)?);
            }
            Answer::Whole | Answer::Source(_) => return Err(AnswerError::Answered),
            Answer::Nothing | Answer::Owed | Answer::Switching => return Err(AnswerError::NotChunked),
        }
        if bytes.is_empty() {
            self.answer = Answer::Whole;
        }
        Ok(())
    }

    pub(crate) fn sse(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        event: &str,
        data: &str,
    ) -> Result<(), AnswerError> {
        let text = sse(event, data)?;
        if let Answer::Raw(outgoing) = &self.answer
            && !outgoing.is_chunked()
        {
            // The program has begun a stream that ends with the connection: its events have no frames.
            return Ok(self.send(core, buffers, &text)?);
        }
        if matches!(self.answer, Answer::Owed) {
            let headers = [
                ("Content-Type", "text/event-stream"),
                ("Cache-Control", "no-store"),
                ("Transfer-Encoding", "chunked"),
            ];
            self.reply(core, buffers, 200, &headers, b"")?;
        }
        self.chunk(core, buffers, &text)
    }

    /// Answers for the program, which does not; nothing where nothing is owed.
    pub(crate) fn give_up(&mut self, core: &Core, buffers: &mut Buffers, status: u16) {
        if let (Answer::Owed, Some(asked)) = (&self.answer, &mut self.asked) {
            asked.close = true;
            // Cannot fail: it has no headers of the program's.
            _ = self.reply(core, buffers, status, &[], b"");
            self.reading = Reading::Over;
        }
    }

    /// The program wants the end. What it has not answered when its handler has returned, it will not answer.
    /// An answer whose head is here still says that it is the last.
    pub(crate) fn drain(&mut self, buffers: &mut Buffers) {
        if let Some(asked) = &mut self.asked {
            asked.close = true;
        }
        if let Some(head_at) = buffers.head_at.take()
            && !self.closes
        {
            self.closes = true;
            announce_end(&mut buffers.send, head_at);
        }
    }

    pub(crate) fn is_owed(&self) -> bool {
        matches!(self.answer, Answer::Owed)
    }

    /// Whether such an answer may be sent though nothing is asked. Once something was, any but those two may well be a
    /// second answer to that, and would be taken for the first to the next. (Of a request that is answered, the body may
    /// still come.)
    fn is_unasked(&self, status: u16) -> bool {
        let between = !matches!(self.reading, Reading::Body(_));
        between && (matches!(status, 408 | 503) || status >= 200 && self.requests == 0)
    }

    /// Whether an answer is begun that only the program can finish.
    pub(crate) fn is_torn(&self) -> bool {
        matches!(self.answer, Answer::Chunked | Answer::UntilClose | Answer::Raw(_) | Answer::Switching)
    }

    /// Whether a close would end an answer that is not whole, which the peer could take for whole.
    pub(crate) fn is_cut_short(&self, buffers: &Buffers) -> bool {
        let begun =
            matches!(self.answer, Answer::Chunked | Answer::UntilClose | Answer::Raw(_) | Answer::Source(_));
        begun || !buffers.send.is_empty()
    }

    /// What is held back of an answer in the program's own words.
    pub(crate) fn held(&self) -> &[u8] {
        match &self.answer {
            Answer::Raw(outgoing) => outgoing.held(),
            _ => &[],
        }
    }

    /// The body will not be read to its end: it is too long; or the client waits for our leave to send it, and has an
    /// answer instead: it may send it or not (RFC 9110 §10.1.1), so that nobody knows where the next request begins.
    fn leaves_body(&self) -> bool {
        let Reading::Body(incoming) = &self.reading else { return false };
        incoming.is_too_long() || self.asked.as_ref().is_some_and(|asked| asked.expects)
    }
}
