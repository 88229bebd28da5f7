//! Addresses as programs write them, and the text tools that go with them.

mod error;
mod pattern;
mod scheme;

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub use error::UrlError;
pub use pattern::matches;
pub use scheme::Scheme;

/// Where to listen, or to connect to, and what is spoken there.
///
/// `scheme://user:password@host:port/path?query`. The host may be empty, which is every address of the machine; the
/// port may be left out where the scheme has one of its own; without a scheme, `host:port` is TCP. An IPv6 address stands
/// in brackets. A Unix socket is `unix:/path`, or `http+unix:/path` to speak HTTP on it; in
/// `http+unix://%2Fpath%2Fof%2Fsocket/uri` its path is escaped, and a URI may follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    user: Option<String>,
    password: Option<String>,
    host: String,
    port: u16,
    socket: Option<PathBuf>,
    uri: String,
}

impl Url {
    /// Takes an address apart.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what to write instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use exeunt_manager::url::{Scheme, Url};
    ///
    /// let url = Url::parse("wss://[::1]/chat?room=1")?;
    /// assert_eq!((url.scheme(), url.host(), url.port()), (Scheme::Wss, "::1", 443));
    /// assert_eq!(url.uri(), "/chat?room=1");
    /// # Ok::<(), exeunt_manager::url::UrlError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if let Some(character) = text.chars().find(|character| character.is_ascii_control()) {
            return Err(UrlError::Character { url: text.to_owned(), character });
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(text, Scheme::Unix, path);
        }
        if let Some(path) = text.strip_prefix("http+unix:") {
            return Self::unix(text, Scheme::HttpUnix, path);
        }
        match text.split_once("://") {
            None => Self::internet(text, Scheme::Tcp, text),
            Some((scheme, rest)) => match Scheme::parse(scheme) {
                Some(scheme) => Self::internet(text, scheme, rest),
                None => Err(UrlError::Scheme { url: text.to_owned(), scheme: scheme.to_owned() }),
            },
        }
    }

    /// What is spoken.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an address, without brackets; empty for every address of the machine, and for a Unix socket.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, or the scheme's own; 0 for any that is free, and for a Unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of a Unix socket.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The user's name, decoded.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, decoded.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// What to ask for there: path and query, as they stand; `/` if there is none.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.scheme, Scheme::Https | Scheme::Wss | Scheme::Tls | Scheme::Mqtts)
    }

    /// Whether HTTP is spoken: for http and https, and for WebSockets, which begin with it.
    #[must_use]
    pub fn speaks_http(&self) -> bool {
        matches!(self.scheme, Scheme::Http | Scheme::Https | Scheme::Ws | Scheme::Wss | Scheme::HttpUnix)
    }

    fn internet(text: &str, scheme: Scheme, rest: &str) -> Result<Self, UrlError> {
        let url = || text.to_owned();
        let split = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, uri) = rest.split_at_checked(split).unwrap_or_default();
        let (user_info, place) = match authority.rsplit_once('@') {
            Some((user_info, place)) => (Some(user_info), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(inside) => {
                let (host, behind) = inside.split_once(']').unwrap_or((inside, ""));
                let address = host.split_once('%').map_or(host, |(address, _zone)| address);
                let port = behind.strip_prefix(':').or(behind.is_empty().then_some(""));
                match (address.parse::<Ipv6Addr>(), port) {
                    (Ok(_), Some(port)) if inside.contains(']') => (host, port),
                    (Ok(_), None) => return Err(UrlError::Port { url: url(), port: behind.to_owned() }),
                    _ => return Err(UrlError::Ipv6 { url: url(), host: host.to_owned() }),
                }
            }
            None => {
                let (host, port) = place.split_once(':').unwrap_or((place, ""));
                if port.contains(':') {
                    return Err(UrlError::Brackets { url: url() });
                }
                if let Some(character) = host.chars().find(|character| !is_host_character(*character)) {
                    return Err(UrlError::Host { url: url(), character });
                }
                (host, port)
            }
        };
        let port = match port {
            "" => {
                scheme.port().ok_or_else(|| UrlError::NoPort { url: url(), scheme, host: host.to_owned() })?
            }
            _ => parse_port(port).ok_or_else(|| UrlError::Port { url: url(), port: port.to_owned() })?,
        };
        let (user, password) = match user_info.map(|both| both.split_once(':').unwrap_or((both, ""))) {
            Some((user, password)) => {
                (Some(user), Some(password).filter(|_| user_info.is_some_and(|both| both.contains(':'))))
            }
            None => (None, None),
        };
        Ok(Self {
            scheme,
            user: user.map(|user| decode(user).into_owned()),
            password: password.map(|password| decode(password).into_owned()),
            host: host.to_owned(),
            port,
            socket: None,
            uri: origin(uri),
        })
    }

    fn unix(text: &str, scheme: Scheme, path: &str) -> Result<Self, UrlError> {
        let place = path.strip_prefix("//").unwrap_or(path);
        let (socket, uri) = match place.split_once('/') {
            // Its slashes are escaped: what is behind the first bare one is the URI.
            Some((escaped, uri)) if scheme == Scheme::HttpUnix && !escaped.is_empty() => {
                (decode(escaped).into_owned(), format!("/{uri}"))
            }
            None if scheme == Scheme::HttpUnix => (decode(place).into_owned(), String::new()),
            _ => (place.to_owned(), String::new()),
        };
        if socket.is_empty() || socket.contains('\0') {
            return Err(UrlError::NoPath { url: text.to_owned() });
        }
        Ok(Self {
            scheme,
            user: None,
            password: None,
            host: String::new(),
            port: 0,
            socket: Some(socket.into()),
            uri: origin(&uri),
        })
    }
}

/// Escapes what is not a letter, a digit or one of `-_.~` (RFC 3986 §2.3), as UTF-8.
///
/// # Examples
///
/// ```
/// assert_eq!(exeunt_manager::url::encode("a b/ü"), "a%20b%2F%C3%BC");
/// ```
#[must_use]
pub fn encode(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Takes escapes back; a `+` stays one. What is no escape stays as it is, and bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// Path and query, as they go into a request line.
fn origin(uri: &str) -> String {
    let uri = uri.split_once('#').map_or(uri, |(uri, _fragment)| uri);
    match uri.starts_with('/') {
        true => uri.to_owned(),
        false => format!("/{uri}"),
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_host_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '.' | '_' | '~')
}
