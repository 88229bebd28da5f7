//! What a handshake came to.

/// What the two ends of a TLS connection have agreed on ([`Connection::tls_info`](crate::Connection::tls_info)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, by rustls' name for it: `TLS13_AES_256_GCM_SHA384`, say.
    pub cipher_suite: String,
    /// The application protocol (ALPN, RFC 7301), where one was agreed on: `http/1.1`, say.
    pub protocol: Option<String>,
    /// On a server: the name that the client asked for (SNI, RFC 6066 §3).
    pub server_name: Option<String>,
    /// The peer's certificate, and behind it those that it came with, in DER. A client's is there if the server asks for it
    /// ([`Tls::client_ca`](crate::Tls::client_ca)); a server's is verified, unless that was switched off.
    pub peer_certificates: Vec<Vec<u8>>,
}

impl TlsInfo {
    pub(super) fn of(session: &rustls::Connection) -> Self {
        Self {
            version: match session.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            cipher_suite: session
                .negotiated_cipher_suite()
                .map_or_else(String::new, |suite| format!("{:?}", suite.suite())),
            protocol: session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
            server_name: match session {
                rustls::Connection::Server(server) => server.server_name().map(ToOwned::to_owned),
                rustls::Connection::Client(_) => None,
            },
            peer_certificates: session
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|certificate| certificate.to_vec())
                .collect(),
        }
    }
}
