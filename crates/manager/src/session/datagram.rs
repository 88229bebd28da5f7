//! A UDP socket's side in memory.

use crate::error::SendError;
use exeunt_listener::Address;
use mio::net::UdpSocket;
use std::io;
use std::sync::Arc;

/// Datagrams go at once: there is no order to keep and nothing to wait for. Until a name has an address, they wait.
pub(crate) struct Datagram {
    socket: Option<Arc<UdpSocket>>,
    /// It has one peer, whom the kernel knows.
    connected: bool,
    waiting: Vec<Vec<u8>>,
}

impl Datagram {
    pub(crate) fn bound(socket: Arc<UdpSocket>) -> Self {
        Self { socket: Some(socket), connected: false, waiting: Vec::new() }
    }

    /// With its socket, unless that is still to come.
    pub(crate) fn connected(socket: Option<Arc<UdpSocket>>) -> Self {
        Self { socket, connected: true, waiting: Vec::new() }
    }

    /// Bytes that wait for the socket.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    /// Sends what has waited.
    pub(super) fn found(&mut self, socket: Arc<UdpSocket>) {
        for bytes in std::mem::take(&mut self.waiting) {
            // What does not arrive is lost, as datagrams may be.
            _ = socket.send(&bytes);
        }
        self.socket = Some(socket);
    }

    pub(super) fn send(&mut self, to: Option<&Address>, bytes: &[u8]) -> Result<(), SendError> {
        let Some(socket) = &self.socket else {
            self.waiting.push(bytes.to_owned());
            return Ok(());
        };
        let sent = match to.and_then(Address::as_socket_addr) {
            Some(to) if !self.connected => socket.send_to(bytes, to),
            _ => socket.send(bytes),
        };
        match sent {
            // What does not fit into the kernel's buffer is lost, as datagrams may be.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(SendError::Datagram(error)),
            _ => Ok(()),
        }
    }
}
