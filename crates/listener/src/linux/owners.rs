//! Who holds a socket, by proc(5).

use std::{
    collections::HashSet,
    fs, io,
    os::fd::AsFd,
    process,
    time::{Duration, Instant},
};

use netlink_packet_sock_diag::inet::StateFlags;
use rustix::fs::{CWD, Dir, Mode, OFlags, fstat, openat, readlinkat};

use super::diag::{Diag, Family};
use crate::close::report::Ownership;

/// Looks for further descriptors of `socket` in this process and in those that descend from it, for at most `budget`.
///
/// Strangers are not looked at: they can only have got it by being sent it.
pub(crate) fn others(socket: impl AsFd, budget: Duration) -> Ownership {
    let search = Search { until: Instant::now() + budget };
    let Ok(status) = fstat(socket) else { return Ownership::Unknown("fstat(2) failed") };
    let sought = HashSet::from([status.st_ino]);
    match search.in_family(&sought) {
        Ok(None) => Ownership::Sole,
        Ok(Some(pid)) => Ownership::HeldBy(pid),
        Err(why) => Ownership::Unknown(why),
    }
}

/// The process that listens on this port, and its name, if it can be seen within 50 ms.
pub(crate) fn port_owner(port: u16) -> Option<(u32, String)> {
    let search = Search { until: Instant::now() + Duration::from_millis(50) };
    let mut inodes = HashSet::new();
    let mut diag = Diag::open().ok()?;
    for family in [Family::V4, Family::V6] {
        diag.visit(family, StateFlags::LISTEN, port, |found| {
            inodes.insert(u64::from(found.inode));
        })
        .ok()?;
    }
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if search.count(pid, &inodes, 1).is_ok_and(|count| count > 0) {
            let name = fs::read_to_string(process.path().join("comm")).ok()?;
            return Some((pid, name.trim().to_owned()));
        }
        search.check().ok()?;
    }
    None
}

struct Search {
    until: Instant,
}

const OUT_OF_TIME: &str = "the search took too long";
const NO_PROC: &str = "/proc cannot be read";
const NO_CHILDREN: &str = "/proc does not tell of child processes";
const CLOSED_CHILD: &str = "a child process may not be looked into";

impl Search {
    fn in_family(&self, sought: &HashSet<u64>) -> Result<Option<u32>, &'static str> {
        let ourselves = process::id();
        let mut family = self.children(ourselves).map_err(|_| NO_CHILDREN)?;
        while let Some(pid) = family.pop() {
            self.check()?;
            match self.count(pid, sought, 1) {
                Ok(0) => {}
                Ok(_) => return Ok(Some(pid)),
                Err(_) if is_gone(pid) => continue,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(OUT_OF_TIME),
                Err(_) => return Err(CLOSED_CHILD),
            }
            // A child that ends meanwhile leaves its own children to init; if they have the socket they have the
            // lifeline too, or were given it by a program that we started, which is the stranger's case.
            family.extend(self.children(pid).unwrap_or_default());
        }
        match self.count(ourselves, sought, 2) {
            Ok(0) => Err(NO_PROC),
            Ok(1) => Ok(None),
            Ok(_) => Ok(Some(ourselves)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(OUT_OF_TIME),
            Err(_) => Err(NO_PROC),
        }
    }

    fn children(&self, pid: u32) -> io::Result<Vec<u32>> {
        let mut children = Vec::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            match fs::read_to_string(task.path().join("children")) {
                Ok(pids) => {
                    children.extend(pids.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
                }
                // The thread has ended; its children are another thread's now.
                Err(_) if !task.path().exists() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(children)
    }

    /// How many descriptors `pid` has of these sockets, counted up to `enough`.
    fn count(&self, pid: u32, sought: &HashSet<u64>, enough: usize) -> io::Result<usize> {
        let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, format!("/proc/{pid}/fd"), folder, Mode::empty())?;
        let (mut count, mut link) = (0, Vec::with_capacity(64));
        for (number, entry) in Dir::read_from(&folder)?.enumerate() {
            if number % 128 == 127 && self.check().is_err() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // A descriptor may be closed between the listing and the look.
            let Ok(target) = readlinkat(&folder, entry?.file_name(), link) else {
                link = Vec::with_capacity(64);
                continue;
            };
            count +=
                usize::from(socket_inode(target.as_bytes()).is_some_and(|inode| sought.contains(&inode)));
            if count >= enough {
                break;
            }
            link = target.into_bytes();
        }
        Ok(count)
    }

    fn check(&self) -> Result<(), &'static str> {
        if Instant::now() < self.until { Ok(()) } else { Err(OUT_OF_TIME) }
    }
}

/// Ended, or a zombie, which holds nothing any more but may not be looked into.
fn is_gone(pid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    // proc_pid_stat(5): the state follows the name, which is in brackets and may contain any character.
    status.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

/// The inode in `socket:[12345]`.
fn socket_inode(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
