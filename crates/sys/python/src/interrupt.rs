//! The main thread, which alone runs the handlers of `signal.signal`, is interrupted without a signal: Windows has none.

use pyo3::ffi;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The event that ends a wait of the main thread; 0 for none.
static EVENT: AtomicUsize = AtomicUsize::new(0);

/// Says by which event of Windows waits of the main thread end: the handle that CPython's own handler of Ctrl-C sets
/// (`_PyOS_SigintEvent`, no part of the stable ABI, so that Python has to find it), which lives as long as the process. 0
/// where it is not to be had. Nothing on other systems.
pub fn waits_end_by(event: usize) {
    EVENT.store(event, Ordering::Relaxed);
}

/// Has the main thread run Python's handler of that signal (`PyErr_SetInterruptEx`), and ends what it waits in, as far as a
/// Ctrl-C would: on Windows `time.sleep`, for one, and loops that have `signal.set_wakeup_fd`. Elsewhere no wait ends.
///
/// Nothing if the handler is `SIG_DFL` or `SIG_IGN`. Needs no GIL; not while the interpreter is finalized, whose state it
/// looks at. False for a number that is none of a signal.
#[must_use = "it may not be possible"]
pub fn interrupt_main_thread(signal: i32) -> bool {
    // SAFETY: takes a number; without the GIL and from any thread ("Exception Handling" in CPython's documentation of its C
    // API), as long as there is an interpreter, which callers see to.
    let known = unsafe { ffi::PyErr_SetInterruptEx(signal) } == 0;
    #[cfg(windows)]
    end_wait();
    known
}

#[cfg(windows)]
fn end_wait() {
    let event = EVENT.load(Ordering::Relaxed);
    if event != 0 {
        // SAFETY: a handle that CPython never closes; the call looks at the handle alone, and refuses what is none.
        _ = unsafe { windows_sys::Win32::System::Threading::SetEvent(event as _) };
    }
}
