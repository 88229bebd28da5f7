//! A connection that is not there yet.

use super::{Datagram, Protocol, Session, Wish};
use exeunt_listener::Address;
use mio::net::UdpSocket;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// How far a connection of ours has come.
#[derive(Default)]
pub(crate) enum Joining {
    /// It was accepted, or is a listener.
    #[default]
    Never,
    /// It is on its way, and its name may have been answered.
    Now(Option<io::Result<Vec<SocketAddr>>>),
    Joined,
}

impl Session {
    /// It is to be connected, to a peer that the program calls so.
    pub(crate) fn connecting(self, host: &str) -> Self {
        Self { joining: Joining::Now(None), host: Some(host.into()), ..self }
    }

    pub(crate) fn is_client(&self) -> bool {
        !matches!(self.joining, Joining::Never)
    }

    pub(crate) fn is_connecting(&self) -> bool {
        matches!(self.joining, Joining::Now(_))
    }

    /// Whether the program wants its end, and nothing is to be sent first.
    pub(crate) fn has_nothing_to_connect_for(&self) -> bool {
        self.wish >= Wish::Close || self.wish == Wish::Drain && self.unsent_len() == 0
    }

    pub(crate) fn resolved(&mut self, answer: io::Result<Vec<SocketAddr>>) {
        if let Joining::Now(place) = &mut self.joining {
            *place = Some(answer);
        }
    }

    pub(crate) fn take_resolved(&mut self) -> Option<io::Result<Vec<SocketAddr>>> {
        match &mut self.joining {
            Joining::Now(answer) => answer.take(),
            _ => None,
        }
    }

    pub(crate) fn connected(
        &mut self,
        now: Instant,
        local: Option<Address>,
        remote: Option<Address>,
        datagram: Option<Arc<UdpSocket>>,
    ) {
        self.joining = Joining::Joined;
        (self.local, self.remote) = (local, remote);
        match (&mut self.protocol, datagram) {
            (Protocol::Raw(raw), _) => raw.arrived(now),
            (Protocol::Client(client), _) => client.stirs(now),
            (Protocol::Datagram(datagram), Some(socket)) => Datagram::found(datagram, socket),
            _ => {}
        }
    }
}
