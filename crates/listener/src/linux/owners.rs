//! Who holds a socket, by proc(5).

use std::{
    fs, io,
    os::fd::AsFd,
    process,
    time::{Duration, Instant},
};

use netlink_packet_sock_diag::inet::StateFlags;
use rustix::fs::fstat;

use super::{
    descriptors::Descriptors,
    diag::{Diag, Family},
};
use crate::close::report::Ownership;

/// A search for further descriptors of a socket in the processes that descend from ours, and in ours. Strangers are not
/// looked at: they can only have got it by being sent it.
///
/// It takes some microseconds for every descriptor that is open, so a busy server's is done in slices.
#[derive(Debug)]
pub(crate) struct Owners {
    inode: u64,
    ourselves: u32,
    /// Still to be looked into, ourselves first and so taken last. Empty until the search begins.
    family: Vec<u32>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    pid: u32,
    found: usize,
    descriptors: Descriptors,
}

impl Owners {
    pub(crate) fn of(socket: impl AsFd) -> Self {
        // An inode of 0 is nobody's: the search will miss even our own descriptor, and say so.
        let inode = fstat(socket).map_or(0, |status| status.st_ino);
        Self { inode, ourselves: process::id(), family: Vec::new(), current: None }
    }

    /// Searches to the end, or for about `slice`; none if there is more to do.
    pub(crate) fn search(&mut self, slice: Duration) -> Option<Ownership> {
        let until = Instant::now() + slice;
        loop {
            match self.advance(until) {
                Ok(Some(ownership)) => return Some(ownership),
                Ok(None) if Instant::now() >= until => return None,
                Ok(None) => {}
                Err(why) => return Some(Ownership::Unknown(why)),
            }
        }
    }

    fn advance(&mut self, until: Instant) -> Result<Option<Ownership>, String> {
        let Some(mut current) = self.current.take() else { return self.open_next().map(|()| None) };
        let own = current.pid == self.ourselves;
        while let Some(socket) = current.descriptors.next_socket() {
            current.found += usize::from(socket == self.inode);
            if current.found > usize::from(own) {
                return Ok(Some(Ownership::HeldBy(current.pid)));
            }
            if Instant::now() >= until {
                self.current = Some(current);
                return Ok(None);
            }
        }
        match (own, current.found) {
            (false, _) => Ok(None),
            (true, 1) => Ok(Some(Ownership::Sole)),
            (true, _) => Err("/proc does not show our own descriptors".to_owned()),
        }
    }

    fn open_next(&mut self) -> Result<(), String> {
        if self.family.is_empty() {
            self.family.push(self.ourselves);
            self.family.extend(
                children(self.ourselves)
                    .map_err(|error| format!("/proc does not show our children: {error}"))?,
            );
        }
        let pid = self.family.pop().unwrap_or(self.ourselves);
        match Descriptors::of(pid) {
            Ok(descriptors) => self.current = Some(Current { pid, found: 0, descriptors }),
            Err(_) if pid != self.ourselves && is_gone(pid) => {}
            Err(error) => return Err(format!("the descriptors of process {pid} cannot be read: {error}")),
        }
        if pid != self.ourselves {
            // One that ends in this moment leaves its children to init, where they count as strangers.
            self.family.extend(children(pid).unwrap_or_default());
        }
        Ok(())
    }
}

/// The process that listens on this port, and its name, if it can be seen within 50 ms.
pub(crate) fn port_owner(port: u16) -> Option<(u32, String)> {
    let until = Instant::now() + Duration::from_millis(50);
    let mut inodes = Vec::new();
    let mut diag = Diag::open().ok()?;
    for family in [Family::V4, Family::V6] {
        diag.visit(family, StateFlags::LISTEN, port, |found| inodes.push(u64::from(found.inode))).ok()?;
    }
    for process in fs::read_dir("/proc").ok()?.flatten().take_while(|_| Instant::now() < until) {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(mut descriptors) = Descriptors::of(pid) else { continue };
        while let Some(socket) = descriptors.next_socket() {
            if inodes.contains(&socket) {
                let name = fs::read_to_string(process.path().join("comm")).ok()?;
                return Some((pid, name.trim().to_owned()));
            }
        }
    }
    None
}

fn children(pid: u32) -> io::Result<Vec<u32>> {
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

/// Ended, or a zombie, which holds nothing any more but may not be looked into.
fn is_gone(pid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    // proc_pid_stat(5): the state follows the name, which is in brackets and may contain any character.
    status.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}
