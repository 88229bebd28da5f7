//! The sockets that a process holds, by proc(5).

use std::{io, str};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Dir, Mode, OFlags, openat, readlinkat},
};

/// The descriptors of a process, in whatever order.
#[derive(Debug)]
pub(crate) struct Descriptors {
    folder: OwnedFd,
    entries: Dir,
    link: Vec<u8>,
}

impl Descriptors {
    /// # Errors
    ///
    /// The process is gone, or not ours to look into.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty())?;
        let entries = Dir::read_from(&folder)?;
        Ok(Self { folder, entries, link: Vec::new() })
    }

    /// The inode of the next descriptor; 0, which is nobody's, if it is not a socket's.
    pub(crate) fn next_socket(&mut self) -> Option<u64> {
        let entry = self.entries.read()?.ok()?;
        let link = std::mem::take(&mut self.link);
        // It may have been closed since the folder was read.
        let Ok(link) = readlinkat(&self.folder, entry.file_name(), link) else { return Some(0) };
        let inode = socket_inode(link.as_bytes()).unwrap_or(0);
        self.link = link.into_bytes();
        Some(inode)
    }
}

/// The inode in `socket:[12345]`.
fn socket_inode(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    str::from_utf8(digits).ok()?.parse().ok()
}
