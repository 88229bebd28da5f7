//! Addresses as programs write them, and the text tools that go with them.

mod error;
mod pattern;
mod scheme;
mod shown;

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub use error::UrlError;
pub use pattern::matches;
pub use scheme::Scheme;
pub(crate) use shown::shown;

/// Where to listen, or to connect to, and what is spoken there.
///
/// `scheme://user:password@host:port/path?query`. The host may be empty or `*`, which is every address of the
/// machine; the port may be left out where the scheme has one of its own; without a scheme, `host:port` is TCP. An IPv6 address stands
/// in brackets. A Unix socket is `unix:/path`, or `http+unix:/path` to speak HTTP on it; in
/// `http+unix://%2Fpath%2Fof%2Fsocket/uri` its path is escaped, and a URI may follow.
#[derive(Clone, PartialEq, Eq, Hash)]
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
        if let Some(character) = text.chars().find(char::is_ascii_control) {
            return Err(UrlError::Character { url: shown(text), character });
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
                None => Err(UrlError::Scheme { url: shown(text), scheme: scheme.to_owned() }),
            },
        }
    }

    /// What is spoken.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an address, without brackets; empty or `*` for every address of the machine, empty for a Unix socket.
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

    /// Whether HTTP is spoken: for http and https, and for WebSocket, which begins with it.
    #[must_use]
    pub fn speaks_http(&self) -> bool {
        matches!(self.scheme, Scheme::Http | Scheme::Https | Scheme::Ws | Scheme::Wss | Scheme::HttpUnix)
    }

    fn internet(text: &str, scheme: Scheme, rest: &str) -> Result<Self, UrlError> {
        let url = || shown(text);
        if text.contains(' ') {
            return Err(UrlError::Character { url: url(), character: ' ' });
        }
        let split = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, uri) = rest.split_at_checked(split).unwrap_or_default();
        let (user_info, place) = match authority.rsplit_once('@') {
            Some((user_info, place)) => (Some(user_info), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(inside) => bracketed(text, inside)?,
            None => named(text, place)?,
        };
        let port = match port {
            None => scheme.port().ok_or_else(|| {
                let place = place.strip_suffix(':').unwrap_or(place).to_owned();
                UrlError::NoPort { url: url(), scheme, place }
            })?,
            Some(port) => {
                parse_port(port).ok_or_else(|| UrlError::Port { url: url(), port: port.to_owned() })?
            }
        };
        let user = user_info.map(|both| both.split_once(':').map_or(both, |(user, _)| user));
        let password = user_info.and_then(|both| Some(both.split_once(':')?.1));
        Ok(Self {
            scheme,
            user: user.map(|user| decode(user).into_owned()),
            password: password.map(|password| decode(password).into_owned()),
            host,
            port,
            socket: None,
            uri: origin(uri),
        })
    }

    fn unix(text: &str, scheme: Scheme, path: &str) -> Result<Self, UrlError> {
        let (place, slashes) = path.strip_prefix("//").map_or((path, false), |place| (place, true));
        let (socket, uri) = match place.split_once('/') {
            Some(("", _)) => (place.to_owned(), ""),
            // Its slashes are escaped: the first bare one begins the URI.
            split if slashes && scheme == Scheme::HttpUnix => {
                let (escaped, _) = split.unwrap_or((place, ""));
                (decode(escaped).into_owned(), place.get(escaped.len()..).unwrap_or_default())
            }
            // Who writes two slashes means a third.
            _ if slashes => (String::new(), ""),
            _ => (place.to_owned(), ""),
        };
        if socket.is_empty() || socket.contains('\0') {
            return Err(UrlError::NoPath { url: shown(text) });
        }
        Ok(Self {
            scheme,
            user: None,
            password: None,
            host: String::new(),
            port: 0,
            socket: Some(socket.into()),
            uri: origin(uri),
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

/// `address]` or `address]:port`, behind the opening bracket.
fn bracketed<'a>(url: &str, inside: &'a str) -> Result<(String, Option<&'a str>), UrlError> {
    let wrong = |host: &str| UrlError::Ipv6 { url: url.to_owned(), host: host.to_owned() };
    let (host, behind) = inside.split_once(']').ok_or_else(|| wrong(inside))?;
    // RFC 6874 escapes the percent sign before a zone; people do not.
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, Some(zone.strip_prefix("25").unwrap_or(zone))),
        None => (host, None),
    };
    if address.parse::<Ipv6Addr>().is_err()
        || zone.is_some_and(|zone| zone.is_empty() || !zone.chars().all(is_host_character))
    {
        return Err(wrong(host));
    }
    let host = zone.map_or_else(|| address.to_owned(), |zone| format!("{address}%{zone}"));
    match behind.strip_prefix(':') {
        Some(port) => Ok((host, Some(port).filter(|port| !port.is_empty()))),
        None if behind.is_empty() => Ok((host, None)),
        None => Err(UrlError::Port { url: url.to_owned(), port: behind.to_owned() }),
    }
}

/// `name`, `name:` or `name:port`.
fn named<'a>(url: &str, place: &'a str) -> Result<(String, Option<&'a str>), UrlError> {
    let (host, port) = place.split_once(':').unwrap_or((place, ""));
    if port.contains(':') {
        return Err(UrlError::Brackets { url: url.to_owned() });
    }
    match host.chars().find(|character| !is_host_character(*character) && host != "*") {
        Some(character) => Err(UrlError::Host { url: url.to_owned(), character }),
        None => Ok((host.to_owned(), Some(port).filter(|port| !port.is_empty()))),
    }
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

#[cfg(test)]
mod tests;
