//! An HTTP/1.1 connection of a server: requests out of bytes, answers into bytes, one at a time.
//!
//! Reading and writing are two dimensions: a request's body may still be arriving when it has its answer, and an answer
//! may be owed when the next request is there already. That one is held back (pipelining, RFC 9112 §9.3.2).

use super::{Buffers, Next, Over, Step, Tick};
use crate::core::{Core, Stage};
use crate::error::{AnswerError, SendError};
use crate::http::{
    Answering, BodyReader, Form, Head, HeadParser, Outgoing, Refusal, Reply, Request, Version, announce_end,
    chunk, sse, write,
};
use crate::limits::Limits;
use bytes::{Bytes, BytesMut};
use exeunt_drain::{Connection as Drain, Effect, Framing, Input};
use exeunt_lifecycle::{CutWork, Work};
use exeunt_listener::Address;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

pub(crate) struct Http {
    /// What decides about the end.
    drain: Drain,
    parser: HeadParser,
    reading: Reading,
    answer: Answer,
    asked: Option<Asked>,
    /// Requests so far, the present one included.
    requests: u64,
    /// The answer to a HEAD was written in the program's own words: their body may follow, and is left out.
    swallows: bool,
    /// The connection ends behind what is being sent.
    closes: bool,
    /// A request was asked, ever.
    used: bool,
    /// Work that has come to its end, and is to be dropped outside of the lock.
    over: Option<Over>,
    /// The time of the last thing that happened.
    seen: Instant,
}

enum Reading {
    Head,
    Body(Box<Incoming>),
    /// No further request is read.
    Over,
}

struct Incoming {
    head: Head,
    body: BodyReader,
    announced: bool,
    last_byte: Instant,
}

enum Answer {
    /// None is owed.
    Nothing,
    Owed,
    /// Begun, and not whole.
    Chunked,
    /// Begun; it lasts until the connection closes.
    UntilClose,
    /// Begun, in the program's own words.
    Raw(Box<Outgoing>),
    /// Another protocol begins behind it.
    Switching,
    /// Written whole, and perhaps not sent.
    Whole,
}

/// About the request that is to be answered.
struct Asked {
    version: Version,
    head_only: bool,
    connect: bool,
    close: bool,
    expects: bool,
    since: Instant,
    /// When it was whole.
    whole: Option<Instant>,
    /// Once the program was told of it.
    request: Option<Request>,
    work: Option<Work>,
}

/// For the program.
impl Http {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            drain: Drain::new(limits.drain, now),
            parser: HeadParser::new(),
            reading: Reading::Head,
            answer: Answer::Nothing,
            asked: None,
            requests: 0,
            swallows: false,
            closes: false,
            used: false,
            over: None,
            seen: now,
        }
    }

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
        let (version, head_only, connect, close) = match (&self.answer, &self.asked) {
            (Answer::Owed, Some(asked)) => {
                (asked.version, asked.head_only, asked.connect, asked.close || self.leaves_body())
            }
            (Answer::Nothing, _) if self.is_unasked(status) => (Version::Http11, false, false, true),
            _ => return Err(AnswerError::Answered),
        };
        let stopping = core.is_stopping();
        let close = close || self.drain.would_say_close(stopping);
        let reply = Reply { status, headers, body };
        let head_at = buffers.send.len();
        let form = core.with_date(|date| {
            let answering = Answering { version, head_only, connect, close, date };
            write(&mut buffers.send, reply, answering)
        })?;
        if form == Form::Interim {
            if let Some(asked) = &mut self.asked {
                asked.expects &= status != 100;
            }
            return Ok(());
        }
        // The machine is told only of what is written.
        self.drain.on(self.seen, Input::ResponseHead { stopping });
        self.closes |= form.closes();
        self.answer = match form {
            Form::UntilClose if !head_only => Answer::UntilClose,
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
            Answer::Whole => return Err(SendError::Answered),
            // Whatever comes next is taken for the answer to the next request.
            Answer::Nothing if self.used => return Err(SendError::Answered),
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
            Answer::Whole => return Err(AnswerError::Answered),
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
        between && (matches!(status, 408 | 503) || status >= 200 && !self.used)
    }

    /// Whether an answer is begun that only the program can finish.
    pub(crate) fn is_torn(&self) -> bool {
        matches!(self.answer, Answer::Chunked | Answer::UntilClose | Answer::Raw(_) | Answer::Switching)
    }

    /// Whether a close would end an answer that is not whole, which the peer could take for whole.
    pub(crate) fn is_cut_short(&self, buffers: &Buffers) -> bool {
        let begun = matches!(self.answer, Answer::Chunked | Answer::UntilClose | Answer::Raw(_));
        begun || !buffers.send.is_empty()
    }

    /// What is held back of an answer in the program's own words.
    pub(crate) fn held(&self) -> &[u8] {
        match &self.answer {
            Answer::Raw(outgoing) => outgoing.held(),
            _ => &[],
        }
    }

    /// The client waits for our leave to send the body, and has an answer instead: it may send it or not (RFC 9110
    /// §10.1.1), so that nobody knows where the next request begins.
    fn leaves_body(&self) -> bool {
        matches!(self.reading, Reading::Body(_)) && self.asked.as_ref().is_some_and(|asked| asked.expects)
    }
}

/// Reading.
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
    fn step(&mut self, core: &Core, buffers: &mut Buffers) -> Option<Step> {
        if self.awaits_head() && !buffers.recv.is_empty() {
            return match self.parser.parse(&buffers.recv, core.limits.head_bytes) {
                Ok(Some(head)) => self.begin(core, buffers, head, None),
                Ok(None) => None,
                Err(refusal) => self.refuse(core, buffers, refusal),
            };
        }
        let Reading::Body(incoming) = &mut self.reading else { return None };
        let behind = buffers.recv.get(incoming.head.len..).unwrap_or_default();
        match incoming.body.read(behind) {
            Ok(None) => None,
            Err(refusal) => self.refuse(core, buffers, refusal),
            Ok(Some(length)) => {
                let Reading::Body(incoming) = std::mem::replace(&mut self.reading, Reading::Head) else {
                    return None;
                };
                let Incoming { head, body, announced, .. } = *incoming;
                let raw = buffers.recv.split_to(head.len + length).freeze();
                buffers.release();
                self.whole(buffers, raw, head, &body, announced)
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
            Err(refusal) => return self.refuse(core, buffers, refusal),
        };
        let method = head.method.of(bytes);
        self.used = true;
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
        let incoming = Incoming { head: head.clone(), body, announced: true, last_byte: self.seen };
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
    fn refuse(&mut self, core: &Core, buffers: &mut Buffers, refusal: Refusal) -> Option<Step> {
        let answered = matches!(self.reading, Reading::Body(_));
        self.reading = Reading::Over;
        buffers.recv.clear();
        match &self.answer {
            Answer::Owed => self.give_up(core, buffers, refusal.status),
            Answer::Nothing if !answered => {
                self.used = false; // so that the reply is taken
                _ = self.reply(core, buffers, refusal.status, &[], b"");
            }
            // The answer that was given, or is being sent, is the last.
            _ => {}
        }
        self.closes = true;
        Some(Step::Refused(refusal.why))
    }

    /// The program has seen the request. It may be answered later; and until its answer has gone, a cut names it.
    pub(crate) fn keep(&mut self, request: Request) {
        let whole = matches!(self.answer, Answer::Whole);
        if let Some(asked) = &mut self.asked {
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

/// Going on, and ending.
impl Http {
    pub(crate) fn next(&mut self, core: &Core, buffers: &mut Buffers, now: Instant, draining: bool) -> Next {
        self.seen = now;
        if draining {
            self.give_up(core, buffers, 503);
            if let Answer::Raw(outgoing) = &mut self.answer
                && !outgoing.held().is_empty()
            {
                outgoing.release(&mut buffers.send);
            }
        }
        if buffers.ended {
            buffers.alone.get_or_insert(now);
        }
        if buffers.send.is_empty() {
            if matches!(self.answer, Answer::Whole) {
                self.answered(now);
            }
            if draining || self.closes && matches!(self.answer, Answer::Nothing) {
                return self.finish(now);
            }
        }
        if draining {
            return Next::Wait;
        }
        if let Some(step) = self.step(core, buffers) {
            return Next::Tell(step);
        }
        if !buffers.send.is_empty() {
            // A refusal may just have written something.
            return if matches!(self.reading, Reading::Over) || buffers.ended {
                Next::Wait
            } else {
                self.read(core, buffers)
            };
        }
        if let Reading::Body(_) = self.reading
            && let Some(asked) = &mut self.asked
            && asked.expects
            && matches!(self.answer, Answer::Owed)
        {
            asked.expects = false;
            buffers.send.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            return Next::Read;
        }
        if buffers.ended && (matches!(self.answer, Answer::Nothing) || !self.is_whole()) {
            return if self.is_cut_short(buffers) { Next::Abort } else { self.finish(now) };
        }
        if buffers.ended || matches!(self.reading, Reading::Over) {
            return Next::Wait;
        }
        self.read(core, buffers)
    }

    fn read(&self, core: &Core, buffers: &Buffers) -> Next {
        if buffers.is_full(self.room(&core.limits), &core.limits) { Next::Wait } else { Next::Read }
    }

    fn is_whole(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.whole.is_some())
    }

    /// Whether another protocol begins now.
    pub(crate) fn has_switched(&self, buffers: &Buffers) -> bool {
        matches!(self.answer, Answer::Switching) && buffers.send.is_empty()
    }

    fn answered(&mut self, now: Instant) {
        self.drain.on(now, Input::ResponseDone);
        self.answer = Answer::Nothing;
        self.asked_is_over(None);
    }

    fn asked_is_over(&mut self, cut: Option<Box<CutWork>>) {
        if let Some(work) = self.asked.take().and_then(|asked| asked.work) {
            self.over = Some(Over { work, cut });
        }
    }

    pub(crate) fn take_over(&mut self) -> Option<Over> {
        self.over.take()
    }

    /// No further answer will be written.
    fn finish(&mut self, now: Instant) -> Next {
        self.reading = Reading::Over;
        carry_out(self.drain.on(now, Input::Finished)).unwrap_or(Next::Close)
    }

    pub(crate) fn ended(&mut self) -> Next {
        match self.drain.on(self.seen, Input::Eof) {
            Some(Effect::EndInput) => self.finish(self.seen),
            effect => carry_out(effect).unwrap_or(Next::Read),
        }
    }

    pub(crate) fn discard(&mut self, now: Instant, bytes: &[u8]) -> Next {
        carry_out(self.drain.on(now, Input::Bytes(bytes))).unwrap_or(Next::Read)
    }

    pub(crate) fn enter(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        now: Instant,
        stage: Stage,
        peer: Option<&Address>,
    ) -> Next {
        self.seen = now;
        let input = match stage {
            Stage::Serving => return Next::Wait,
            Stage::Draining => Input::Draining,
            Stage::Cut => Input::Cut,
        };
        let effect = self.drain.on(now, input);
        if stage == Stage::Cut {
            self.cut(core, now, peer);
        }
        if effect == Some(Effect::Answer503) {
            if matches!(self.answer, Answer::Owed) {
                self.give_up(core, buffers, 503);
            } else {
                // The program has written part of a head, which is held back: nobody can finish that.
                return Next::Abort;
            }
            return Next::Read;
        }
        carry_out(effect).unwrap_or(Next::Read)
    }

    /// Writes down what the deadline ends.
    fn cut(&mut self, core: &Core, now: Instant, peer: Option<&Address>) {
        let Some(asked) = &mut self.asked else { return };
        let name = match &asked.request {
            Some(request) => format!("{} {}", request.method(), request.uri()),
            None => "a request that nobody was told of".to_owned(),
        };
        let peer = peer.map(ToString::to_string);
        let what = CutWork {
            name,
            kind: "request",
            peer,
            age: now.saturating_duration_since(asked.since),
            site: None,
        };
        core.account().cut(what.clone());
        if let Some(work) = asked.work.take() {
            self.over = Some(Over { work, cut: Some(Box::new(what)) });
        }
    }
}

/// Time.
impl Http {
    pub(crate) fn wake_at(&self, limits: &Limits, buffers: &Buffers) -> Option<Instant> {
        let after = |since: Instant, limit: Duration| since.checked_add(limit);
        let body = match &self.reading {
            Reading::Body(incoming) => after(incoming.last_byte, limits.body_stall),
            _ => None,
        };
        let answer = match (&self.answer, &self.asked) {
            (Answer::Owed, Some(asked)) => {
                limits.answer.zip(asked.whole).and_then(|(limit, since)| after(since, limit))
            }
            _ => None,
        };
        let alone = self.alone(buffers).and_then(|since| after(since, limits.half_closed));
        [self.drain.wake_at(), body, answer, alone].into_iter().flatten().min()
    }

    pub(crate) fn tick(&mut self, core: &Core, buffers: &mut Buffers, now: Instant) -> Tick {
        self.seen = now;
        let due = |since: Instant, limit: Duration| since.checked_add(limit).is_some_and(|at| at <= now);
        if let Reading::Body(incoming) = &self.reading
            && due(incoming.last_byte, core.limits.body_stall)
        {
            let stalled = Refusal { status: 408, why: "the rest of the body did not come in time" };
            return Tick::Then(self.refuse(core, buffers, stalled).map_or(Next::Read, Next::Tell));
        }
        if let (Answer::Owed, Some(Asked { whole: Some(since), .. }), Some(limit)) =
            (&self.answer, &self.asked, core.limits.answer)
            && due(*since, limit)
        {
            self.give_up(core, buffers, 408);
            return Tick::Then(Next::Read);
        }
        if self.alone(buffers).is_some_and(|since| due(since, core.limits.half_closed)) {
            if !self.is_owed() {
                return Tick::Then(Next::Abort);
            }
            self.give_up(core, buffers, 408);
            return Tick::Then(Next::Read);
        }
        match self.drain.on(now, Input::Tick) {
            Some(Effect::LastLook) => Tick::LastLook,
            effect => Tick::Then(carry_out(effect).unwrap_or(Next::Wait)),
        }
    }

    /// Since when the program has left a peer who has ended its side without a further byte of its answer.
    fn alone(&self, buffers: &Buffers) -> Option<Instant> {
        let unfinished = !matches!(self.answer, Answer::Nothing | Answer::Whole);
        buffers.alone.filter(|_| unfinished && buffers.send.is_empty())
    }

    pub(crate) fn nothing_there(&mut self, now: Instant) -> Next {
        match self.drain.on(now, Input::NothingThere) {
            Some(Effect::EndInput) => self.finish(now),
            effect => carry_out(effect).unwrap_or(Next::Read),
        }
    }
}

/// What an effect asks of the socket.
fn carry_out(effect: Option<Effect>) -> Option<Next> {
    match effect? {
        Effect::Linger => Some(Next::Linger),
        Effect::Close => Some(Next::Close),
        Effect::Abort => Some(Next::Abort),
        _ => None,
    }
}
