//! How the main thread is interrupted, to look what has become of the stop.

use exeunt_lifecycle::Signal;

#[cfg(unix)]
pub(super) use signals::{by, by_any};
#[cfg(windows)]
pub(super) use trips::{by, by_any};

/// A signal is sent there that counts for nothing, and our handler calls Python's.
#[cfg(unix)]
mod signals {
    use super::Signal;

    /// By that one. False if it cannot be done.
    pub(in crate::shields) fn by(signal: Signal) -> bool {
        signal.nudge()
    }

    /// By any that Python has a handler of ours for. SIGHUP comes last, since its handler has more to do.
    pub(in crate::shields) fn by_any() -> bool {
        let signals = [Signal::TERMINATE, Signal::INTERRUPT, Signal::new(3), Signal::HANGUP];
        signals.into_iter().any(by)
    }
}

/// Python is told that there was a signal.
#[cfg(windows)]
mod trips {
    use super::Signal;
    use crate::shields::conductor;

    pub(in crate::shields) fn by(signal: Signal) -> bool {
        !conductor::is_ending() && exeunt_sys_python::interrupt_main_thread(signal.number())
    }

    /// By the one that nobody else has reason to raise. A console event never gets to Python's handlers while ours is
    /// there, so that what they are called for is this, or the program itself.
    pub(in crate::shields) fn by_any() -> bool {
        by(Signal::BREAK)
    }
}
