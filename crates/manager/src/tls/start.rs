//! The beginning of TLS on a connection: worked out by whoever asks for it, carried out by the thread that polls.

use super::{Tls, TlsError};
use bytes::BytesMut;
use rustls::client::{ClientConfig, ClientConnection};
use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use rustls::server::{ServerConfig, ServerConnection};
use std::fmt;
use std::sync::Arc;

/// Who of the two we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role<'a> {
    Server,
    /// Of a server that the program called so.
    Client(&'a str),
}

/// TLS that is to begin.
pub(crate) struct Opening {
    side: Side,
    /// What the peer has sent already: the beginning of its handshake, or else nothing that TLS takes.
    pub(crate) early: BytesMut,
}

enum Side {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>, ServerName<'static>),
}

impl Tls {
    pub(crate) fn opening(&self, role: Role<'_>, http: bool) -> Result<Box<Opening>, TlsError> {
        let side = match role {
            Role::Server => Side::Server(self.server(http)?),
            Role::Client(host) => Side::Client(self.client(http)?, self.server_name(host)?),
        };
        Ok(Box::new(Opening { side, early: BytesMut::new() }))
    }

    /// Whom to ask for.
    fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let options = &self.0.options;
        let name = options.name.as_deref().unwrap_or(host);
        match ServerName::try_from(name.to_owned()) {
            Ok(name) => Ok(name),
            // Addresses are not sent (RFC 6066 §3), and nobody is to be verified.
            Err(_) if options.skips_verification => {
                Ok(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0]))))
            }
            Err(_) => Err(TlsError::Name(name.to_owned())),
        }
    }
}

impl Opening {
    pub(super) fn begin(self) -> Result<(rustls::Connection, BytesMut), rustls::Error> {
        let session = match self.side {
            Side::Server(config) => ServerConnection::new(config)?.into(),
            Side::Client(config, name) => ClientConnection::new(config, name)?.into(),
        };
        Ok((session, self.early))
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("early", &self.early.len()).finish_non_exhaustive()
    }
}
