//! What a child says about itself: the datagrams of `sd_notify(3)`, on a socket of its own.
//!
//! The socket is abstract (unix(7)): nothing is left on a disk, and a child with another user or root directory
//! reaches it all the same. Anybody else could, too, so the kernel's word on the sender (`SCM_CREDENTIALS`) is what
//! counts.

use super::stat::Stat;
use exeunt_sys::datagram;
use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::process::{Pid, geteuid, test_kill_process};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where one child says how it is.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UnixDatagram,
    name: String,
}

/// One thing that a child says. What it says besides is not for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// `READY=1`
    Ready,
    /// `X_EXEUNT_BOOTSTRAPPED=1`: it runs, and its start-up begins.
    Bootstrapped,
    /// `STOPPING=1`
    Stopping,
    /// `STATUS=…`
    Status(String),
    /// `ERRNO=…`
    Errno(i32),
    /// `EXTEND_TIMEOUT_USEC=…`
    Extend(Duration),
}

/// systemd's own limit for one datagram.
const LONGEST: usize = 4096;

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        // Not a secret, but nobody can sit there first.
        let unique = RandomState::new().hash_one(std::process::id());
        let name = format!("exeunt/{}/{unique:016x}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        socket.set_nonblocking(true)?;
        sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self { socket, name })
    }

    /// The value of `NOTIFY_SOCKET`.
    pub(super) fn address(&self) -> String {
        format!("@{}", self.name)
    }

    /// The next thing that was said by `child`, or somebody of its; empty if that was nothing of ours, or somebody
    /// else. `None` when there is nothing left.
    pub(super) fn read(&self, child: Pid, own_group: bool) -> Option<Vec<Said>> {
        let mut text = [0; LONGEST];
        // Descriptors that come along are closed. The one of `BARRIER=1` is sent for just that: its other end shows that
        // what came before was read.
        let received = datagram::receive(self.as_fd(), &mut text).ok()?;
        let is_ours = received.sender.is_some_and(|sender| {
            let Some(pid) = Pid::from_raw(sender.pid.get().cast_signed()) else { return false };
            belongs(pid, child, own_group) || (is_gone(pid) && sender.uid == geteuid().as_raw())
        });
        let text = text.get(..received.bytes).unwrap_or_default();
        Some(if received.is_whole && is_ours { parse(text) } else { Vec::new() })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What is in one datagram.
fn parse(datagram: &[u8]) -> Vec<Said> {
    let text = String::from_utf8_lossy(datagram);
    let said = |line: &str| {
        let (key, value) = line.split_once('=')?;
        match (key, value) {
            ("READY", "1") => Some(Said::Ready),
            ("X_EXEUNT_BOOTSTRAPPED", "1") => Some(Said::Bootstrapped),
            ("STOPPING", "1") => Some(Said::Stopping),
            ("STATUS", status) => Some(Said::Status(status.to_owned())),
            ("ERRNO", number) => number.parse().ok().map(Said::Errno),
            ("EXTEND_TIMEOUT_USEC", time) => time.parse().ok().map(Duration::from_micros).map(Said::Extend),
            _ => None,
        }
    };
    text.lines().filter_map(said).collect()
}

/// Whether the sender is the child, of its group, or descends from it.
fn belongs(sender: Pid, child: Pid, own_group: bool) -> bool {
    // Of the group too, since who descends from it may have lost its ancestors: `systemd-notify` in a shell, say.
    sender == child
        || (own_group && Stat::of(id(sender)).is_some_and(|stat| stat.group == id(child)))
        || descends(sender, child)
}

/// Of a sender that was gone and waited for before we looked, such as systemd-notify(1) in a script, nothing can be
/// known but its user; and one with our own might as well signal the child, or us.
fn is_gone(sender: Pid) -> bool {
    test_kill_process(sender) == Err(Errno::SRCH)
}

/// More generations than anybody has, in case that ids are used again while we look.
const GENERATIONS: usize = 64;

fn descends(sender: Pid, child: Pid) -> bool {
    let ancestors = std::iter::successors(Some(id(sender)), |pid| Stat::of(*pid).map(|stat| stat.parent));
    ancestors.take(GENERATIONS).any(|ancestor| ancestor == id(child))
}

fn id(pid: Pid) -> u32 {
    pid.as_raw_pid().cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpid;
    use std::process::{Command, Stdio};

    #[test]
    fn c3_a_datagram_has_what_sd_notify_writes() {
        let all = "READY=1\nSTATUS=Importing tür=3\nMAINPID=1\nX_EXEUNT_BOOTSTRAPPED=1\nERRNO=2\n\
                   EXTEND_TIMEOUT_USEC=1500000\nSTOPPING=1";
        let said = [
            Said::Ready,
            Said::Status("Importing tür=3".to_owned()),
            Said::Bootstrapped,
            Said::Errno(2),
            Said::Extend(Duration::from_millis(1500)),
            Said::Stopping,
        ];
        assert_eq!(parse(all.as_bytes()), said);
        for nothing in ["", "READY=0", "READY", "=1", "ERRNO=x", "EXTEND_TIMEOUT_USEC=-1", "\n\n", "READY=1x"]
        {
            assert_eq!(parse(nothing.as_bytes()), [], "{nothing:?}");
        }
        assert_eq!(parse(b"\xFF\xFE=\nREADY=1\n"), [Said::Ready]);
    }

    #[test]
    fn c3_only_the_child_and_its_own_are_believed() {
        let socket = Socket::open().unwrap();
        let us = UnixDatagram::unbound().unwrap();
        let name = socket.address();
        let address = SocketAddr::from_abstract_name(name.strip_prefix('@').unwrap()).unwrap();
        assert_eq!(socket.read(getpid(), false), None);
        us.send_to_addr(b"READY=1", &address).unwrap();
        us.send_to_addr(&[b'x'; 2 * LONGEST], &address).unwrap();
        us.send_to_addr(b"READY=1", &address).unwrap();
        us.send_to_addr(b"READY=1", &address).unwrap();
        assert_eq!(socket.read(getpid(), false), Some(vec![Said::Ready]));
        assert_eq!(socket.read(getpid(), false), Some(vec![]), "too long");
        let mut gone = Command::new(std::env::current_exe().unwrap())
            .arg("--list")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        gone.wait().unwrap();
        assert!(is_gone(Pid::from_child(&gone)) && !is_gone(getpid()));
        // We descend from our parent, and not from a stranger.
        let parent = rustix::process::getppid().unwrap();
        assert_eq!(socket.read(parent, false), Some(vec![Said::Ready]));
        let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(socket.read(Pid::from_child(&stranger), true), Some(vec![]));
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    /// `sd_notify_barrier(3)` waits for that.
    #[test]
    fn c3_a_descriptor_that_comes_along_is_closed() {
        use rustix::net::{
            SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, sendmsg_addr,
        };
        let socket = Socket::open().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [writer.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let address = SocketAddrUnix::new_abstract_name(socket.name.as_bytes()).unwrap();
        let text = [io::IoSlice::new(b"BARRIER=1")];
        let us = UnixDatagram::unbound().unwrap();
        sendmsg_addr(&us, &address, &text, &mut control, SendFlags::empty()).unwrap();
        drop(writer);
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        let mut read = || io::Read::read(&mut reader, &mut [0]).map_err(|error| error.kind());
        assert_eq!(read(), Err(io::ErrorKind::WouldBlock));
        assert_eq!(socket.read(getpid(), false), Some(vec![]));
        // A child that another test is just starting may have a copy for a moment.
        let begun = std::time::Instant::now();
        while read() != Ok(0) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it is open");
            std::thread::yield_now();
        }
    }
}
