//! Addresses in messages, which end up in logs.

use super::Url;
use std::fmt;

/// The address as it was written, but for its password.
pub(crate) fn shown(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at_checked(start).unwrap_or_default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, uri) = rest.split_at_checked(end).unwrap_or_default();
    let user_info = authority.rsplit_once('@');
    match user_info.and_then(|(both, place)| Some((both.split_once(':')?.0, place))) {
        Some((user, place)) => format!("{scheme}{user}:***@{place}{uri}"),
        None => text.to_owned(),
    }
}

impl fmt::Debug for Url {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, user, password, host, port, socket, uri } = self;
        f.debug_struct("Url")
            .field("scheme", scheme)
            .field("user", user)
            .field("password", &password.as_ref().map(|_| "***"))
            .field("host", host)
            .field("port", port)
            .field("socket", socket)
            .field("uri", uri)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::shown;
    use crate::url::Url;
    use crate::{Connect, Listen, Manager, Tls};

    #[test]
    fn a_password_is_not_shown() {
        for (text, expected) in [
            ("https://me:secret@example.org/a:b@c", "https://me:***@example.org/a:b@c"),
            ("tcp://:secret@[::1]:80", "tcp://:***@[::1]:80"),
            ("me:sec:r@et@example.org:80", "me:***@example.org:80"),
            ("http://me@example.org/", "http://me@example.org/"),
            ("http://example.org/a:b@c", "http://example.org/a:b@c"),
            ("unix:/run/a:b.sock", "unix:/run/a:b.sock"),
        ] {
            assert_eq!(shown(text), expected);
        }
        let url = Url::parse("http://me:secret@example.org/").unwrap();
        let text = format!("{url:?}");
        assert!(text.contains("me") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn nor_is_it_in_errors() {
        let manager = Manager::without_handler();
        let tls = Tls::new().certificate("", "");
        for error in [
            Url::parse("http://me:secret@example.org:port/").unwrap_err().to_string(),
            Url::parse("http://me:secret@example.org /").unwrap_err().to_string(),
            Url::parse("tcp://me:secret@example.org").unwrap_err().to_string(),
            Url::parse("ftp://me:secret@example.org").unwrap_err().to_string(),
            manager
                .connect_with("udp://me:secret@[::1]:1", Connect::new().tls(tls.clone()))
                .unwrap_err()
                .to_string(),
            manager.listen_with("https://me:secret@[::1]:0", Listen::new().tls(tls)).unwrap_err().to_string(),
        ] {
            assert!(error.contains("://me:***@") && !error.contains("secret"), "{error}");
        }
    }
}
