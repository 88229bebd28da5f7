//! Certificates for the tests of TLS.

use crate::support::client;
use exeunt_manager::Tls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// Somebody who signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> Vec<CertificateDer<'static>> {
        vec![self.0.der().clone()]
    }

    pub(crate) fn sign(&self, names: &[&str]) -> Made {
        self.sign_with(names, |_| {})
    }

    pub(crate) fn sign_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Made {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Made { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Made {
    pub(crate) fn tls(&self) -> Tls {
        Tls::new().certificate(self.chain.as_str(), self.key.as_str())
    }
}

/// The one that most tests trust.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("the tests' own"))
}

/// For a server on this machine.
pub(crate) fn localhost() -> Made {
    authority().sign(&["localhost", "127.0.0.1"])
}

/// Trusts the authority.
pub(crate) fn trusting() -> Tls {
    Tls::new().ca(authority().pem())
}

/// For programs that want files.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self(TempDir::new().unwrap());
        files.add("ca.pem", &authority().pem());
        let made = localhost();
        files.add("chain.pem", &made.chain);
        files.add("key.pem", &made.key);
        files
    }

    pub(crate) fn add(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// One of X.509 version 1, which openssl alone makes: what has no extensions is no version 3.
pub(crate) fn version_1() -> Option<Made> {
    let files = Files::new();
    let (key, request, chain) = (files.path("v1.key"), files.path("v1.csr"), files.path("v1.pem"));
    let run = |arguments: &[&str]| {
        Command::new("openssl")
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let made = run(&[
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        &key,
        "-out",
        &request,
        "-subj",
        "/CN=localhost",
    ]) && run(&["x509", "-req", "-in", &request, "-signkey", &key, "-days", "30", "-out", &chain]);
    if !made {
        eprintln!("SKIPPED: there is no openssl; scripts/test-tools installs it");
        return None;
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    Some(Made { chain: read(&chain), key: read(&key) })
}

/// A client of somebody else's that trusts the authority.
pub(crate) type TlsClient = StreamOwned<ClientConnection, TcpStream>;

pub(crate) fn tls_client(address: SocketAddr) -> TlsClient {
    tls_over(client(address), client_config())
}

/// On that connection.
pub(crate) fn tls_over(stream: TcpStream, config: ClientConfig) -> TlsClient {
    let name = "localhost".try_into().unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

pub(crate) fn client_config() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authority().der());
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// One that has sent this.
pub(crate) fn tls_asking(address: SocketAddr, text: impl AsRef<[u8]>) -> TlsClient {
    let mut client = tls_client(address);
    client.write_all(text.as_ref()).unwrap();
    client
}

/// Everything up to a whole end; one without `close_notify` is an error.
pub(crate) fn tls_to_end(mut client: TlsClient) -> String {
    let mut text = Vec::new();
    client.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads until the end of the text that was read is this.
pub(crate) fn tls_read_to(client: &mut TlsClient, end: &str) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while !text.ends_with(end.as_bytes()) {
        let length = client.read(&mut piece).unwrap();
        assert!(length > 0, "it ended with {:?}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}
