//! Certificates and keys out of PEM (RFC 7468).

use super::TlsError;
use memchr::memmem;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use std::sync::Arc;

/// A certificate, those that it is signed by, and its key.
pub(super) fn certified(pair: &super::Pair) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&pair.chain, "certificate")?;
    let key = key(&pair.key)?;
    // The constructor that compares keys refuses certificates of version 1, which it cannot read.
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(TlsError::KeyMismatch),
        Err(_) if has_key(&certified) => Ok(certified),
        Err(_) => Err(TlsError::KeyMismatch),
    }
}

/// Those whose signature is trusted.
pub(super) fn authorities(pem: &[u8], what: &'static str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates(pem, what)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| TlsError::Authority {
            number: at + 1,
            what,
            why: error.to_string(),
        })?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| garbage(&error, what, pem))?;
    if all.is_empty() {
        return Err(TlsError::Missing { what, bytes: pem.len() });
    }
    Ok(all)
}

fn key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, TlsError> {
    // RFC 7468 §11 has the one in its label, PEM before it (RFC 1421 §4.6.1.1) in a header.
    if memmem::find(pem, b"ENCRYPTED").is_some() {
        return Err(TlsError::EncryptedKey);
    }
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| garbage(&error, "private key", pem))?;
    ring::sign::any_supported_type(&key).map_err(|error| TlsError::Key(error.to_string()))
}

/// Whether a certificate that is not understood has the key's public half in it.
fn has_key(certified: &CertifiedKey) -> bool {
    match (certified.key.public_key(), certified.cert.first()) {
        (Some(public), Some(certificate)) => memmem::find(certificate, &public).is_some(),
        _ => true,
    }
}

fn garbage(error: &pem::Error, what: &'static str, pem: &[u8]) -> TlsError {
    match error {
        pem::Error::NoItemsFound => TlsError::Missing { what, bytes: pem.len() },
        pem::Error::MissingSectionEnd { .. } => {
            TlsError::Garbage { what, why: "its line `-----END …-----` is missing".to_owned() }
        }
        pem::Error::IllegalSectionStart { .. } => {
            TlsError::Garbage { what, why: "its line `-----BEGIN …-----` is not whole".to_owned() }
        }
        error => TlsError::Garbage { what, why: error.to_string() },
    }
}
