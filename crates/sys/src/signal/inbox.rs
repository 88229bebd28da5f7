//! The pipe from the handlers to whoever waits for them.

use super::handler::{INSTALLER, SI_TKILL, SLOTS, getpid};
use super::{Origin, Record};
use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, IntoRawFd as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

static INBOX: OnceLock<Inbox> = OnceLock::new();

/// Where the handlers write. Never closed again: a handler on another thread may hold the number, and a number
/// that is closed soon belongs to somebody else's file.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);

/// How long a wait lasts at most when the pipe cannot be waited for (somebody closed every descriptor).
const WITHOUT_PIPE: Duration = Duration::from_millis(10);

/// Where the records of all registered signals arrive, in the order in which the handlers ran.
///
/// There is one in a process, opened at the first [`register`](super::register()) and never closed. Any number of
/// threads may wait; each record goes to one of them.
#[derive(Debug)]
pub struct Inbox {
    read_end: PipeReader,
}

impl Inbox {
    /// The process's inbox, opened if need be.
    ///
    /// # Errors
    ///
    /// The pipe cannot be made: no descriptors left (`EMFILE`, `ENFILE`).
    pub fn open() -> io::Result<&'static Self> {
        // Before the pipe is there, since whoever finds the pipe counts on it.
        _ = INSTALLER.compare_exchange(0, getpid(), Ordering::AcqRel, Ordering::Acquire);
        if let Some(inbox) = INBOX.get() {
            return Ok(inbox);
        }
        let (read_end, write_end) = pipe()?;
        let mut kept = false;
        let inbox = INBOX.get_or_init(|| {
            kept = true;
            Self { read_end }
        });
        if kept {
            WRITE_END.store(write_end.into_raw_fd(), Ordering::Release);
        }
        Ok(inbox)
    }

    /// Waits until something arrives, [`wake`](Self::wake) is called or `timeout` (`None`: for ever) has passed,
    /// and takes all that is there. May answer with nothing, and early.
    pub fn wait(&self, timeout: Option<Duration>) -> Vec<Record> {
        let mut records = Vec::new();
        if !self.poll(timeout) {
            std::thread::sleep(timeout.map_or(WITHOUT_PIPE, |timeout| timeout.min(WITHOUT_PIPE)));
        }
        let arrival = arrival(|| ());
        let mut buffer = [0; Packet::SIZE * 128];
        // Writes of a packet are atomic (PIPE_BUF, pipe(7)) and nothing else is written, so packets arrive whole.
        while let Ok(length @ 1..) = (&self.read_end).read(&mut buffer) {
            let whole = buffer.get(..length).unwrap_or_default().chunks_exact(Packet::SIZE);
            records.extend(whole.filter_map(Packet::parse).filter_map(|packet| packet.record(arrival)));
        }
        for (signal, slot) in (0..).zip(&SLOTS) {
            let count = slot.overflow.swap(0, Ordering::SeqCst);
            let record = Record { signal, origin: Origin::Unknown, at: arrival.0 };
            records.extend((0..count).map(|_| record));
        }
        records
    }

    /// Makes one [`wait`](Self::wait), the present or the next, end at once.
    pub fn wake(&self) {
        // A full pipe wakes the reader as well.
        send(&Packet::WAKE);
    }

    /// False when the pipe cannot be waited for.
    fn poll(&self, timeout: Option<Duration>) -> bool {
        let mut entry = libc::pollfd { fd: self.read_end.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // Rounded up, so that whoever waits for a deadline is not woken just before it.
        let timeout = timeout
            .map_or(-1, |timeout| i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        // SAFETY: one entry, valid for the call.
        let ready = unsafe { libc::poll(&raw mut entry, 1, timeout) };
        let interrupted = ready < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        interrupted || (ready >= 0 && entry.revents & libc::POLLNVAL == 0)
    }
}

/// The time on both clocks. `Instant`'s last: what comes between the two, such as another process, then makes records
/// seem younger, and never as old as what was before the lifecycle that they are for.
fn arrival(between: impl FnOnce()) -> (Instant, u64) {
    let clock = now();
    between();
    (Instant::now(), clock)
}

/// One delivery as it travels through the pipe.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    pub(super) signal: i32,
    pub(super) code: i32,
    pub(super) pid: i32,
    pub(super) related: i32,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub(super) at: u64,
}

impl Packet {
    const SIZE: usize = 24;
    /// Says only that there is something to look at.
    pub(super) const WAKE: Self = Self { signal: 0, code: 0, pid: 0, related: 0, at: 0 };

    fn bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let words = [self.signal, self.code, self.pid, self.related].map(i32::to_ne_bytes);
        let at = self.at.to_ne_bytes();
        let fields = words.as_flattened().iter().chain(&at);
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = *from);
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |index: usize| Some(i32::from_ne_bytes(*bytes.get(index * 4..)?.first_chunk()?));
        let at = u64::from_ne_bytes(*bytes.get(16..)?.first_chunk()?);
        Some(Self { signal: word(0)?, code: word(1)?, pid: word(2)?, related: word(3)?, at })
    }

    fn record(self, (instant, clock): (Instant, u64)) -> Option<Record> {
        if self.signal == Self::WAKE.signal {
            return None;
        }
        let pid = self.pid.try_into().unwrap_or(0);
        let origin = match self.code {
            libc::SI_USER => Origin::Process { pid, related: self.related != 0 },
            libc::SI_QUEUE | SI_TKILL => Origin::Direct { pid },
            #[cfg(any(target_os = "linux", target_os = "android"))]
            libc::SI_KERNEL => Origin::Kernel,
            _ => Origin::Unknown,
        };
        let age = Duration::from_nanos(clock.saturating_sub(self.at));
        Some(Record { signal: self.signal, origin, at: instant.checked_sub(age).unwrap_or(instant) })
    }
}

/// Writes one packet, without waiting; async-signal-safe. False if it did not fit.
pub(super) fn send(packet: &Packet) -> bool {
    let bytes = packet.bytes();
    let to = WRITE_END.load(Ordering::Acquire);
    // SAFETY: `bytes` is valid for its length; write(2) is async-signal-safe, and the pipe does not block.
    unsafe { libc::write(to, bytes.as_ptr().cast(), bytes.len()) == Packet::SIZE as isize }
}

/// `CLOCK_MONOTONIC` in nanoseconds, the clock of [`Instant`]; async-signal-safe.
pub(super) fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for the answer; clock_gettime is async-signal-safe.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// A pipe whose ends neither block nor survive an exec.
fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    unblock(reader.as_fd())?;
    unblock(writer.as_fd())?;
    Ok((reader, writer))
}

fn unblock(end: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a descriptor that is open, and a command that takes no argument.
    let flags = unsafe { libc::fcntl(end.as_raw_fd(), libc::F_GETFL) };
    // SAFETY: as above, with the integer argument that F_SETFL takes.
    if flags < 0 || unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Packet, arrival, now};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    #[test]
    fn l10_a_record_never_seems_older_than_it_is() {
        let before = Instant::now();
        let packet = Packet { signal: libc::SIGTERM, at: now(), ..Packet::WAKE };
        // Somebody else has the processor between the two looks at the time.
        let arrival = arrival(|| sleep(Duration::from_millis(20)));
        assert!(packet.record(arrival).is_some_and(|record| record.at >= before));
    }
}
