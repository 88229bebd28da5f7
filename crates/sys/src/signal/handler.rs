//! What runs inside the handler: nothing here may lock, allocate or touch thread-local storage (signal-safety(7)).

use super::inbox::{self, Packet};
use libc::{c_int, c_void, siginfo_t};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};

/// One more than the highest signal number (`_NSIG`; SIGRTMAX is 64).
pub(super) const SIGNALS: usize = 65;

/// Everything the handler may know of a signal. Written by `register`, which holds a lock; read by the handler.
pub(super) static SLOTS: [Slot; SIGNALS] = [const { Slot::new() }; SIGNALS];

/// The process whose signals are ours; every other one that runs this code is a forked child. 0: none yet.
pub(super) static INSTALLER: AtomicI32 = AtomicI32::new(0);

pub(super) struct Slot {
    /// Deliveries are ours to record.
    pub(super) active: AtomicBool,
    /// The previous handler runs after ours.
    pub(super) chain: AtomicBool,
    /// The main thread calls it, wherever the signal lands.
    pub(super) on_main: AtomicBool,
    /// The disposition before ours: null, or a leaked box (a handler on another thread may be reading it, and
    /// nobody can know when it has finished).
    pub(super) previous: AtomicPtr<libc::sigaction>,
    /// A handler was put over ours and may still call it.
    pub(super) covered: AtomicBool,
    /// Deliveries that did not fit into the pipe.
    pub(super) overflow: AtomicU32,
    /// A signal of ours is on its way to the main thread, which is for the previous handler and is not recorded.
    nudged: AtomicBool,
}

impl Slot {
    const fn new() -> Self {
        Self {
            active: AtomicBool::new(false),
            chain: AtomicBool::new(false),
            on_main: AtomicBool::new(false),
            previous: AtomicPtr::new(ptr::null_mut()),
            covered: AtomicBool::new(false),
            overflow: AtomicU32::new(0),
            nudged: AtomicBool::new(false),
        }
    }
}

/// The address by which our handler is known to the kernel.
pub(super) fn address() -> libc::sighandler_t {
    handle as *const () as libc::sighandler_t
}

/// The current disposition of `signal`.
pub(super) fn disposition(signal: c_int) -> Option<libc::sigaction> {
    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null action only asks, and `current` is room for the answer.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), current.as_mut_ptr()) };
    // SAFETY: zeroed is a valid sigaction (integers and an optional function), and the kernel may have filled it.
    (asked == 0).then(|| unsafe { current.assume_init() })
}

extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let errno = errno();
    if let Some(slot) = usize::try_from(signal).ok().and_then(|index| SLOTS.get(index)) {
        if getpid() != INSTALLER.load(Ordering::Relaxed) {
            act_as_before(slot, signal, info, context);
        } else if slot.active.load(Ordering::Acquire) {
            let nudged = is_nudge(slot, info);
            if !nudged {
                record(slot, signal, info);
            }
            let elsewhere = !nudged && slot.on_main.load(Ordering::Acquire) && !is_main_thread();
            if slot.chain.load(Ordering::Acquire) && !(elsewhere && nudge(slot, signal)) {
                call_previous(slot, signal, info, context);
            }
        } else if disposition(signal).is_none_or(|now| now.sa_sigaction != address()) {
            // We were taken back while this delivery was on its way, or a handler over ours calls us still.
            act_as_before(slot, signal, info, context);
        }
    }
    set_errno(errno);
}

/// Has the main thread call the previous handler of `signal`, as if the signal had come there. Async-signal-safe. One at
/// a time is on its way, which is enough: whoever asks while one is asked before the handler runs.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn nudge(slot: &Slot, signal: c_int) -> bool {
    if !slot.nudged.swap(true, Ordering::SeqCst) {
        let pid = getpid();
        // SAFETY: takes numbers; tgkill(2) is a plain system call, and the main thread's id is the process's.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, signal) };
        if sent != 0 {
            slot.nudged.store(false, Ordering::SeqCst);
            return false;
        }
    }
    true
}

/// Elsewhere no signal of ours could be told from others.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn nudge(_slot: &Slot, _signal: c_int) -> bool {
    false
}

/// Whether this delivery is what `nudge` has sent. That one alone carries our own id with `SI_TKILL`, but for raise(3)
/// while one is on its way: then either is taken for the other, which comes to the same.
fn is_nudge(slot: &Slot, info: *mut siginfo_t) -> bool {
    // SAFETY: the kernel calls a SA_SIGINFO handler with a valid siginfo; a foreign handler may pass null.
    let Some(info) = (unsafe { info.as_ref() }) else { return false };
    if info.si_code != SI_TKILL || !is_main_thread() {
        return false;
    }
    // SAFETY: with this code the kernel has filled the sender's fields of the union (sigaction(2)).
    let pid = unsafe { info.si_pid() };
    pid == getpid() && slot.nudged.swap(false, Ordering::SeqCst)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_main_thread() -> bool {
    // SAFETY: no arguments, cannot fail, a plain system call.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    thread == libc::c_long::from(getpid())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_main_thread() -> bool {
    true
}

fn record(slot: &Slot, signal: c_int, info: *mut siginfo_t) {
    let packet = packet(signal, info);
    if !inbox::send(&packet) {
        slot.overflow.fetch_add(1, Ordering::SeqCst);
        // If the reader emptied the pipe between the two, this wakes it again; if the pipe is still full, the
        // reader looks at the counters when it has emptied it.
        inbox::send(&Packet::WAKE);
    }
}

fn packet(signal: c_int, info: *mut siginfo_t) -> Packet {
    // SAFETY: the kernel calls a SA_SIGINFO handler with a valid siginfo; a foreign handler that chains to us
    // may pass null, and then there is nothing to read.
    let Some(info) = (unsafe { info.as_ref() }) else {
        return Packet { signal, code: 0, pid: 0, related: 0, at: inbox::now() };
    };
    let sent = matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE | SI_TKILL);
    let pid = if sent {
        // SAFETY: with these codes the kernel has filled the sender's fields of the union (sigaction(2)).
        unsafe { info.si_pid() }
    } else {
        0
    };
    let related = info.si_code == libc::SI_USER && related(pid);
    Packet { signal, code: info.si_code, pid, related: related.into(), at: inbox::now() }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use libc::SI_TKILL;
/// Elsewhere thread-directed signals carry `SI_USER`; this value is none's.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const SI_TKILL: c_int = c_int::MIN;

/// Whether `pid` is our parent or in our process group. Asked here and not by the reader, since a sender such as
/// kill(1) is gone the moment it has sent.
fn related(pid: libc::pid_t) -> bool {
    // 0 stands for a sender in a namespace outside ours, and would mean ourselves to getpgid(2).
    if pid == 0 {
        return false;
    }
    // SAFETY: no arguments, cannot fail, async-signal-safe.
    let parent = unsafe { libc::getppid() };
    // SAFETY: as above.
    let group = unsafe { libc::getpgrp() };
    // SAFETY: takes a number; a plain system call, safe in a handler. Answers -1 for a process that is gone.
    let theirs = unsafe { libc::getpgid(pid) };
    pid == parent || theirs == group
}

/// What would have happened without us.
fn act_as_before(slot: &Slot, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(previous) = previous(slot) else { return };
    if previous.sa_sigaction != libc::SIG_DFL {
        return call_previous(slot, signal, info, context);
    }
    // Under a foreign handler that chains to us the default is not in force, and not ours to put there.
    match disposition(signal) {
        Some(now) if now.sa_sigaction == address() || now.sa_sigaction == libc::SIG_DFL => {}
        _ => return,
    }
    // SAFETY: `previous` is a disposition that the kernel gave us; sigaction is async-signal-safe.
    unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
    // SAFETY: takes a number, async-signal-safe. The signal is blocked until this handler returns, and acts then.
    unsafe { libc::raise(signal) };
}

/// Calls the previous handler, if it was a function.
fn call_previous(slot: &Slot, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(previous) = previous(slot) else { return };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {}
        function if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the kernel held this address as a SA_SIGINFO handler, so it is a function of this type.
            let function = unsafe {
                std::mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(function)
            };
            function(signal, info, context);
        }
        function => {
            // SAFETY: the kernel held this address as a plain handler, so it is a function of this type.
            let function = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(function) };
            function(signal);
        }
    }
}

fn previous(slot: &Slot) -> Option<&libc::sigaction> {
    // SAFETY: null, or a box that was leaked and is never written again.
    unsafe { slot.previous.load(Ordering::Acquire).as_ref() }
}

pub(super) fn getpid() -> libc::pid_t {
    // SAFETY: no arguments, cannot fail, async-signal-safe.
    unsafe { libc::getpid() }
}

fn errno_location() -> *mut c_int {
    #[cfg(any(target_os = "linux", target_os = "emscripten"))]
    // SAFETY: no arguments; the calling thread's errno always exists.
    let location = unsafe { libc::__errno_location() };
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    // SAFETY: as above.
    let location = unsafe { libc::__error() };
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    // SAFETY: as above.
    let location = unsafe { libc::__errno() };
    location
}

fn errno() -> c_int {
    // SAFETY: the calling thread's errno, valid and ours alone.
    unsafe { errno_location().read() }
}

fn set_errno(value: c_int) {
    // SAFETY: as for reading.
    unsafe { errno_location().write(value) }
}
