//! Answers whose body is a file: pulled by the thread that polls, as fast as the peer takes it (rule M19).

use super::{Answer, Http};
use crate::core::Core;
use crate::error::AnswerError;
use crate::http::{Answering, Reply};
use crate::session::{Buffers, Protocol, Session};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

/// What is still to be sent of a file. A clone is of the same open file, and knows no more of what has gone since.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    file: Arc<OwnedFd>,
    from: u64,
    left: NonZeroU64,
}

impl Source {
    /// That many bytes of the file from there on; none, if there is nothing to be sent.
    pub(crate) fn new(file: OwnedFd, from: u64, length: u64) -> Option<Self> {
        NonZeroU64::new(length).map(|left| Self { file: Arc::new(file), from, left })
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Where in the file it goes on.
    pub(crate) fn from(&self) -> u64 {
        self.from
    }

    /// In bytes.
    pub(crate) fn left(&self) -> u64 {
        self.left.get()
    }

    fn advance(&mut self, bytes: u64) -> bool {
        self.from += bytes;
        match NonZeroU64::new(self.left.get().saturating_sub(bytes)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// For the thread that polls.
impl Session {
    /// What is to be sent of a file, behind what is in the buffer.
    pub(crate) fn source(&self) -> Option<&Source> {
        match &self.protocol {
            Protocol::Http(http) if self.flows_freely() => http.source(),
            _ => None,
        }
    }

    /// Whether anything is to be sent now.
    pub(crate) fn has_to_send(&self) -> bool {
        !self.to_send().is_empty() || self.source().is_some()
    }

    /// That much of the file is with the kernel.
    pub(crate) fn went(&mut self, now: Instant, bytes: u64) {
        let left = self.pulled(bytes);
        self.buffers.progressed(now, left);
    }

    /// That is the next of the file.
    pub(crate) fn filled(&mut self, bytes: &[u8]) {
        self.buffers.send.extend_from_slice(bytes);
        self.pulled(bytes.len() as u64);
    }

    fn pulled(&mut self, bytes: u64) -> bool {
        match &mut self.protocol {
            Protocol::Http(http) => http.pulled(bytes),
            _ => false,
        }
    }
}

impl Http {
    /// Answers with a file. `headers` say its length.
    pub(crate) fn serve(
        &mut self,
        core: &Core,
        buffers: &mut Buffers,
        status: u16,
        headers: &[(&str, &str)],
        source: Source,
    ) -> Result<(), AnswerError> {
        let answering = self.answering(status)?;
        let head_only = answering.head_only;
        let reply = Reply { status, headers, body: b"" };
        self.answer_with(core, buffers, reply, Answering { head_only: true, ..answering })?;
        if !head_only {
            self.answer = Answer::Source(source);
        }
        Ok(())
    }

    pub(crate) fn source(&self) -> Option<&Source> {
        match &self.answer {
            Answer::Source(source) => Some(source),
            _ => None,
        }
    }

    /// Whether some of it is left.
    fn pulled(&mut self, bytes: u64) -> bool {
        let Answer::Source(source) = &mut self.answer else { return false };
        let left = source.advance(bytes);
        if !left {
            self.answer = Answer::Whole;
        }
        left
    }
}
