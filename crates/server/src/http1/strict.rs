//! Requests that hyper lets through and RFC 9112 does not: two readings of one byte stream are what request smuggling is
//! made of (§11.2), so whoever stands before us must have no other reading than ours.
//!
//! hyper itself refuses blanks before a colon, folded lines, a bare CR, control characters, lengths that differ or are no
//! numbers, a coding that does not end with `chunked`, and codings in HTTP/1.0. Of `Content-Length` beside
//! `Transfer-Encoding` it takes the latter and closes behind the response, as §6.3 has it; a bare LF ends a line (§2.2).

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Uri, Version};

/// Why a request is refused, if it is.
pub(crate) fn refusal(
    method: &Method,
    uri: &Uri,
    version: Version,
    headers: &HeaderMap,
) -> Option<StatusCode> {
    if !has_its_host(version, headers) || !is_target(method, uri) {
        return Some(StatusCode::BAD_REQUEST);
    }
    coding(headers)
}

/// §3.2: exactly one `Host` in HTTP/1.1, at most one in HTTP/1.0, and a host with an optional port. An empty one is that of
/// a target without an authority.
fn has_its_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_authority(host.as_bytes()),
        (None, _) => version < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// RFC 9110 §4.2, without user information.
fn is_authority(authority: &[u8]) -> bool {
    let (host, port) = match authority {
        [b'[', rest @ ..] => {
            match rest.iter().position(|byte| *byte == b']').and_then(|end| rest.split_at_checked(end)) {
                Some((address, [_, port @ ..])) => {
                    // RFC 3986 §3.2.2: an IPv6 address, with a zone (RFC 6874), or one of the future.
                    let inside = |byte: &u8| is_host_byte(*byte) || *byte == b':';
                    if address.is_empty() || !address.iter().all(inside) {
                        return false;
                    }
                    (&[][..], port)
                }
                _ => return false,
            }
        }
        _ => authority.split_at(authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len())),
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_port && host.iter().all(|byte| is_host_byte(*byte))
}

/// RFC 3986 §3.2.2: a registered name, which an IPv4 address is, too.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

/// §3.2: the four forms of a target, two of them for one method each.
fn is_target(method: &Method, uri: &Uri) -> bool {
    match (method, uri.path()) {
        (&Method::CONNECT, path) => path.is_empty() && uri.authority().is_some(),
        (&Method::OPTIONS, "*") => true,
        (_, path) => path.starts_with('/'),
    }
}

/// §6.1, §7: `chunked`, once. What other codings there were we would hand to the program as if they were its content.
fn coding(headers: &HeaderMap) -> Option<StatusCode> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let only = match (lines.next()?, lines.next()) {
        (line, None) => line.as_bytes().trim_ascii(),
        (_, Some(_)) => return Some(StatusCode::BAD_REQUEST),
    };
    if only.eq_ignore_ascii_case(b"chunked") {
        return None;
    }
    let is_chunked = |coding: &&[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let twice = only.split(|byte| *byte == b',').filter(is_chunked).count() > 1;
    Some(if twice { StatusCode::BAD_REQUEST } else { StatusCode::NOT_IMPLEMENTED })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for host in [
            "",
            "a",
            "a.b:80",
            "a:",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:8000",
            "[fe80::1%25eth0]",
            "a_b",
            "%41",
        ] {
            assert!(is_authority(host.as_bytes()), "{host}");
        }
        for host in [
            "a b", "a/b", "u@a", "a:b", "a:80:80", "a,b:c", "[::1", "[]", "[::1]8", "[::1]]", "a#", "a?b",
            "\u{fc}", "a\\",
        ] {
            assert!(!is_authority(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn a_target_has_the_form_that_its_method_asks_for() {
        let table = [
            ("GET", "/", true),
            ("GET", "/a?b", true),
            ("GET", "http://a/b", true),
            ("GET", "http://a", true),
            ("GET", "*", false),
            ("OPTIONS", "*", true),
            ("OPTIONS", "/a", true),
            ("GET", "a:80", false),
            ("CONNECT", "a:80", true),
            ("CONNECT", "/", false),
            ("CONNECT", "http://a/", false),
        ];
        for (method, uri, taken) in table {
            assert_eq!(is_target(&method.parse().unwrap(), &uri.parse().unwrap()), taken, "{method} {uri}");
        }
    }

    #[test]
    fn chunked_is_the_only_coding_and_stands_there_once() {
        let status = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(TRANSFER_ENCODING, http::HeaderValue::from_static(line));
            }
            coding(&headers).map(|status| status.as_u16())
        };
        assert_eq!(status(&[]), None);
        assert_eq!(status(&["chunked"]), None);
        assert_eq!(status(&["Chunked\t"]), None);
        assert_eq!(status(&["gzip, chunked"]), Some(501));
        assert_eq!(status(&["identity, chunked"]), Some(501));
        assert_eq!(status(&["chunked, chunked"]), Some(400));
        assert_eq!(status(&["chunked", "chunked"]), Some(400));
        assert_eq!(status(&["gzip", "chunked"]), Some(400));
        assert_eq!(status(&[", chunked"]), Some(501));
    }
}
