//! Turning new handshakes away from a listening socket, while those under way go on.

use std::{fs, io, num::NonZeroU32};

use socket2::{Domain, Protocol, SockFilter, Socket};

use crate::close::report::Newcomers;

/// An interface that no machine has. A socket bound to it is found by no new SYN, which is then answered as on any
/// port that nobody listens on: the client is refused at once. A handshake that has begun is found by its own entry in
/// the kernel's table, and completes as if nothing had happened.
///
/// Linux has this since 5.1, and since 5.7 for everybody, as long as the socket is bound to no interface yet.
const NO_INTERFACE: NonZeroU32 = NonZeroU32::MIN.saturating_add(i32::MAX as u32 - 1);

/// Drops what has SYN and not ACK, so that a new client is left without an answer. A socket filter sees a TCP segment
/// from its header on, under IPv4 and IPv6 alike; the flags are at offset 13 (RFC 9293 §3.1).
///
/// Where systems are kept up to date this takes `CAP_NET_ADMIN` since 2026 (Linux commit 5d39580f68e6, in the stable
/// series too). The connections that are accepted under it inherit it. It does no harm there: an established
/// connection gets no bare SYN that it would answer with anything but a challenge (RFC 5961 §4).
const NO_NEW_HANDSHAKES: [SockFilter; 5] = [
    SockFilter::new(LOAD_BYTE, 0, 0, 13),
    SockFilter::new(AND, 0, 0, SYN | ACK),
    SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
    SockFilter::new(RETURN, 0, 0, 0),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
];

// linux/bpf_common.h
const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// Turns new handshakes away for good, and tells how they fare from now on. Only ever for a socket that nobody else
/// holds.
pub(crate) fn turn_away(socket: &Socket) -> Newcomers {
    // Multipath TCP listens on a subflow below the socket, which neither way would reach.
    let tcp = matches!(socket.domain(), Ok(Domain::IPV4 | Domain::IPV6))
        && matches!(socket.protocol(), Ok(Some(Protocol::TCP)));
    if !tcp {
        return Newcomers::Admitted;
    }
    // A handshake that is only a cookie has no entry in the table: its last packet must still find the socket itself.
    if !only_cookies() && socket.bind_device_by_index_v4(Some(NO_INTERFACE)).is_ok() {
        return Newcomers::Refused;
    }
    match socket.attach_filter(&NO_NEW_HANDSHAKES) {
        Ok(()) => Newcomers::Unanswered,
        Err(_) => Newcomers::Admitted,
    }
}

/// Takes back what a previous owner may have done to turn clients away (rule D10).
///
/// # Errors
///
/// The socket is bound to no interface, and taking that back needs `CAP_NET_RAW`.
pub(crate) fn let_in(socket: &Socket) -> io::Result<()> {
    // EINVAL and ENOPROTOOPT: nothing of the kind is there. A filter that was locked (socket(7), `SO_LOCK_FILTER`) was
    // meant to stay, and stays.
    let _ = socket.detach_filter();
    if socket.device_index_v4().is_ok_and(|index| index == Some(NO_INTERFACE)) {
        socket.bind_device_by_index_v4(None)?;
    }
    Ok(())
}

/// Whether every handshake is answered with a cookie and forgotten (tcp(7), `tcp_syncookies`). As long as they are only
/// the answer to a flood, those that the flood leaves out are kept.
pub(crate) fn only_cookies() -> bool {
    fs::read_to_string("/proc/sys/net/ipv4/tcp_syncookies").is_ok_and(|value| value.trim() == "2")
}

#[cfg(test)]
mod tests {
    use super::NO_INTERFACE;

    #[test]
    fn no_interface_is_the_last_index_there_could_be() {
        assert_eq!(i32::try_from(NO_INTERFACE.get()), Ok(i32::MAX));
    }
}
