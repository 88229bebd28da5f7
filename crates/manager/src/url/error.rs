//! What can be wrong with an address.

use thiserror::Error;

use super::Scheme;

/// What is wrong with an address, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Nothing was given.
    #[error("the address is empty: write one like http://0.0.0.0:8000")]
    Empty,
    /// No such scheme is known.
    #[error(
        "`{url}` has the scheme `{scheme}`: write one of http, https, ws, wss, tcp, tls, udp, mqtt, mqtts, unix, http+unix"
    )]
    Scheme {
        /// The whole address.
        url: String,
        /// What stands before the colon.
        scheme: String,
    },
    /// A scheme without a port of its own.
    #[error(
        "`{url}` has no port, and {scheme} has none of its own: write {scheme}://{place}:PORT, with 0 for a free one"
    )]
    NoPort {
        /// The whole address.
        url: String,
        /// What is spoken.
        scheme: Scheme,
        /// The host, as it stands there.
        place: String,
    },
    /// What stands behind the last colon is no port.
    #[error("`{url}` has the port `{port}`: a port is a number from 0 to 65535")]
    Port {
        /// The whole address.
        url: String,
        /// What stands there.
        port: String,
    },
    /// Something in brackets that is no IPv6 address.
    #[error("`{url}` has `{host}` in brackets, which is no IPv6 address: write one like [::1]")]
    Ipv6 {
        /// The whole address.
        url: String,
        /// What stands there.
        host: String,
    },
    /// An IPv6 address without brackets.
    #[error(
        "`{url}` has more than one colon in its host: write an IPv6 address in brackets, like [::1]:8000"
    )]
    Brackets {
        /// The whole address.
        url: String,
    },
    /// Something that no host name has.
    #[error(
        "`{url}` has the character {character:?} in its host: write a name, an IPv4 address, or an IPv6 address in brackets"
    )]
    Host {
        /// The whole address.
        url: String,
        /// The first that is wrong.
        character: char,
    },
    /// A Unix socket needs a path.
    #[error("`{url}` has no path: write unix:/path/of/socket")]
    NoPath {
        /// The whole address.
        url: String,
    },
    /// A line end or NUL would get into a request.
    #[error("`{url}` has the character {character:?}: escape it with url::encode")]
    Character {
        /// The whole address.
        url: String,
        /// The first that is wrong.
        character: char,
    },
}
