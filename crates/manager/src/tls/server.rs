//! What a server speaks TLS by.

use super::{Options, TlsError, pem};
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{
    ClientHello, ParsedCertificate, ResolvesServerCert, ServerConfig, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

pub(super) fn config(options: &Options, http: bool) -> Result<ServerConfig, TlsError> {
    let certificates: Vec<_> = options
        .certificates
        .iter()
        .map(|pair| pem::certified(pair).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let Some(first) = certificates.first().map(Arc::clone) else { return Err(TlsError::NoCertificate) };
    let provider = Arc::new(ring::default_provider());
    let other = |error: &dyn std::error::Error| TlsError::Other(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| other(&error))?;
    let builder = match &options.clients {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let roots = Arc::new(pem::authorities(pem, "CA of the clients")?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| other(&error))?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(ByName { first, certificates }));
    // Whoever offers protocols and finds none of them here is refused (RFC 7301 §3.2): curl offers HTTP/1.0 where it is
    // told to speak that.
    config.alpn_protocols = options.alpn(if http { &["http/1.1", "http/1.0"] } else { &[] });
    // Tickets keep the sessions to resume with the clients (RFC 5077), so that they cost no memory here.
    config.ticketer = ring::Ticketer::new().map_err(|error| other(&error))?;
    Ok(config)
}

/// Chooses by the name that the client asks for.
#[derive(Debug)]
struct ByName {
    first: Arc<CertifiedKey>,
    certificates: Vec<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = match (hello.server_name(), self.certificates.len()) {
            (Some(name), 2..) => ServerName::try_from(name)
                .ok()
                .and_then(|name| self.certificates.iter().find(|certified| is_for(certified, &name))),
            _ => None,
        };
        Some(Arc::clone(chosen.unwrap_or(&self.first)))
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    certified.cert.first().is_some_and(|certificate: &CertificateDer<'_>| {
        ParsedCertificate::try_from(certificate)
            .is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
    })
}
