//! The end of stdin as a wish that the program end (L16): one thread, however many lifecycles ask for it.
//!
//! It reads, because only reading shows every sort of end (a pipe's, a file's, Ctrl-D), and ends with the last
//! lifecycle that needs it. A pipe may have other readers, who take what was there a moment ago: what can be is read
//! by a description of our own that does not block; where none can be had, the thread may outlive who it was for.

use crate::cause::Cause;
use crate::core::Core;
#[cfg(unix)]
use crate::follow::Item;
use crate::lifecycle::InstallError;
use std::io::{self, PipeReader, PipeWriter};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd as _;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

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
    /// Disconnected when it has ended, but for its last instructions.
    over: Receiver<()>,
}

/// How long a thread that was told to end may take. It needs none of it, but on a busy machine; one that still runs then
/// is inside a read.
const PATIENCE: Duration = Duration::from_secs(1);

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
        let (ends, over) = channel::<()>();
        let run = move || {
            run(&wait);
            drop(ends);
        };
        let handle = thread.spawn(run).map_err(InstallError::Thread)?;
        reader.thread = Some(Thread { handle, quit, over });
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
        thread.into_iter().for_each(Thread::end);
    }
}

impl Thread {
    fn end(self) {
        let Self { handle, quit, over } = self;
        drop(quit);
        // A waker may have dropped the lifecycle on this very thread.
        if handle.thread().id() != std::thread::current().id()
            && over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected)
        {
            _ = handle.join();
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
    let own = not_blocking(stdin.as_fd());
    let stdin = own.as_ref().map_or_else(|| stdin.as_fd(), AsFd::as_fd);
    let mut buffer = [0; 4096];
    loop {
        let mut ends = [PollFd::new(quit, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut ends, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                let watchers: Vec<_> = lock().watchers.iter().map(|(_, core)| Arc::clone(core)).collect();
                for core in watchers {
                    core.follow().push(Item::StdinFailed(error.to_string()));
                    core.follow().tell();
                }
                return false;
            }
        }
        let [told, readable] = ends.map(|end| !end.revents().is_empty());
        if told {
            return false;
        }
        if readable {
            match read(stdin, &mut buffer) {
                Ok(1..) | Err(Errno::INTR | Errno::AGAIN) => {}
                // Besides the end itself: a terminal that is gone (EIO), a descriptor that was closed (EBADF).
                Ok(0) | Err(_) => return true,
            }
        }
    }
}

/// Another description of a pipe or a terminal, which does not block, while the one that others share still does. `None`
/// where there is no such thing: for a socket, for somebody else's terminal, on other systems.
#[cfg(target_os = "linux")]
fn not_blocking(of: BorrowedFd<'_>) -> Option<OwnedFd> {
    use rustix::fs::{FileType, Mode, OFlags, fstat, open};
    use std::io::IsTerminal as _;
    // To open another device may do something to it.
    if FileType::from_raw_mode(fstat(of).ok()?.st_mode) != FileType::Fifo && !of.is_terminal() {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(format!("/proc/self/fd/{}", of.as_raw_fd()), flags, Mode::empty()).ok()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn not_blocking(_of: BorrowedFd<'_>) -> Option<OwnedFd> {
    None
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

#[cfg(all(test, unix))]
mod tests {
    use super::Thread;
    use std::io;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_thread_that_somebody_elses_read_has_left_in_its_own_is_not_waited_for() {
        let (_wait, quit) = io::pipe().unwrap();
        let (ends, over) = channel::<()>();
        let (_let_go, held) = channel::<()>();
        let handle = std::thread::spawn(move || {
            _ = held.recv();
            drop(ends);
        });
        let (say, hear) = channel();
        std::thread::spawn(move || {
            Thread { handle, quit, over }.end();
            say.send(()).unwrap();
        });
        hear.recv_timeout(Duration::from_secs(60)).expect("it waits for ever");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_is_read_without_blocking_and_still_blocks_for_others() {
        use super::not_blocking;
        use rustix::fs::{OFlags, fcntl_getfl};
        use rustix::io::{Errno, read};
        use std::os::fd::AsFd as _;
        let (shared, writer) = io::pipe().unwrap();
        let own = not_blocking(shared.as_fd()).unwrap();
        assert_eq!(read(&own, &mut [0; 8]), Err(Errno::AGAIN));
        assert!(!fcntl_getfl(&shared).unwrap().contains(OFlags::NONBLOCK));
        drop(writer);
        assert_eq!(read(&own, &mut [0; 8]), Ok(0), "its end is seen");
    }
}
