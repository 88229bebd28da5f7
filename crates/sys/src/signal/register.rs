//! Putting the handler in place, and taking it back.

use super::handler::{self, INSTALLER, SLOTS, Slot, address, disposition, getpid};
use super::inbox::Inbox;
use super::{Registered, SignalError};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// Dispositions are changed by one thread at a time.
static CHANGING: Mutex<()> = Mutex::new(());

/// Puts our handler in place of the disposition of `signal`, in the whole process.
///
/// # Errors
///
/// [`SignalError`] says which; nothing has been changed then.
pub fn register(signal: i32) -> Result<Registered, SignalError> {
    let slot = usize::try_from(signal).ok().filter(|index| *index > 0).and_then(|index| SLOTS.get(index));
    let slot = slot.ok_or_else(|| refused(signal, io::Error::from_raw_os_error(libc::EINVAL)))?;
    if FAULTS.contains(&signal) {
        return Err(refused(signal, io::Error::new(io::ErrorKind::InvalidInput, AGAIN)));
    }
    // Before any lock: at the fork it may have been held by a thread that the child does not have.
    if is_forked() {
        return Err(SignalError::Forked);
    }
    Inbox::open().map_err(SignalError::Inbox)?;
    let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    if slot.active.load(Ordering::Acquire) {
        return Err(SignalError::Taken { signal });
    }
    let before = disposition(signal).ok_or_else(|| refused(signal, io::Error::last_os_error()))?;
    if before.sa_sigaction == libc::SIG_IGN {
        return Ok(Registered::Ignored);
    }
    install(slot, signal, before)
}

/// The program's own faults (signal(7)). A handler that returns from one repeats the instruction, and so the fault, for
/// ever, where the default would have ended the program.
const FAULTS: [i32; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];

const AGAIN: &str = "it is a fault of the program, which would come again at once and for ever";

/// Whether this process is a forked child of the one that registered signals: everything here is inert then.
#[must_use]
pub fn is_forked() -> bool {
    !matches!(INSTALLER.load(Ordering::Acquire), 0) && INSTALLER.load(Ordering::Acquire) != getpid()
}

/// Lets the calling thread receive `signal`, whatever mask it was started with.
///
/// # Errors
///
/// No such signal.
pub fn unblock(signal: i32) -> io::Result<()> {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: room for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: a set that was initialized above.
    if unsafe { libc::sigaddset(set.as_mut_ptr(), signal) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the same set; nothing is asked back.
    match unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Has the main thread call the handler that was there before ours, as if `signal` had come, without a record: see
/// [`Registration::on_main_thread`], without which this does nothing. Several at once may come to one call, which begins
/// after the last. False if ours is not in force, or this is another system than Linux.
#[must_use = "it may not be possible"]
pub fn nudge(signal: i32) -> bool {
    let Some(slot) = slot(signal) else { return false };
    let asked = [&slot.active, &slot.chain, &slot.on_main].iter().all(|asked| asked.load(Ordering::Acquire));
    let in_force = || disposition(signal).is_some_and(|now| now.sa_sigaction == address());
    asked && !is_forked() && in_force() && handler::nudge(slot, signal)
}

/// Ends the process by `signal` itself, so that whoever waits for it sees `WIFSIGNALED`: puts back the default
/// disposition, lets the calling thread receive the signal, and sends it to that thread.
///
/// Returns only when the process is still there: no such signal, or one whose default is not to end the process.
/// Where the default is to dump core (SIGQUIT), that is done too. Nothing is flushed and no destructor runs.
#[must_use = "it returns only if it has failed"]
pub fn end_by(signal: i32) -> io::Error {
    // SAFETY: zeroed is a valid sigaction: SIG_DFL, no flags, an empty mask.
    let default = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    // SAFETY: a complete action that has no handler.
    if unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) } != 0 {
        return io::Error::last_os_error();
    }
    if let Err(error) = unblock(signal) {
        return error;
    }
    // SAFETY: takes a number. It is delivered before this returns, since this thread has it unblocked (raise(3)).
    if unsafe { libc::raise(signal) } != 0 {
        return io::Error::last_os_error();
    }
    io::Error::other("the default of this signal is not to end the process")
}

/// Our handler in its place. Dropping it restores the disposition before it, if the handler in force is still
/// ours; if somebody has put theirs over it, theirs stays, and if theirs calls ours, ours passes the signal on to
/// the one before it. (So a later registration neither chains to theirs nor calls it in a forked child: the two
/// would call each other for ever.)
pub struct Registration {
    signal: i32,
    before: libc::sigaction,
}

impl Registration {
    /// The signal's number.
    #[must_use]
    pub fn signal(&self) -> i32 {
        self.signal
    }

    /// Whether the handler that was there before is called after ours. The default action is never carried out.
    pub fn chain(&self, chain: bool) {
        if let Some(slot) = slot(self.signal) {
            slot.chain.store(chain, Ordering::Release);
        }
    }

    /// Whether it is the main thread that calls it, wherever the signal lands: some languages run their handlers in that
    /// one, and what it waits in is to be interrupted. On Linux; elsewhere no signal from a process to its own thread can
    /// be told from others.
    pub fn on_main_thread(&self, on_main: bool) {
        if let Some(slot) = slot(self.signal) {
            slot.on_main.store(on_main, Ordering::Release);
        }
    }

    /// Puts our handler over the one that somebody has put over it, which is the one before it from now on; true if
    /// there was one. Only for one that does not call ours: the two would call each other for ever.
    ///
    /// # Errors
    ///
    /// The system refuses it; nothing has been changed then.
    pub fn renew(&mut self) -> Result<bool, SignalError> {
        if is_forked() {
            return Err(SignalError::Forked);
        }
        let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slot(self.signal) else { return Ok(false) };
        let error = || refused(self.signal, io::Error::last_os_error());
        let above = disposition(self.signal).ok_or_else(error)?;
        if above.sa_sigaction == address() || above.sa_sigaction == libc::SIG_IGN {
            return Ok(false);
        }
        slot.previous.store(Box::into_raw(Box::new(above)), Ordering::Release);
        put(self.signal, &above)?;
        self.before = above;
        Ok(true)
    }

    /// Whether the end of a Windows session is taken: nothing to do here, where there is none.
    pub fn logoff(&self, _logoff: bool) {}
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A forked child has its own dispositions, and what ours does there is what was there before.
        if is_forked() {
            return;
        }
        let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slot(self.signal) else { return };
        if disposition(self.signal).is_some_and(|now| now.sa_sigaction == address()) {
            // SAFETY: a disposition that the kernel gave us for this very signal.
            unsafe { libc::sigaction(self.signal, &raw const self.before, ptr::null_mut()) };
        } else {
            slot.covered.store(true, Ordering::Release);
        }
        // In this order: a delivery between the two is recorded, and one after both finds the old disposition.
        slot.active.store(false, Ordering::Release);
        slot.chain.store(false, Ordering::Release);
        slot.on_main.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("signal", &self.signal).finish_non_exhaustive()
    }
}

fn slot(signal: i32) -> Option<&'static Slot> {
    usize::try_from(signal).ok().and_then(|index| SLOTS.get(index))
}

fn refused(signal: i32, source: io::Error) -> SignalError {
    SignalError::Refused { signal, source }
}

fn install(slot: &Slot, signal: i32, before: libc::sigaction) -> Result<Registered, SignalError> {
    let before = remember(slot, before);
    // Everything the handler reads is in place before the kernel can call it.
    slot.active.store(true, Ordering::Release);
    if let Err(error) = put(signal, &before) {
        slot.active.store(false, Ordering::Release);
        return Err(error);
    }
    Ok(Registered::Handled(Registration { signal, before }))
}

/// Our handler, in place of that one.
fn put(signal: i32, before: &libc::sigaction) -> Result<(), SignalError> {
    let mut ours = *before;
    ours.sa_mask = all_but_faults();
    ours.sa_sigaction = address();
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | restarts(before);
    // SAFETY: a complete action whose handler is async-signal-safe and lives as long as the program.
    match unsafe { libc::sigaction(signal, &raw const ours, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(refused(signal, io::Error::last_os_error())),
    }
}

/// Blocking system calls go on, unless whoever had the signal before us wants them to be interrupted (CPython does, whose
/// handlers run between two of them).
fn restarts(before: &libc::sigaction) -> libc::c_int {
    let is_function = !matches!(before.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
    if is_function { before.sa_flags & libc::SA_RESTART } else { libc::SA_RESTART }
}

/// What is blocked while our handler runs. Handlers must not nest: an alternative stack may be as small as one frame
/// that the kernel pushes (`AT_MINSIGSTKSZ`, getauxval(3); Rust gives its threads 8 KiB), and several different
/// signals at once would overflow it. Faults stay unblocked, or one in a chained handler would kill without a word.
fn all_but_faults() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: `set` is room for a signal set, which this fills.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    for fault in FAULTS.into_iter().chain([libc::SIGABRT]) {
        // SAFETY: `set` has been filled above.
        unsafe { libc::sigdelset(set.as_mut_ptr(), fault) };
    }
    // SAFETY: filled above.
    unsafe { set.assume_init() }
}

/// Keeps the disposition before ours where the handler finds it, and answers what to restore in the end.
fn remember(slot: &Slot, before: libc::sigaction) -> libc::sigaction {
    // SAFETY: null, or a box that was leaked and is never written again.
    let known = unsafe { slot.previous.load(Ordering::Acquire).as_ref() };
    match known {
        // Somebody who had covered our handler put it back after we had gone: it is not its own predecessor.
        Some(known) if before.sa_sigaction == address() => *known,
        // What is there now may call ours, which must not call it back.
        Some(_) if slot.covered.load(Ordering::Acquire) => before,
        // A lifecycle that comes and goes must not leak a box each time.
        Some(known) if known.sa_sigaction == before.sa_sigaction && known.sa_flags == before.sa_flags => {
            before
        }
        _ => {
            slot.previous.store(Box::into_raw(Box::new(before)), Ordering::Release);
            before
        }
    }
}
