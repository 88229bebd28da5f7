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
/// `scheme://user:password@host:port/path?query`. The host may be empty or `*`, which is every address of the
/// machine; the port may be left out where the scheme has one of its own; without a scheme, `host:port` is TCP. An IPv6 address stands
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

    /// Whether HTTP is spoken: for http and https, and for WebSockets, which begin with it.
    #[must_use]
    pub fn speaks_http(&self) -> bool {
        matches!(self.scheme, Scheme::Http | Scheme::Https | Scheme::Ws | Scheme::Wss | Scheme::HttpUnix)
    }

    fn internet(text: &str, scheme: Scheme, rest: &str) -> Result<Self, UrlError> {
        let url = || text.to_owned();
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
            return Err(UrlError::NoPath { url: text.to_owned() });
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
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        type Case = (&'static str, Scheme, &'static str, u16, &'static str);
        let table: &[Case] = &[
            ("http://127.0.0.1:8000", Scheme::Http, "127.0.0.1", 8000, "/"),
            ("http://localhost", Scheme::Http, "localhost", 80, "/"),
            ("HTTPS://Example.org/a?b=c#d", Scheme::Https, "Example.org", 443, "/a?b=c"),
            ("http://a?x=/@b", Scheme::Http, "a", 80, "/?x=/@b"),
            ("ws://a:1/chat", Scheme::Ws, "a", 1, "/chat"),
            ("wss://a", Scheme::Wss, "a", 443, "/"),
            ("mqtt://a", Scheme::Mqtt, "a", 1883, "/"),
            ("mqtts://a", Scheme::Mqtts, "a", 8883, "/"),
            ("tcp://0.0.0.0:0", Scheme::Tcp, "0.0.0.0", 0, "/"),
            ("tls://a:65535", Scheme::Tls, "a", 65_535, "/"),
            ("udp://:53", Scheme::Udp, "", 53, "/"),
            ("http://:8000/x", Scheme::Http, "", 8000, "/x"),
            ("http://*:80", Scheme::Http, "*", 80, "/"),
            ("http://a:/x", Scheme::Http, "a", 80, "/x"),
            ("localhost:80", Scheme::Tcp, "localhost", 80, "/"),
            (":1234", Scheme::Tcp, "", 1234, "/"),
            ("http://[::1]", Scheme::Http, "::1", 80, "/"),
            ("tcp://[::]:0", Scheme::Tcp, "::", 0, "/"),
            ("http://[::1]:/", Scheme::Http, "::1", 80, "/"),
            ("udp://[fe80::1%25eth0]:9", Scheme::Udp, "fe80::1%eth0", 9, "/"),
            ("udp://[fe80::1%3]:9", Scheme::Udp, "fe80::1%3", 9, "/"),
            ("http://u:p@[::1]:1", Scheme::Http, "::1", 1, "/"),
            ("http://bücher.example", Scheme::Http, "bücher.example", 80, "/"),
        ];
        for (text, scheme, host, port, uri) in table {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.scheme(), url.host(), url.port(), url.uri()),
                (*scheme, *host, *port, *uri),
                "{text}"
            );
            assert_eq!(url.socket(), None, "{text}");
        }
    }

    #[test]
    fn users_are_decoded() {
        let table = [
            ("http://a", None, None),
            ("http://u@a", Some("u"), None),
            ("http://u:@a", Some("u"), Some("")),
            ("http://:p@a", Some(""), Some("p")),
            ("http://u%40x:p%3a:q@a", Some("u@x"), Some("p::q")),
            ("http://u@v:p@a", Some("u@v"), Some("p")),
            ("http://a/u:p@b", None, None),
        ];
        for (text, user, password) in table {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.user(), url.password(), url.host()), (user, password, "a"), "{text}");
        }
    }

    #[test]
    fn unix_sockets_have_a_path() {
        let table = [
            ("unix:/run/a.sock", Scheme::Unix, "/run/a.sock", "/"),
            ("unix:///run/a b.sock", Scheme::Unix, "/run/a b.sock", "/"),
            ("unix:a.sock", Scheme::Unix, "a.sock", "/"),
            ("unix:/a%2Fb?c", Scheme::Unix, "/a%2Fb?c", "/"),
            ("http+unix:/run/a.sock", Scheme::HttpUnix, "/run/a.sock", "/"),
            ("http+unix:///run/a.sock", Scheme::HttpUnix, "/run/a.sock", "/"),
            ("http+unix://%2Frun%2Fa.sock", Scheme::HttpUnix, "/run/a.sock", "/"),
            ("http+unix://%2Frun%2Fa.sock/x/y?z#f", Scheme::HttpUnix, "/run/a.sock", "/x/y?z"),
            ("http+unix:a/b", Scheme::HttpUnix, "a/b", "/"),
        ];
        for (text, scheme, socket, uri) in table {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.scheme(), url.socket(), url.uri()),
                (scheme, Some(Path::new(socket)), uri),
                "{text}"
            );
            assert_eq!((url.host(), url.port()), ("", 0), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let table = [
            ("", "the address is empty: write one like http://0.0.0.0:8000"),
            ("ftp://a", "`ftp://a` has the scheme `ftp`: write one of http, https"),
            ("tcp://a", "`tcp://a` has no port, and tcp has none of its own: write tcp://a:PORT"),
            ("tcp://[::1]", "`tcp://[::1]` has no port, and tcp has none of its own: write tcp://[::1]:PORT"),
            ("localhost", "`localhost` has no port, and tcp has none of its own: write tcp://localhost:PORT"),
            ("http://a:65536", "`http://a:65536` has the port `65536`: a port is a number from 0 to 65535"),
            ("http://a:+80", "`http://a:+80` has the port `+80`"),
            ("http://a:http", "`http://a:http` has the port `http`"),
            ("http://[::1]80", "`http://[::1]80` has the port `80`"),
            ("http://[::1", "`http://[::1` has `::1` in brackets, which is no IPv6 address"),
            ("http://[a]", "`http://[a]` has `a` in brackets"),
            ("http://[fe80::1%]", "`http://[fe80::1%]` has `fe80::1%` in brackets"),
            (
                "http://::1:80",
                "`http://::1:80` has more than one colon in its host: write an IPv6 address in brackets",
            ),
            ("http://a%20b", "`http://a%20b` has the character '%' in its host"),
            ("http://a*", "`http://a*` has the character '*' in its host"),
            ("http://a/ b", "`http://a/ b` has the character ' ': escape it"),
            ("http://a/\r\nb", "has the character '\\r': escape it"),
            ("unix:", "`unix:` has no path: write unix:/path/of/socket"),
            ("unix://run/a.sock", "`unix://run/a.sock` has no path: write unix:/path/of/socket"),
            ("http+unix://%00/", "`http+unix://%00/` has no path"),
        ];
        for (text, says) in table {
            let error = Url::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn schemes_say_what_is_spoken() {
        let table = [
            ("http://a", false, true),
            ("https://a", true, true),
            ("ws://a", false, true),
            ("wss://a", true, true),
            ("http+unix:/a", false, true),
            ("tcp://a:1", false, false),
            ("tls://a:1", true, false),
            ("udp://a:1", false, false),
            ("mqtt://a", false, false),
            ("mqtts://a", true, false),
            ("unix:/a", false, false),
        ];
        for (text, tls, http) in table {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.is_tls(), url.speaks_http()), (tls, http), "{text}");
            assert!(text.starts_with(url.scheme().as_str()), "{text}");
        }
    }

    #[test]
    fn only_the_unreserved_is_not_escaped() {
        let unreserved = "ABCXYZabcxyz0189-_.~";
        assert_eq!(encode(unreserved), unreserved);
        for character in (0..128).map(char::from).filter(|character| !unreserved.contains(*character)) {
            let escaped = !character.is_ascii_alphanumeric();
            assert_eq!(encode(&character.to_string()).starts_with('%'), escaped, "{character:?}");
        }
        assert_eq!(encode("a b/ü&"), "a%20b%2F%C3%BC%26");
        assert_eq!(decode("a%20b%2f%C3%BC+%zz%"), "a b/ü+%zz%");
        assert_eq!(decode("%ff"), "\u{fffd}");
    }
}
