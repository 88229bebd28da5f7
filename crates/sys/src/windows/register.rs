//! Putting the handler into the console's list, and taking it out.

use super::handler::{self, handle};
use super::inbox::Inbox;
use super::{Registered, SIGHUP, SIGQUIT, SignalError};
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, FALSE, STATUS_CONTROL_C_EXIT, TRUE};
use windows_sys::Win32::System::Console::SetConsoleCtrlHandler;
use windows_sys::core::BOOL;

/// Whether our handler is in the list. It is in there once, however many numbers are registered.
static IN_LIST: Mutex<bool> = Mutex::new(false);

/// Takes the events of `signal`, in the whole process: 2 (SIGINT), 15 (SIGTERM) or 21 (SIGBREAK). Those that are never
/// sent here (1, SIGHUP, and 3, SIGQUIT) are [`Registered::Ignored`], so that programs need not leave them out.
///
/// # Errors
///
/// [`SignalError`] says which; nothing has been changed then.
pub fn register(signal: i32) -> Result<Registered, SignalError> {
    if matches!(signal, SIGHUP | SIGQUIT) {
        return Ok(Registered::Ignored);
    }
    Inbox::open().map_err(SignalError::Inbox)?;
    let mut in_list = IN_LIST.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = handler::change(|state| {
        let slot = state.slot(signal).ok_or_else(unknown)?;
        Ok(std::mem::replace(&mut slot.active, true))
    });
    if taken.map_err(|source| SignalError::Refused { signal, source })? {
        return Err(SignalError::Taken { signal });
    }
    let registration = Registration { signal };
    if !*in_list {
        if let Err(source) = list(TRUE) {
            registration.deactivate();
            std::mem::forget(registration);
            return Err(SignalError::Refused { signal, source });
        }
        *in_list = true;
    }
    Ok(Registered::Handled(registration))
}

/// Whether this process is a forked child: never.
#[must_use]
pub fn is_forked() -> bool {
    false
}

/// Lets the calling thread receive `signal`: nothing to do, since events come on threads of their own.
///
/// # Errors
///
/// None here.
pub fn unblock(_signal: i32) -> io::Result<()> {
    Ok(())
}

/// Ends the process as the event itself would have: with the status `STATUS_CONTROL_C_EXIT`, whatever the number.
/// Returns only when that has failed. Nothing is flushed and no destructor runs.
#[must_use = "it returns only if it has failed"]
pub fn end_by(signal: i32) -> io::Error {
    if handler::change(|state| state.slot(signal).is_none()) {
        return unknown();
    }
    std::process::exit(STATUS_CONTROL_C_EXIT)
}

/// Has the main thread call the handler below ours: never here, where no thread can be interrupted.
#[must_use = "it may not be possible"]
pub fn nudge(_signal: i32) -> bool {
    false
}

/// A number whose events are ours. Dropping it gives them back to whoever had them before.
pub struct Registration {
    signal: i32,
}

impl Registration {
    /// The signal's number.
    #[must_use]
    pub fn signal(&self) -> i32 {
        self.signal
    }

    /// Whether the handler below ours is asked after ours, see [the module](super). Windows ends the process where
    /// there is none.
    pub fn chain(&self, chain: bool) {
        self.set(|slot| slot.chain = chain);
    }

    /// Whether the main thread calls it: nothing to do here, where handlers have threads of their own.
    pub fn on_main_thread(&self, _on_main: bool) {}

    /// Puts ours over the one that was put over it: nothing to do here, where all are asked in turn.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn renew(&mut self) -> Result<bool, SignalError> {
        Ok(false)
    }

    /// Whether a logoff is taken, as it is unless told otherwise. If not, nothing comes of it: a service outlives its
    /// users.
    pub fn logoff(&self, logoff: bool) {
        self.set(|slot| slot.logoff = logoff);
    }

    fn set(&self, set: impl FnOnce(&mut handler::Slot)) {
        handler::change(|state| state.slot(self.signal).map(set));
    }

    fn deactivate(&self) {
        self.set(|slot| *slot = handler::Slot::new());
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut in_list = IN_LIST.lock().unwrap_or_else(PoisonError::into_inner);
        self.deactivate();
        // A handler that does not return may keep the list locked, and taking ours out would wait for it for ever.
        // Left in there, it passes every event on. One that comes after this look finds nothing active, and returns.
        let idle = handler::change(|state| !state.is_active() && state.held == 0);
        if idle && *in_list && list(FALSE).is_ok() {
            *in_list = false;
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("signal", &self.signal).finish_non_exhaustive()
    }
}

fn list(add: BOOL) -> io::Result<()> {
    // SAFETY: a function that lives as long as the program; TRUE adds it, FALSE removes it.
    match unsafe { SetConsoleCtrlHandler(Some(handle), add) } {
        FALSE => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn unknown() -> io::Error {
    io::Error::from_raw_os_error(ERROR_INVALID_PARAMETER as i32)
}
