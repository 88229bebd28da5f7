//! Schemes, and the ports that are theirs.

use std::fmt;

/// What is spoken, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// HTTP on TCP.
    Http,
    /// HTTP on TLS.
    Https,
    /// WebSocket on TCP.
    Ws,
    /// WebSocket on TLS.
    Wss,
    /// Bytes on TCP.
    Tcp,
    /// Bytes on TLS.
    Tls,
    /// Datagrams.
    Udp,
    /// MQTT on TCP.
    Mqtt,
    /// MQTT on TLS.
    Mqtts,
    /// Bytes on a Unix socket.
    Unix,
    /// HTTP on a Unix socket.
    HttpUnix,
}

impl Scheme {
    /// As it stands before the colon.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Unix => "unix",
            Self::HttpUnix => "http+unix",
        }
    }

    /// Schemes are case-insensitive (RFC 3986 §3.1).
    pub(super) fn parse(text: &str) -> Option<Self> {
        [
            Self::Http,
            Self::Https,
            Self::Ws,
            Self::Wss,
            Self::Tcp,
            Self::Tls,
            Self::Udp,
            Self::Mqtt,
            Self::Mqtts,
        ]
        .into_iter()
        .find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
    }

    /// The registered port, where there is one.
    pub(super) fn port(self) -> Option<u16> {
        match self {
            Self::Http | Self::Ws => Some(80),
            Self::Https | Self::Wss => Some(443),
            Self::Mqtt => Some(1883),
            Self::Mqtts => Some(8883),
            Self::Tcp | Self::Tls | Self::Udp | Self::Unix | Self::HttpUnix => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
