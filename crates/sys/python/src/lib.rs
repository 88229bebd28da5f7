//! What the Python module of Exeunt cannot do safely by PyO3 alone.

mod interrupt;

pub use interrupt::{interrupt_main_thread, waits_end_by};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::mem;
use std::ptr;
use std::time::Duration;

mod raw {
    use pyo3::ffi::PyObject;

    unsafe extern "C-unwind" {
        pub(crate) fn PyObject_Call(
            callable: *mut PyObject,
            arguments: *mut PyObject,
            named: *mut PyObject,
        ) -> *mut PyObject;
        pub(crate) fn PyObject_CallFunctionObjArgs(callable: *mut PyObject, ...) -> *mut PyObject;
    }
}

/// Calls `callable`, as `callable.call1(arguments)` does, for whoever may be at it when the interpreter is finalized.
///
/// Before 3.14, CPython ends a thread that wants the GIL back then by `pthread_exit`, wherever it is in Python
/// (`Py_FinalizeEx`, "daemon threads"). That unwinds the thread's stack, which Rust's frames do not allow: the process
/// aborts. So the thread stays here for ever in place of that, as from 3.14 on in CPython itself; the process ends over it.
///
/// # Errors
///
/// What was raised.
// In a frame of its own: an optimized build that inlined it dropped nothing of it when the stack unwound, and aborted.
#[inline(never)]
pub fn call<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let stays = Stays;
    // SAFETY: two objects that live as long as their borrows, the second a tuple, in a thread that is attached, as `'py`
    // shows; no named arguments are null (`PyObject_Call` says so). What it unwinds ends at `stays`.
    let result: *mut PyObject =
        unsafe { raw::PyObject_Call(callable.as_ptr(), arguments.as_ptr(), ptr::null_mut()) };
    mem::forget(stays);
    // SAFETY: a reference of our own, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(callable.py(), result) }
}

/// The same with three arguments, for which no tuple is made.
///
/// # Errors
///
/// What was raised.
// In a frame of its own: an optimized build that inlined it dropped nothing of it when the stack unwound, and aborted.
#[inline(never)]
pub fn call3<'py>(
    callable: &Bound<'py, PyAny>,
    [first, second, third]: [&Bound<'py, PyAny>; 3],
) -> PyResult<Bound<'py, PyAny>> {
    let stays = Stays;
    let end: *mut PyObject = ptr::null_mut();
    // SAFETY: objects that live as long as their borrows, and a null pointer behind the last one, as
    // `PyObject_CallFunctionObjArgs` wants them, in a thread that is attached, as `'py` shows. What it unwinds ends at
    // `stays`.
    let result: *mut PyObject = unsafe {
        raw::PyObject_CallFunctionObjArgs(
            callable.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            third.as_ptr(),
            end,
        )
    };
    mem::forget(stays);
    // SAFETY: a reference of our own, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(callable.py(), result) }
}

/// Whether this is the main interpreter. CPython itself refuses modules such as ours in others from 3.12 on only.
#[must_use]
pub fn is_main_interpreter(_attached: Python<'_>) -> bool {
    // SAFETY: the thread is attached to an interpreter, which this gives.
    let this = unsafe { ffi::PyInterpreterState_Get() };
    // SAFETY: that interpreter lives as long as the thread is attached. Its number is 0 for the main one
    // (`PyInterpreterState_GetID`).
    unsafe { ffi::PyInterpreterState_GetID(this) == 0 }
}

/// Has `act` called when the interpreter has done all that it does at its end: it has no Python any more. False where there
/// is no room for it (`Py_AtExit`).
#[must_use = "there may be no room"]
pub fn at_end(_attached: Python<'_>, act: extern "C" fn()) -> bool {
    // SAFETY: the thread is attached; a function that takes nothing and lives as long as the process, since CPython
    // unloads no module.
    unsafe { ffi::Py_AtExit(Some(act)) == 0 }
}

/// Dropped by an unwinding stack alone.
struct Stays;

impl Drop for Stays {
    fn drop(&mut self) {
        // Not parked: that looks for the thread's own data, which may be gone.
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
}
