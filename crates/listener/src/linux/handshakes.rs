//! Counting the handshakes under way.

use std::{io, net::SocketAddr};

use netlink_packet_sock_diag::{constants::TCP_LISTEN, inet::StateFlags};
use rustix::fs::fstat;
use socket2::Socket;

use super::{
    diag::{Diag, Family, local_ip},
    door::only_cookies,
};

/// The look for clients that have had our SYN-ACK, or soon will, and that we cannot accept yet.
#[derive(Debug)]
pub(crate) struct Handshakes {
    diag: Diag,
    local: SocketAddr,
    family: Family,
    inode: u32,
}

impl Handshakes {
    /// # Errors
    ///
    /// The kernel has no `sock_diag`, or a sandbox forbids it, or it keeps no handshakes to be looked at.
    pub(crate) fn of(socket: &Socket) -> io::Result<Self> {
        if only_cookies() {
            return Err(io::Error::other("handshakes are not kept (net.ipv4.tcp_syncookies is 2)"));
        }
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
        // A handshake is of its listener's family, also that of an IPv4 client with an IPv6 socket.
        let family = if local.is_ipv4() { Family::V4 } else { Family::V6 };
        // sock_diag reports 32 bits of it.
        let inode = (fstat(socket)?.st_ino & u64::from(u32::MAX)) as u32;
        Ok(Self { diag: Diag::open()?, local, family, inode })
    }

    /// How many there are. Another socket's on the same port are counted too if they might be ours; that only costs
    /// time.
    ///
    /// # Errors
    ///
    /// Also if the kernel does not show our own socket: then it shows another network namespace than the socket's,
    /// or not everything, and finding nothing means nothing.
    pub(crate) fn count(&mut self) -> io::Result<usize> {
        let Self { diag, local, family, inode } = self;
        let (mut count, mut seen) = (0, false);
        diag.visit(*family, StateFlags::SYN_RECV | StateFlags::LISTEN, local.port(), |found| {
            if found.state == TCP_LISTEN {
                seen |= found.inode == *inode;
            } else if local.ip().is_unspecified() || local_ip(found) == local.ip().to_canonical() {
                count += 1;
            }
        })?;
        if seen { Ok(count) } else { Err(io::Error::other("sock_diag does not show our own socket")) }
    }
}
