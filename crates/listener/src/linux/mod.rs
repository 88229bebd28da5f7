//! What Linux offers to whoever closes a listener with care.

mod descriptors;
mod diag;
mod door;
mod handshakes;
mod owners;

use std::os::{fd::OwnedFd, unix::net::UnixStream};

use rustix::{
    io::Errno,
    net::{SocketFlags, acceptfrom_with},
};
use socket2::Socket;

use crate::connection::Connection;

pub(crate) use self::{
    door::{let_in, turn_away},
    handshakes::Handshakes,
    owners::{Owners, port_owner},
};

pub(crate) fn accept(socket: &Socket) -> Result<Connection, Errno> {
    let (stream, peer) = acceptfrom_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    Ok(connection(stream, peer.and_then(|peer| peer.try_into().ok())))
}

/// The lowest port that every user may have (ip(7)).
pub(crate) fn first_free_port() -> Option<u16> {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok()?.trim().parse().ok()
}

fn connection(stream: OwnedFd, peer: Option<std::net::SocketAddr>) -> Connection {
    match peer {
        Some(peer) => Connection::Tcp { stream: stream.into(), peer },
        None => Connection::Unix { stream: UnixStream::from(stream) },
    }
}
