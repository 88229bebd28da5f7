//! A TLS client that costs as little as it can.

use crate::client::is_whole;
use crate::closed_loop::{Asks, Circle, connect_from, watched};
use anyhow::{Context as _, Result, ensure};
use mio::net::TcpStream;
use mio::{Registry, Token};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who the certificate is for.
pub(super) const NAME: &str = "bench.test";

/// The one suite that the client offers.
pub(super) const SPOKEN: &str = "TLS 1.3, TLS_AES_128_GCM_SHA256";

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

/// Trusts that certificate alone, and begins each connection with a full handshake.
pub(super) fn trusting(certificate: &CertificateDer<'static>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let provider = CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256],
        ..ring::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Clients of one server.
pub(super) struct Load(Circle<Client>);

impl Load {
    /// `fresh`: each question is asked on a new connection; otherwise each client keeps the one that it opens for its
    /// first.
    pub(super) fn new(
        server: SocketAddr,
        config: &Arc<ClientConfig>,
        clients: usize,
        fresh: bool,
    ) -> Result<Self> {
        let mut circle = Circle::new()?;
        for _ in 0..clients {
            let client = Client { server, config: Arc::clone(config), fresh, channel: None, length: None };
            circle.join(|_, _| Ok(client))?;
        }
        Ok(Self(circle))
    }

    /// See [`Circle::turn`].
    pub(super) fn turn(&mut self, requests: u32) -> Result<usize> {
        self.0.turn(requests)
    }
}

struct Client {
    server: SocketAddr,
    config: Arc<ClientConfig>,
    fresh: bool,
    channel: Option<Channel>,
    /// Every answer has this many bytes, as the first had: the page is the same, and the date has a fixed width.
    length: Option<usize>,
}

struct Channel {
    stream: TcpStream,
    tls: ClientConnection,
    /// Bytes of the answer that have come.
    got: usize,
    /// Those bytes, while its length is not known.
    first: Vec<u8>,
}

impl Asks for Client {
    fn ask(&mut self, registry: &Registry, token: Token) -> Result<()> {
        if self.fresh {
            self.channel = None;
        }
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => Channel {
                stream: watched(connect_from(token.0, self.server)?, registry, token)?,
                tls: ClientConnection::new(Arc::clone(&self.config), ServerName::try_from(NAME)?)?,
                got: 0,
                first: Vec::new(),
            },
        };
        let channel = self.channel.insert(channel);
        channel.tls.writer().write_all(REQUEST)?;
        channel.send()
    }

    fn hear(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let Some(channel) = &mut self.channel else { return Ok(false) };
        channel.receive()?;
        // What the handshake has to say, and the request behind it.
        channel.send()?;
        loop {
            let length = match channel.tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                length => length?,
            };
            ensure!(length > 0, "the server closed the connection");
            ensure!(channel.got > 0 || buffer.starts_with(b"HTTP/1.1 200"), "not a 200");
            channel.got += length;
            if self.length.is_none() {
                channel.first.extend_from_slice(&buffer[..length]);
                self.length = is_whole(&channel.first)?.then_some(channel.got);
            }
            if self.length == Some(channel.got) {
                channel.got = 0;
                return Ok(true);
            }
        }
    }
}

impl Channel {
    fn send(&mut self) -> Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream).context("a request did not fit into an empty socket")?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        loop {
            match self.tls.read_tls(&mut self.stream) {
                Ok(0) => anyhow::bail!("the server closed the connection"),
                Ok(_) => _ = self.tls.process_new_packets()?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
