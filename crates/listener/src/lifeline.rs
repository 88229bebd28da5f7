//! How a process learns that it has forked.

use std::{
    io::{self, PipeReader, PipeWriter, pipe},
    process,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that is made with a socket and inherited with it.
///
/// A child made by fork(2) holds our sockets until it executes another program, and it holds the pipe's write end just
/// as long. So when we have closed ours and the pipe still does not report the end of its input, a child lives that
/// may be serving from the socket. This sees what no look into /proc does: children of another user, in another
/// namespace, or adopted by init. A child that has closed all it does not need is seen as gone; one that was told to
/// keep the socket and nothing else cannot be seen here at all, which `/proc` is looked at for.
#[derive(Debug)]
pub(crate) struct Lifeline {
    pid: u32,
    reader: PipeReader,
    writer: Option<PipeWriter>,
}

/// Who else is on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nobody.
    Quiet,
    /// A child of ours, or one that is just between fork and exec: ask again in a moment.
    Held,
    /// We are the child.
    Inherited,
}

impl Lifeline {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self { pid: process::id(), reader, writer: Some(writer) })
    }

    /// Lets go of our end, at the first call for good, and looks who holds on.
    pub(crate) fn listen(&mut self) -> Line {
        if process::id() != self.pid {
            return Line::Inherited;
        }
        self.writer = None;
        let mut ends = [PollFd::new(&self.reader, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut ends, Some(&now)) {
            Ok(1..) => Line::Quiet,
            _ => Line::Held,
        }
    }
}

#[cfg(test)]
impl Lifeline {
    /// What a forked child would hold.
    pub(crate) fn copy(&self) -> PipeWriter {
        self.writer.as_ref().unwrap().try_clone().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::{Lifeline, Line};

    #[test]
    fn the_line_is_quiet_once_every_copy_of_the_write_end_is_gone() {
        let mut lifeline = Lifeline::new().unwrap();
        let copy = lifeline.copy();
        assert_eq!(lifeline.listen(), Line::Held);
        drop(copy);
        assert_eq!(lifeline.listen(), Line::Quiet);
    }

    #[test]
    fn another_process_knows_that_it_inherited() {
        let mut lifeline = Lifeline::new().unwrap();
        lifeline.pid += 1;
        assert_eq!(lifeline.listen(), Line::Inherited);
    }
}
