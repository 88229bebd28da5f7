//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446), by rustls: how to speak it, and speaking it on a socket.

use rustls::client::ClientConfig;
use rustls::server::ServerConfig;
use std::fmt;
use std::sync::{Arc, OnceLock};

mod channel;
mod client;
mod error;
mod info;
mod pem;
mod record;
mod server;
mod start;

pub(crate) use channel::{Channel, Got, Sent};
pub use error::{StartTlsError, TlsError};
pub use info::TlsInfo;
pub(crate) use start::{Opening, Role};

/// How to speak TLS: certificates to show, and what to hold the peer's against.
///
/// It serves servers ([`Listen::tls`](crate::Listen::tls)), clients, and both by
/// [`Connection::start_tls`](crate::Connection::start_tls). Cloning it is cheap, and clones share what was made of it (parsed
/// certificates, tickets of sessions to resume): keep one, and clone it for each connection.
///
/// PEM is looked at where it is used first, and what is wrong with it is said there: [`check`](Self::check) asks before.
/// TLS 1.2 and 1.3 are spoken, with the cipher suites of `ring`. On HTTP connections a client asks for `http/1.1`, and a
/// server takes that and `http/1.0` (ALPN, RFC 7301), unless [`alpn`](Self::alpn) says otherwise.
///
/// ```
/// # fn pem() -> (String, String) {
/// #     let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate is made");
/// #     (made.cert.pem(), made.signing_key.serialize_pem())
/// # }
/// use exeunt_manager::{Event, Listen, Manager, Tls};
///
/// # let (chain, key) = pem();
/// // By `std::fs::read`, usually.
/// let tls = Tls::new().certificate(chain, key);
/// let manager = Manager::new(|conn, event| if let Event::HttpMessage(_) = event { conn.reply(200, &[], "hello") });
/// let listener = manager.listen_with("https://127.0.0.1:0", Listen::new().tls(tls))?;
/// assert!(listener.is_listening());
/// # Ok::<(), exeunt_manager::ListenError>(())
/// ```
#[derive(Clone, Default)]
pub struct Tls(Arc<Shared>);

#[derive(Default)]
struct Shared {
    options: Options,
    servers: Cached<ServerConfig>,
    clients: Cached<ClientConfig>,
}

/// For bytes, and for HTTP.
type Cached<C> = [OnceLock<Result<Arc<C>, TlsError>>; 2];

#[derive(Clone, Default)]
struct Options {
    certificates: Vec<Pair>,
    authorities: Option<Vec<u8>>,
    clients: Option<Vec<u8>>,
    name: Option<String>,
    skips_verification: bool,
    alpn: Option<Vec<Vec<u8>>>,
}

/// A certificate with those that it is signed by, and its key, as PEM.
#[derive(Clone)]
struct Pair {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// With no certificate of our own. A client holds the peer's against the system's roots, and against the name that it
    /// connects to; a server needs a [`certificate`](Self::certificate).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A certificate in PEM, with the intermediate ones behind it, and its private key (PKCS #8, PKCS #1 or SEC1, not
    /// encrypted). A server may have several: the client's name chooses (SNI, RFC 6066 §3), by the names in the
    /// certificates, and the first serves whoever names none of them. Certificates of X.509 version 1 can be read by few
    /// clients and have no names: one can be the first. A client shows its certificate to the server that asks for one.
    #[must_use]
    pub fn certificate(self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let pair = Pair { chain: chain.into(), key: key.into() };
        self.with(|options| options.certificates.push(pair))
    }

    /// A client trusts these certificates, in PEM, and no others; without it, the roots that the system trusts (or that the
    /// environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name), read once for the whole process. Of no matter to
    /// a server: see [`client_ca`](Self::client_ca).
    #[must_use]
    pub fn ca(self, pem: impl Into<Vec<u8>>) -> Self {
        let pem = pem.into();
        self.with(|options| options.authorities = Some(pem))
    }

    /// A server asks its clients for certificates, and serves only those whose certificate is signed by one of these, in
    /// PEM. Of no matter to a client.
    #[must_use]
    pub fn client_ca(self, pem: impl Into<Vec<u8>>) -> Self {
        let pem = pem.into();
        self.with(|options| options.clients = Some(pem))
    }

    /// The name, or IP address, that a client asks for, and that the server's certificate has to have, in place of the one
    /// that it connected to.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.with(|options| options.name = Some(name))
    }

    /// A client takes whatever certificate the server shows: anybody between the two can read and change everything. For
    /// tests, and for certificates that nothing can verify (X.509 version 1). Nothing else switches verification off.
    #[must_use]
    pub fn skip_verification(self) -> Self {
        self.with(|options| options.skips_verification = true)
    }

    /// The application protocols to offer, or to take, the preferred one first (ALPN, RFC 7301); none: nothing is said.
    /// Without this call HTTP connections speak of HTTP/1, and others of nothing.
    #[must_use]
    pub fn alpn<P: Into<Vec<u8>>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        let protocols = protocols.into_iter().map(Into::into).collect();
        self.with(|options| options.alpn = Some(protocols))
    }

    /// Whether all of its PEM can be used; and where there is none, whether the system has roots.
    ///
    /// # Errors
    ///
    /// The first that is wrong; see [`TlsError`].
    pub fn check(&self) -> Result<(), TlsError> {
        let Options { certificates, authorities, clients, .. } = &self.0.options;
        let serves = !certificates.is_empty() || clients.is_some();
        if serves {
            self.server(false)?;
        }
        if authorities.is_some() || !serves {
            self.client(false)?;
        }
        Ok(())
    }

    /// A client's that the program says nothing about.
    pub(crate) fn of_system() -> Self {
        static SYSTEM: OnceLock<Tls> = OnceLock::new();
        SYSTEM.get_or_init(Self::new).clone()
    }

    /// What a server speaks by.
    pub(crate) fn server(&self, http: bool) -> Result<Arc<ServerConfig>, TlsError> {
        let [bytes, web] = &self.0.servers;
        let place = if http { web } else { bytes };
        place.get_or_init(|| server::config(&self.0.options, http).map(Arc::new)).clone()
    }

    /// What a client speaks by.
    fn client(&self, http: bool) -> Result<Arc<ClientConfig>, TlsError> {
        let [bytes, web] = &self.0.clients;
        let place = if http { web } else { bytes };
        place.get_or_init(|| client::config(&self.0.options, http).map(Arc::new)).clone()
    }

    fn with(self, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = self.0.options.clone();
        change(&mut options);
        Self(Arc::new(Shared { options, ..Shared::default() }))
    }
}

impl Options {
    /// What is said of protocols; of `own` ones, where the program does not say.
    fn alpn(&self, own: &[&str]) -> Vec<Vec<u8>> {
        match &self.alpn {
            Some(protocols) => protocols.clone(),
            None => own.iter().map(|protocol| protocol.as_bytes().to_vec()).collect(),
        }
    }
}

impl fmt::Debug for Tls {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { certificates, authorities, clients, name, skips_verification, .. } = &self.0.options;
        f.debug_struct("Tls")
            .field("certificates", &certificates.len())
            .field("ca", &authorities.is_some())
            .field("client_ca", &clients.is_some())
            .field("name", name)
            .field("skips_verification", skips_verification)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
