//! What can be wrong with a certificate, a key or a name.

use crate::error::ConnectionClosed;

/// Why TLS cannot be spoken so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A server has none.
    #[error("a server needs a certificate: give Listen::tls a Tls with one, or call start_tls in Accept")]
    NoCertificate,
    /// PEM without anything of what was expected in it.
    #[error(
        "there is no {what} in the {bytes} bytes given as one; give PEM, which has a line `-----BEGIN …-----`"
    )]
    Missing {
        /// Of what.
        what: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// PEM that is broken.
    #[error("the {what} is no PEM: {why}")]
    Garbage {
        /// What it was given as.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A private key that needs a password.
    #[error("the private key is encrypted; decrypt it first (`openssl pkey -in key.pem -out plain.pem`)")]
    EncryptedKey,
    /// A private key of a kind that is not known.
    #[error(
        "the private key is of no use: {0}; give RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519"
    )]
    Key(String),
    /// The key is another's.
    #[error(
        "the private key does not belong to the certificate; give the key that the certificate was made with"
    )]
    KeyMismatch,
    /// A certificate that a peer's cannot be held against.
    #[error("certificate {number} of the {what} is of no use: {why}")]
    Authority {
        /// Which one, from 1 on.
        number: usize,
        /// Of which PEM.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The system trusts nobody.
    #[error(
        "no root certificates were found on this system{why}; install them (ca-certificates), or give Tls::ca"
    )]
    NoRoots {
        /// What was tried, if it failed.
        why: String,
    },
    /// No name to verify.
    #[error(
        "`{0}` is neither a DNS name nor an IP address, so that no certificate can be for it; give Tls::name"
    )]
    Name(String),
    /// Datagrams.
    #[error("TLS is for streams, not for UDP; use tls:// or https://")]
    Datagrams,
    /// Anything else that rustls finds.
    #[error("TLS cannot be set up so: {0}")]
    Other(String),
}

/// Why TLS was not begun on a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartTlsError {
    /// The connection is gone, or closing.
    #[error(transparent)]
    Closed(#[from] ConnectionClosed),
    /// It cannot be spoken so.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A listener, or a UDP socket.
    #[error("TLS is for connected streams; to listen with it, give Listen::tls")]
    NotAStream,
    /// It has begun.
    #[error("TLS was begun on this connection already")]
    Begun,
    /// HTTP has been spoken in plain.
    #[error("HTTP was spoken on this connection already; start TLS in Accept or Connect")]
    Spoken,
}
