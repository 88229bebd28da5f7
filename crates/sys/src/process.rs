//! The end of the process, whatever else it is in the middle of.

/// Ends the process at once: no destructor and no exit handler runs, and nothing is flushed, so that nothing can block
/// (`_exit(2)`; `TerminateProcess`).
pub fn exit_now(status: u8) -> ! {
    #[cfg(unix)]
    // SAFETY: takes a number and does not return. It touches nothing that another thread may be using.
    unsafe {
        libc::_exit(status.into())
    }
    #[cfg(windows)]
    {
        use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};
        // SAFETY: takes nothing, and gives a pseudo handle that need not be closed.
        let this = unsafe { GetCurrentProcess() };
        // SAFETY: a handle to this process, which may end itself.
        unsafe { TerminateProcess(this, status.into()) };
        // It is over as soon as the system gets to it.
        loop {
            std::thread::park();
        }
    }
}
