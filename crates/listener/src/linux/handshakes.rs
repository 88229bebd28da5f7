//! Counting the handshakes under way.

use std::{io, net::SocketAddr};

use netlink_packet_sock_diag::{constants::TCP_LISTEN, inet::StateFlags};
use rustix::fs::fstat;
use socket2::Socket;

use super::diag::{Diag, Family, local_ip};

/// The look for clients that have had our SYN-ACK, or soon will, and that we cannot accept yet.
#[derive(Debug)]
pub(crate) struct Handshakes {
    diag: Diag,
    local: SocketAddr,
    families: &'static [Family],
    inode: u32,
}

impl Handshakes {
    /// # Errors
    ///
    /// The kernel has no `sock_diag`, or a sandbox forbids it.
    pub(crate) fn of(socket: &Socket) -> io::Result<Self> {
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
        let families: &[Family] = match local {
            SocketAddr::V4(_) => &[Family::V4],
            SocketAddr::V6(_) if socket.only_v6()? => &[Family::V6],
            SocketAddr::V6(_) => &[Family::V6, Family::V4],
        };
        // sock_diag reports 32 bits of it.
        let inode = (fstat(socket)?.st_ino & u64::from(u32::MAX)) as u32;
        Ok(Self { diag: Diag::open()?, local, families, inode })
    }

    /// How many there are. Another socket's on the same port are counted too if they might be ours; that only costs
    /// time.
    ///
    /// # Errors
    ///
    /// Also if the kernel does not show our own socket: then it shows another network namespace than the socket's,
    /// or not everything, and finding nothing means nothing.
    pub(crate) fn count(&mut self) -> io::Result<usize> {
        let Self { diag, local, families, inode } = self;
        let (mut count, mut seen) = (0, false);
        for &family in *families {
            diag.visit(family, StateFlags::SYN_RECV | StateFlags::LISTEN, local.port(), |found| {
                if found.state == TCP_LISTEN {
                    seen |= found.inode == *inode;
                } else if local.ip().is_unspecified() || local_ip(found) == local.ip().to_canonical() {
                    count += 1;
                }
            })?;
        }
        if seen { Ok(count) } else { Err(io::Error::other("sock_diag does not show our own socket")) }
    }
}
