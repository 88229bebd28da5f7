//! The end of stdin as a wish that the program end (L16): one thread, however many lifecycles ask for it.
//!
//! It reads, because only reading shows every sort of end (a pipe's, a file's, Ctrl-D), and ends with the last
//! lifecycle that needs it.

use crate::cause::Cause;
use crate::core::Core;
use crate::lifecycle::InstallError;
use std::io::{self, PipeReader, PipeWriter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

static READER: Mutex<Reader> = Mutex::new(Reader { next: 0, watchers: Vec::new(), thread: None });

struct Reader {
    next: u64,
    watchers: Vec<(u64, Arc<Core>)>,
    thread: Option<Thread>,
}

struct Thread {
    handle: JoinHandle<()>,
    /// Closing it ends the thread.
    quit: PipeWriter,
}

/// A lifecycle's interest in stdin, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    id: u64,
    process: u32,
}

/// Requests the stop of `core` when stdin ends.
pub(crate) fn watch(core: &Arc<Core>) -> Result<Watch, InstallError> {
    let mut reader = lock();
    if reader.thread.as_ref().is_none_or(|thread| thread.handle.is_finished()) {
        let (wait, quit) = io::pipe().map_err(InstallError::Pipe)?;
        let thread = std::thread::Builder::new().name("exeunt-stdin".to_owned());
        let handle = thread.spawn(move || run(&wait)).map_err(InstallError::Thread)?;
        reader.thread = Some(Thread { handle, quit });
    }
    let id = reader.next;
    reader.next += 1;
    reader.watchers.push((id, Arc::clone(core)));
    Ok(Watch { id, process: std::process::id() })
}

impl Drop for Watch {
    fn drop(&mut self) {
        // In a forked child the lock may be held by a thread that is not here.
        if self.process != std::process::id() {
            return;
        }
        let mut reader = lock();
        let gone: Vec<_> = reader.watchers.extract_if(.., |(id, _)| *id == self.id).collect();
        // A read that nothing can interrupt goes on, for whoever watches next.
        let quits = cfg!(unix) && reader.watchers.is_empty();
        let thread = if quits { reader.thread.take() } else { None };
        drop(reader);
        drop(gone);
        if let Some(Thread { handle, quit }) = thread {
            drop(quit);
            // A waker may have dropped the lifecycle on this very thread.
            if handle.thread().id() != std::thread::current().id() {
                _ = handle.join();
            }
        }
    }
}

fn run(quit: &PipeReader) {
    if !read_to_end(quit) {
        return;
    }
    let mut reader = lock();
    let watchers: Vec<_> = reader.watchers.iter().map(|(_, core)| Arc::clone(core)).collect();
    // Whoever comes later finds out by a thread of its own.
    let here = std::thread::current().id();
    drop(reader.thread.take_if(|thread| thread.handle.thread().id() == here));
    drop(reader);
    for core in watchers {
        core.request(Cause::StdinEnded);
    }
}

/// Reads and throws away what comes; false if told to quit before the end.
#[cfg(unix)]
fn read_to_end(quit: &PipeReader) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::{Errno, read};
    let stdin = io::stdin();
    let mut buffer = [0; 4096];
    loop {
        let mut ends = [PollFd::new(quit, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut ends, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!(target: "exeunt::lifecycle", %error, "stdin cannot be waited for");
                return false;
            }
        }
        let [told, readable] = ends.map(|end| !end.revents().is_empty());
        if told {
            return false;
        }
        if readable {
            match read(&stdin, &mut buffer) {
                Ok(1..) | Err(Errno::INTR | Errno::AGAIN) => {}
                // Besides the end itself: a terminal that is gone (EIO), a descriptor that was closed (EBADF).
                Ok(0) | Err(_) => return true,
            }
        }
    }
}

#[cfg(not(unix))]
fn read_to_end(_quit: &PipeReader) -> bool {
    use std::io::Read as _;
    let mut buffer = [0; 4096];
    while let Ok(1..) = io::stdin().read(&mut buffer) {}
    true
}

fn lock() -> MutexGuard<'static, Reader> {
    READER.lock().unwrap_or_else(PoisonError::into_inner)
}
