//! What happens in a child between fork and exec, and signals to children by a handle that never means another process.
//!
//! [`prepare`] makes a child begin as if nobody had been there before it: default dispositions, an empty mask, and, if
//! asked for, bound to the life of the thread that spawned it (rule L11).

use std::io;
use std::mem::MaybeUninit;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;

/// How a child begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Birth {
    /// The signal that the kernel sends the child when the **thread** that spawned it ends, with its process or before
    /// it (`PR_SET_PDEATHSIG`, prctl(2)). Linux alone; elsewhere it is not looked at. A program that changes its user
    /// or is set-user-ID loses it in its exec.
    pub death_signal: Option<i32>,
}

/// Has every child of `command` begin with default dispositions, those that are ignored here too, and an empty mask of
/// blocked signals, which execve(2) keeps by itself.
///
/// It comes behind what was given to `pre_exec` before. As with any `pre_exec`, the standard library forks then, instead
/// of what it does otherwise (posix_spawn(3)): the price grows with the memory that this process has mapped.
pub fn prepare(command: &mut Command, birth: Birth) {
    let parent = std::process::id();
    // SAFETY: what runs in the forked child is async-signal-safe (signal-safety(7)): it makes system calls on values of
    // its own, takes no lock and allocates nothing, not even for an error, which is a number.
    unsafe { command.pre_exec(move || begin(birth, parent)) };
}

/// Sends a signal to the process that the pidfd was opened for (pidfd_send_signal(2)), and never to another that has
/// got its id since. Unlike most wrappers it takes real-time signals, too.
///
/// # Errors
///
/// `ESRCH`: it has ended and was waited for. `EINVAL`: no such signal. `EPERM`: it is somebody else's now.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a descriptor that is open, a number, no further information and no flags.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0_u32,
        )
    };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal by number (kill(2)). For a child that has not been waited for, whose id is its own that long.
///
/// # Errors
///
/// `ESRCH`, `EINVAL`, `EPERM`, as above; `EINVAL` for an id that means more than one process (0, or above `i32::MAX`).
pub fn send_to(pid: u32, signal: i32) -> io::Result<()> {
    kill(positive(pid)?, signal)
}

/// Sends a signal to each process of a group (killpg(3)).
///
/// # Errors
///
/// As above; `ESRCH` if there is no such group.
pub fn send_to_group(group: u32, signal: i32) -> io::Result<()> {
    match positive(group)? {
        // -1 would be everybody.
        1 => Err(io::ErrorKind::InvalidInput.into()),
        group => kill(-group, signal),
    }
}

fn kill(whom: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes two numbers.
    if unsafe { libc::kill(whom, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn positive(pid: u32) -> io::Result<i32> {
    i32::try_from(pid).ok().filter(|pid| *pid > 0).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// In the child. Async-signal-safe.
fn begin(birth: Birth, parent: u32) -> io::Result<()> {
    default_dispositions();
    die_with(birth.death_signal, parent)?;
    // Last: what was pending meanwhile is delivered to the default, as it would be to any new program.
    empty_mask()
}

/// By the system call itself: the C library refuses the signals that it keeps for its threads (32 and 33 with glibc),
/// which may be ignored as others are.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn default_dispositions() {
    // The kernel's own sigaction, whatever its layout here: no handler is SIG_DFL, with no flags and an empty mask. It
    // has 32 bytes, and 48 at most.
    let default = [0_u64; 8];
    let mask_bytes = usize::try_from(LAST / 8).unwrap_or(0);
    for signal in 1..=LAST {
        // What cannot be changed (SIGKILL, SIGSTOP) is as it should be.
        // SAFETY: a complete action that has no handler, more than the kernel reads, and the size of its masks; nothing
        // is asked back.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                mask_bytes,
            )
        };
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn default_dispositions() {
    // SAFETY: zeroed is a valid sigaction: SIG_DFL, no flags, an empty mask.
    let default = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    for signal in 1..=LAST {
        // What cannot be changed is as it should be.
        // SAFETY: a complete action that has no handler.
        unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) };
    }
}

/// The highest number of a signal: 64 on Linux (128 on MIPS), fewer elsewhere, where the rest is refused.
const LAST: i32 = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 128 } else { 64 };

fn empty_mask() -> io::Result<()> {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: room for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: a set that was initialized above; nothing is asked back.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn die_with(signal: Option<i32>, parent: u32) -> io::Result<()> {
    let Some(signal) = signal else { return Ok(()) };
    // SAFETY: the option and a number, extended to the width that prctl(2) reads.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, i64::from(signal)) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // It is not sent for an end that came before it was asked for.
    // SAFETY: takes nothing and cannot fail.
    if u32::try_from(unsafe { libc::getppid() }) != Ok(parent) {
        // SAFETY: ends the process without running anything of it.
        unsafe { libc::_exit(ORPHANED) }
    }
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn die_with(_signal: Option<i32>, _parent: u32) -> io::Result<()> {
    Ok(())
}

/// The status of a child whose parent was gone before it could begin; nobody is there to see it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ORPHANED: i32 = 127;
