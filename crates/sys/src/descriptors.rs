//! Taking over descriptors that whoever started this process has left open for it.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first that a service manager passes on (`SD_LISTEN_FDS_START`, `sd_listen_fds(3)`).
const FIRST: RawFd = 3;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The `count` descriptors from 3 on, close-on-exec from here on; each that is not open is an error in its place. They
/// can be taken once in a process: afterwards `None`, whatever `count` says.
///
/// To be called only if the starter says that it has passed so many on *to this very process* (`LISTEN_PID`): they were
/// open before any of our code ran then, so that none of it has been given one of these numbers. Descriptors that
/// other code takes over by the same protocol must not be taken here, too.
pub fn inherited(count: usize) -> Option<Vec<io::Result<OwnedFd>>> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    let numbers = (FIRST..RawFd::MAX).take(count);
    Some(numbers.map(take).collect())
}

fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asks about a number, which need not be open, and touches no memory.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: sets a flag of an open descriptor, and touches no memory.
    if unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, as was just seen. It was opened by whoever started us and for us, as the caller knows, so no
    // code of this process owns it; and `TAKEN` makes sure that it is given an owner once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Another descriptor of what `number` is open for, close-on-exec: for a caller that shares a descriptor with code which is
/// not Rust's.
///
/// # Errors
///
/// It is not open, or no descriptor is left.
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asks about a number, which need not be open, and touches no memory.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just made it for us, so that nobody owns it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// For a forked child: in place of an epoll instance of its parent's, and of all that it watches, the child has
/// `/dev/null` from here on, under the same numbers.
///
/// Sockets and their epoll instance are shared with the parent: whoever watches, shuts down or sets something in the child
/// does so to the parent, and whoever merely keeps them open keeps the parent's peers waiting for an end. So they are
/// closed, and nothing is told to anybody. The numbers stay taken, so that code of ours that is under way in the child, or
/// drops what it owns, meets nobody else's files. Descriptors are found in `/proc` (proc_pid_fdinfo(5)).
///
/// # Errors
///
/// `/proc` or `/dev/null` is not to be had; nothing is replaced then.
#[cfg(target_os = "linux")]
pub fn leave(epoll: RawFd) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    let known = std::fs::read_to_string(format!("/proc/self/fdinfo/{epoll}"))?;
    let nothing = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    let watched =
        known.lines().filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next()?.parse().ok());
    for number in watched.chain([epoll]) {
        // SAFETY: touches no memory. The number stays open, so that its owner owns a descriptor still, of a file that takes
        // and gives nothing. That it is ours to replace is known from the epoll instance, which is our caller's.
        if unsafe { libc::dup3(nothing.as_raw_fd(), number, libc::O_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
