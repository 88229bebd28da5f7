//! Bodies that are told as they come, and kept by nobody (rule M20).

use super::{Http, Reading};
use crate::core::Core;
use crate::error::StreamError;
use crate::http::{BodyStream, Request, TOO_LONG};
use crate::session::{Buffers, Step};
use crate::uploads::Intake;
use bytes::Buf;
use std::time::Instant;

/// How a body is wanted as it comes.
pub(super) struct Streams {
    /// Bytes of content that there may be.
    most: u64,
    /// Where it goes; none: to the handler.
    intake: Option<Intake>,
}

/// What follows the headers of a request that came whole.
#[derive(Debug)]
pub(crate) enum Behind {
    /// The same request, as a message.
    Message,
    /// In a box, since this is asked with each request.
    Other(Box<Step>),
    Nothing,
}

impl From<Option<Step>> for Behind {
    fn from(step: Option<Step>) -> Self {
        step.map_or(Self::Nothing, |step| Self::Other(Box::new(step)))
    }
}

impl Http {
    /// From here on the body of the present request is told in pieces, or goes to `intake`. `most`: how many bytes of content
    /// there may be.
    pub(crate) fn stream_body(
        &mut self,
        buffers: &mut Buffers,
        most: u64,
        intake: Option<Intake>,
    ) -> Result<(), StreamError> {
        let asked = self.asked.as_mut().filter(|asked| !asked.announced && asked.streams.is_none());
        let Some(asked) = asked else { return Err(StreamError::TooLate) };
        asked.streams = Some(Box::new(Streams { most, intake }));
        if let Reading::Body(incoming) = &mut self.reading {
            incoming.stream = Some(BodyStream::new(incoming.head.framing, most));
            buffers.recv.advance(incoming.head.len.min(buffers.recv.len()));
        }
        Ok(())
    }

    /// Whether no more of the body is wanted at present. From the end of a pause on the peer has its time anew.
    pub(crate) fn pause_body(&mut self, paused: bool, now: Instant) {
        if let Reading::Body(incoming) = &mut self.reading
            && incoming.stream.is_some()
            && incoming.paused != paused
        {
            incoming.paused = paused;
            incoming.last_byte = now;
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_owed() && matches!(&self.reading, Reading::Body(incoming) if incoming.paused)
    }

    /// Where the body of the present request goes, if not to the handler.
    pub(crate) fn intake(&self) -> Option<Intake> {
        self.asked.as_ref()?.streams.as_ref()?.intake.clone()
    }

    /// The next piece of a body that is streamed.
    pub(crate) fn stream(&mut self, core: &Core, buffers: &mut Buffers) -> Option<Step> {
        let owed = self.is_owed();
        if self.is_paused() {
            return None;
        }
        let Reading::Body(incoming) = &mut self.reading else { return None };
        let Some(stream) = &mut incoming.stream else { return None };
        let piece = match stream.take(&mut buffers.recv) {
            Ok(piece) => piece,
            Err(refusal) => return self.refuse(core, buffers, refusal),
        };
        let done = stream.is_done();
        buffers.release();
        let mut message = None;
        if done {
            self.reading = Reading::Head;
            if let Some(asked) = &mut self.asked {
                asked.whole = Some(self.seen);
                asked.expects = false;
                message.clone_from(&asked.request);
            }
        }
        match (owed, done) {
            (true, _) if done || !piece.is_empty() => {
                buffers.told.clone_from(&message);
                Some(Step::Body { piece, message, number: self.number() })
            }
            // It has its answer already; its body is read only to get behind it.
            (false, true) => self.step(core, buffers),
            _ => None,
        }
    }

    /// `HttpHeaders` of a request that came whole was told.
    pub(crate) fn announced(&mut self, core: &Core, buffers: &mut Buffers, request: &Request) -> Behind {
        if !self.is_owed() {
            return Behind::Nothing;
        }
        let Some(asked) = &mut self.asked else { return Behind::Nothing };
        asked.announced = true;
        let Some(most) = asked.streams.as_ref().map(|streams| streams.most) else { return Behind::Message };
        if request.body().len() as u64 > most {
            return self.refuse(core, buffers, TOO_LONG).into();
        }
        let message = request.without_body();
        buffers.told = Some(message.clone());
        Some(Step::Body { piece: request.body().clone(), message: Some(message), number: self.number() })
            .into()
    }

    /// The peer has ended its side in the middle of a body that somebody was told of, and is to hear that no more comes.
    pub(super) fn ends_early(&mut self) -> Option<Step> {
        let streams = self.is_owed() && matches!(&self.reading, Reading::Body(body) if body.stream.is_some());
        streams.then(|| {
            self.reading = Reading::Over;
            Step::Refused("the peer has ended its side in the middle of the body")
        })
    }
}
