//! Where to listen, as people write it.

use std::{
    error::Error,
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

/// A place to listen on.
///
/// Parsed from `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000` (resolved when bound), `:8000` (every address of the
/// machine, both families where it has both), `unix:/run/site.sock`, or `systemd:NAME`, which a service manager has opened
/// (see [`inherited`](fn@crate::inherited)). Port 0 lets the kernel choose one.
///
/// ```
/// use exeunt_listener::Address;
/// let address: Address = "[::1]:8000".parse()?;
/// assert_eq!(address.to_string(), "[::1]:8000");
/// assert!("8000".parse::<Address>().is_err());
/// # Ok::<(), exeunt_listener::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An address and a port.
    Socket(SocketAddr),
    /// A name to be resolved when bound, and a port.
    Host {
        /// The name, never empty.
        name: String,
        /// The port.
        port: u16,
    },
    /// This port on every address of the machine.
    Everywhere(u16),
    /// A Unix socket in the file system.
    Unix(PathBuf),
    /// A socket that was passed on to this process under that name; without a name, the next.
    Inherited(String),
}

impl Address {
    /// The address and port, where it has been resolved (as a listener's own address always is).
    #[must_use]
    pub fn as_socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(address) => Some(*address),
            _ => None,
        }
    }

    /// The port, for anything but a Unix socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Socket(address) => Some(address.port()),
            Self::Host { port, .. } | Self::Everywhere(port) => Some(*port),
            Self::Unix(_) | Self::Inherited(_) => None,
        }
    }

    /// The path of a Unix socket.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            _ => None,
        }
    }

    /// What to try in turn; the first that binds is taken.
    pub(crate) fn candidates(&self) -> std::io::Result<Vec<SocketAddr>> {
        use std::net::ToSocketAddrs as _;
        match self {
            Self::Socket(address) => Ok(vec![*address]),
            Self::Host { name, port } => Ok((name.as_str(), *port).to_socket_addrs()?.collect()),
            // The first takes both families; the second is for a machine without IPv6.
            Self::Everywhere(port) => {
                Ok(vec![(Ipv6Addr::UNSPECIFIED, *port).into(), (Ipv4Addr::UNSPECIFIED, *port).into()])
            }
            Self::Unix(_) | Self::Inherited(_) => Ok(Vec::new()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Host { name, port } => write!(f, "{name}:{port}"),
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited(name) => write!(f, "systemd:{name}"),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |why| AddressError { text: text.to_owned(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(wrong(Why::NoPath)) } else { Ok(Self::Unix(path.into())) };
        }
        if let Some(name) = text.strip_prefix("systemd:") {
            return Ok(Self::Inherited(name.to_owned()));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Socket(address));
        }
        let (name, port) = text.rsplit_once(':').ok_or_else(|| wrong(Why::NoPort))?;
        let port = port.parse().map_err(|_| wrong(Why::BadPort))?;
        match name {
            "" | "*" => Ok(Self::Everywhere(port)),
            // An IPv6 address without its brackets cannot be told from its port.
            name if name.contains([':', '[', ']', '/', ' ']) => Err(wrong(Why::BadHost)),
            name => Ok(Self::Host { name: name.to_owned(), port }),
        }
    }
}

/// A text that names no place to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    text: String,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    NoPath,
    NoPort,
    BadPort,
    BadHost,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::NoPath => "a path must follow `unix:`",
            Why::NoPort => "it has no port; write HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH or systemd:NAME",
            Why::BadPort => "its port is not a number from 0 to 65535",
            Why::BadHost => {
                "its host is neither a name nor an address; an IPv6 address needs brackets, as in [::1]:8000"
            }
        };
        write!(f, "cannot listen on `{}`: {why}", self.text)
    }
}

impl Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_read_as_they_are_written() {
        for text in [
            "127.0.0.1:8000",
            "[::1]:8000",
            "localhost:0",
            ":80",
            "unix:/run/x.sock",
            "0.0.0.0:65535",
            "systemd:http",
            "systemd:",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("*:80".parse::<Address>().unwrap(), Address::Everywhere(80));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_text() {
        for (text, part) in [
            ("8000", "no port"),
            ("::1:8000", "brackets"),
            ("localhost:http", "0 to 65535"),
            ("1.2.3.4:65536", "0 to 65535"),
            ("unix:", "path"),
            ("/run/x.sock:1", "neither a name"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(text), "{text}: {error}");
        }
    }
}
