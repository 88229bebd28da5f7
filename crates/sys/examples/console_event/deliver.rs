//! `console_event PID EVENT [LIMIT]`: makes the thread that Windows makes for an event. EVENT is ctrl-c, ctrl-break, close,
//! logoff or shutdown.
//!
//! Says "returned" or "held" when it knows which the handler does. After the last three events it then ends the process
//! when the handler returns (a service goes on after a logoff), and in any case LIMIT milliseconds after the event (5,000
//! unless told otherwise), as Windows does and wine does not. Exits 0 if it did not have to, 3 if the handler had returned,
//! 4 if the time was over.

use std::io::Write as _;
use std::mem::transmute;
use std::process::exit;
use std::ptr;
use windows_sys::Win32::Foundation::{HANDLE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::Threading::{
    CreateRemoteThread, OpenProcess, PROCESS_ALL_ACCESS, TerminateProcess, WaitForMultipleObjects,
    WaitForSingleObject,
};
use windows_sys::core::s;

/// What Windows gives a process that it has begun to end.
const LIMIT: u32 = 5_000;

/// A handler that is going to return has done so by then, and so has a process that is ending, unless the machine stands
/// still.
const RETURNING: u32 = 500;

pub(crate) fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [pid, event, limit @ ..] = arguments.as_slice() else { panic!("console_event PID EVENT [LIMIT]") };
    let limit = limit.first().map_or(LIMIT, |limit| limit.parse().unwrap());
    let event = match event.as_str() {
        "ctrl-c" => CTRL_C_EVENT,
        "ctrl-break" => CTRL_BREAK_EVENT,
        "close" => CTRL_CLOSE_EVENT,
        "logoff" => CTRL_LOGOFF_EVENT,
        "shutdown" => CTRL_SHUTDOWN_EVENT,
        other => panic!("no event {other:?}"),
    };
    let process = unsafe { OpenProcess(PROCESS_ALL_ACCESS, 0, pid.parse().unwrap()) };
    assert!(!process.is_null(), "no process {pid}: {}", std::io::Error::last_os_error());
    let handler = deliver(process, event);

    let returned = ended(handler, RETURNING);
    println!("{}", if returned { "returned" } else { "held" });
    std::io::stdout().flush().unwrap();
    // A service outlives a logoff that it has taken.
    let goes_on = event == CTRL_LOGOFF_EVENT && returned;
    if goes_on || event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT {
        exit(0);
    }
    let either = [process, handler];
    unsafe { WaitForMultipleObjects(2, either.as_ptr(), 0, limit.saturating_sub(RETURNING)) };
    if ended(process, if ended(handler, 0) { RETURNING } else { 0 }) {
        exit(0);
    }
    let why = if ended(handler, 0) { 3 } else { 4 };
    unsafe { TerminateProcess(process, 99) };
    exit(why);
}

/// The system's library is at the same address in every process.
fn deliver(process: HANDLE, event: u32) -> HANDLE {
    let routine = unsafe { GetProcAddress(GetModuleHandleA(s!("kernel32.dll")), s!("CtrlRoutine")) }.unwrap();
    let routine = unsafe {
        transmute::<unsafe extern "system" fn() -> isize, unsafe extern "system" fn(*mut _) -> u32>(routine)
    };
    let event = ptr::without_provenance(event as usize);
    let thread =
        unsafe { CreateRemoteThread(process, ptr::null(), 0, Some(routine), event, 0, ptr::null_mut()) };
    assert!(!thread.is_null(), "no thread: {}", std::io::Error::last_os_error());
    thread
}

fn ended(handle: HANDLE, within: u32) -> bool {
    unsafe { WaitForSingleObject(handle, within) == WAIT_OBJECT_0 }
}
