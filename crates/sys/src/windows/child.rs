//! Children in jobs: a child, and whoever descends from it, is told, ended and outlived as one.
//!
//! A job (Job Objects in the Windows documentation) has the processes that were put into it and all that they start,
//! unless it lets them go, which ours do not. The kernel ends them when the last handle of the job is closed, which it is
//! by whatever ends this process: `TerminateProcess`, too.

use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::os::windows::process::CommandExt as _;
use std::process::{Child, Command};
use std::ptr;
use windows_sys::Win32::Foundation::{
    ERROR_COMMITMENT_LIMIT, ERROR_NO_MORE_FILES, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_OUTOFMEMORY, ERROR_TOO_MANY_OPEN_FILES, FALSE, HANDLE, INVALID_HANDLE_VALUE, WIN32_ERROR,
};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED, OpenThread, ResumeThread, THREAD_SUSPEND_RESUME,
};
use windows_sys::core::BOOL;

/// How a child begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Birth {
    /// In a process group of its own, of its own id, where Ctrl-C is ignored, and [`send_break`] reaches it
    /// (`CREATE_NEW_PROCESS_GROUP`).
    pub own_group: bool,
    /// It goes on, with all of its job, when the [`Job`] is closed.
    pub outlives: bool,
}

/// The job of a child: it, and all that descend from it. Dropping it ends those that are left, unless they may outlive it.
#[derive(Debug)]
pub struct Job(OwnedHandle);

impl Job {
    /// Ends all of them at once, with `status`; returns without waiting for that (`TerminateJobObject`).
    ///
    /// # Errors
    ///
    /// What the system says; none is known for a job of ours.
    pub fn kill(&self, status: u32) -> io::Result<()> {
        // SAFETY: a handle that is open, of a job that we made with all rights.
        done(unsafe { TerminateJobObject(self.0.as_raw_handle(), status) })
    }

    fn new(outlives: bool) -> io::Result<Self> {
        // SAFETY: no attributes (it is not inherited) and no name.
        let job = owned(unsafe { CreateJobObjectW(ptr::null(), ptr::null()) })?;
        if !outlives {
            let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
            limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
            let size = bytes::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>();
            let limits: *const c_void = (&raw const limits).cast();
            // SAFETY: a handle that is open, and the structure of this class with its size.
            done(unsafe {
                SetInformationJobObject(job.as_raw_handle(), JobObjectExtendedLimitInformation, limits, size)
            })?;
        }
        Ok(Self(job))
    }

    fn take(&self, child: &Child) -> io::Result<()> {
        // SAFETY: two handles that are open, of our job and of our child, with all rights.
        done(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), child.as_raw_handle()) })
    }
}

/// Why a child was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// `CreateProcess` refuses the program.
    #[error("the program could not be executed")]
    Execute(#[source] io::Error),
    /// There is no room for a process or its job.
    #[error("no process, or no job for it, is to be had")]
    Job(#[source] io::Error),
}

impl SpawnError {
    fn of_the_system(error: io::Error) -> Self {
        const NO_ROOM: [WIN32_ERROR; 5] = [
            ERROR_TOO_MANY_OPEN_FILES,
            ERROR_NOT_ENOUGH_MEMORY,
            ERROR_OUTOFMEMORY,
            ERROR_NO_SYSTEM_RESOURCES,
            ERROR_COMMITMENT_LIMIT,
        ];
        match error.raw_os_error() {
            Some(number) if NO_ROOM.contains(&number.cast_unsigned()) => Self::Job(error),
            _ => Self::Execute(error),
        }
    }
}

/// Starts a child in a job of its own. It runs nothing before it is in there, so that nothing of it is ever outside. The
/// flags that the command was given (`creation_flags`) are replaced.
///
/// That the child is in the job and that its first thread runs come behind `CreateProcess`: if this process is ended
/// between them, the child stays as it is, and runs nothing.
///
/// # Errors
///
/// [`SpawnError`] says whether it is the program that is wrong; nothing is left of the child then.
pub fn spawn(command: &mut Command, birth: Birth) -> Result<(Child, Job), SpawnError> {
    let job = Job::new(birth.outlives).map_err(SpawnError::Job)?;
    let group = if birth.own_group { CREATE_NEW_PROCESS_GROUP } else { 0 };
    let mut child =
        command.creation_flags(CREATE_SUSPENDED | group).spawn().map_err(SpawnError::of_the_system)?;
    match job.take(&child).and_then(|()| resume(child.id())) {
        Ok(()) => Ok((child, job)),
        Err(error) => {
            _ = child.kill();
            _ = child.wait();
            Err(SpawnError::Job(error))
        }
    }
}

/// Ctrl-Break for each process of a group that shares our console (`GenerateConsoleCtrlEvent`); one that does not take it
/// is ended by it.
///
/// # Errors
///
/// There is no such group in our console, or we have none, as services do. 0, which would mean us as well, is refused.
pub fn send_break(group: u32) -> io::Result<()> {
    if group == 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: takes two numbers.
    done(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, group) })
}

/// Lets all threads of a process run, of which there is one, that was never run. The standard library has closed its
/// handle, and no call lists the threads of one process alone.
fn resume(process: u32) -> io::Result<()> {
    // SAFETY: takes two numbers; the second is not looked at for threads.
    let snapshot = owned_file(unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) })?;
    let mut entry = THREADENTRY32 { dwSize: bytes::<THREADENTRY32>(), ..THREADENTRY32::default() };
    let mut resumed = 0;
    // SAFETY: a snapshot that is open, and an entry that says its size.
    let mut found = unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut entry) };
    while found != FALSE {
        if entry.th32OwnerProcessID == process {
            resume_thread(entry.th32ThreadID)?;
            resumed += 1;
        }
        // SAFETY: as above; the call leaves the size as it was.
        found = unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut entry) };
    }
    match io::Error::last_os_error() {
        end if end.raw_os_error() != Some(ERROR_NO_MORE_FILES.cast_signed()) => Err(end),
        _ if resumed == 0 => Err(io::Error::other("the child's first thread is not to be found")),
        _ => Ok(()),
    }
}

fn resume_thread(thread: u32) -> io::Result<()> {
    // SAFETY: takes a right and a number; the handle is not inherited.
    let thread = owned(unsafe { OpenThread(THREAD_SUSPEND_RESUME, FALSE, thread) })?;
    // SAFETY: a handle that is open, with that right.
    match unsafe { ResumeThread(thread.as_raw_handle()) } {
        u32::MAX => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a handle that was just opened, and that nobody else has.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Some calls have another word for none.
fn owned_file(handle: HANDLE) -> io::Result<OwnedHandle> {
    owned(if handle == INVALID_HANDLE_VALUE { ptr::null_mut() } else { handle })
}

fn done(answer: BOOL) -> io::Result<()> {
    if answer == FALSE { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn bytes<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::SpawnError;
    use std::io;

    #[test]
    fn c2_no_room_is_told_from_no_program() {
        for (number, no_room) in [(2, false), (5, false), (193, false), (4, true), (8, true), (1450, true)] {
            let error = SpawnError::of_the_system(io::Error::from_raw_os_error(number));
            assert_eq!(matches!(error, SpawnError::Job(_)), no_room, "{number}");
        }
    }
}
