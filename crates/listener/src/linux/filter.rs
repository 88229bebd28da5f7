//! Turning new handshakes away from a listening socket.

use std::io;

use socket2::{Domain, Protocol, SockFilter, Socket};

/// Drops what has SYN and not ACK. A socket filter sees a TCP segment from its header on, under IPv4 and IPv6 alike;
/// the flags are at offset 13 (RFC 9293 §3.1).
///
/// The connections that are accepted under it inherit it. It does no harm there: an established connection gets no bare
/// SYN that it would answer with anything but a challenge (RFC 5961 §4).
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

/// Whether new handshakes are dropped from now on. Only ever for a socket that nobody else holds.
pub(crate) fn turn_away(socket: &Socket) -> bool {
    // Multipath TCP listens on a subflow below the socket, which the filter would not reach.
    let tcp = matches!(socket.domain(), Ok(Domain::IPV4 | Domain::IPV6))
        && matches!(socket.protocol(), Ok(Some(Protocol::TCP)));
    tcp && socket.attach_filter(&NO_NEW_HANDSHAKES).is_ok()
}

/// Removes any filter (rule D10). One that was locked (socket(7), `SO_LOCK_FILTER`) was meant to stay, and stays.
pub(crate) fn detach_filter(socket: &Socket) -> io::Result<()> {
    match socket.detach_filter() {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Err(error)
        }
        _ => Ok(()),
    }
}
