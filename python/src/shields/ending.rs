//! The end of the interpreter, where nothing can be raised any more: there the exit status says what the exception would
//! have said.

use super::conductor::{Conductor, is_drop_in};
use exeunt_lifecycle::Signal;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The exception of the stop fell due in the main thread when the program's own code was over.
static OWED: AtomicBool = AtomicBool::new(false);

pub(super) fn owe() {
    OWED.store(true, Ordering::SeqCst);
}

pub(super) fn is_owed() -> bool {
    OWED.load(Ordering::SeqCst)
}

/// Has the status settled when the interpreter has done all that it does at its end.
pub(super) fn register(py: Python<'_>) {
    // There is room for 32; without it the status is the program's own.
    _ = exeunt_sys_python::at_end(py, settle);
}

/// What the program ends with that leaves by the exception of this stop; `None`: by the very signal.
pub(super) fn status(conductor: &Conductor) -> Option<u8> {
    let signal = conductor.signal();
    let (forced, drop_in) = (conductor.stop.is_forced(), is_drop_in());
    match (forced, drop_in) {
        (true, false) => Some(u8::try_from(signal).map_or(u8::MAX, |signal| signal.saturating_add(128))),
        (false, false) => Some(0),
        (false, true) if signal == Signal::INTERRUPT.number() => None,
        (_, true) => Some(1),
    }
}

#[expect(clippy::exit, reason = "the interpreter has ended, and the process with it")]
extern "C" fn settle() {
    let Some(conductor) = Conductor::installed().filter(|conductor| conductor.is_here()) else { return };
    if !is_owed() {
        return;
    }
    match status(conductor) {
        // As the program itself has it.
        Some(0) => {}
        Some(status) => std::process::exit(status.into()),
        // As CPython does where `KeyboardInterrupt` leaves the program, so that a shell sees it.
        None => _ = Signal::INTERRUPT.end_process(),
    }
}

/// Ends the process after that time, whoever holds the GIL; false if no thread is to be had for it.
pub(super) fn end_in(time: Duration, status: u8) -> bool {
    let thread = std::thread::Builder::new().name("exeunt-end".to_owned());
    let waits = thread.spawn(move || {
        std::thread::sleep(time);
        exeunt_sys::process::exit_now(status)
    });
    waits.is_ok()
}
