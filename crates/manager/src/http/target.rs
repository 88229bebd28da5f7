//! The request target and the authority (RFC 9112 §3.2, RFC 3986 §3.2).

use std::net::Ipv6Addr;

use super::{Refusal, token};

/// Where the parts of a target are, as ranges in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// What the program sees as the URI: the path; of CONNECT the authority; `*`. Empty only in `http://host`, for `/`.
    pub(crate) uri: (usize, usize),
    /// Behind the question mark.
    pub(crate) query: Option<(usize, usize)>,
}

impl Target {
    /// Takes a target apart, in the form that its method allows.
    pub(crate) fn parse(method: &[u8], target: &[u8]) -> Result<Self, Refusal> {
        if method == b"CONNECT" {
            return match is_authority(target, true) {
                true => Ok(Self { uri: (0, target.len()), query: None }),
                false => Err(Refusal::bad("the target of CONNECT is not host:port")),
            };
        }
        let path = match target.first() {
            Some(b'/') => 0,
            Some(b'*') if target.len() == 1 && method == b"OPTIONS" => 0,
            _ => absolute(target)?,
        };
        let rest = target.get(path..).unwrap_or_default();
        let Some(mark) = memchr::memchr2(b'?', b'#', rest).map(|at| path + at) else {
            return Ok(Self { uri: (path, target.len()), query: None });
        };
        let behind = target.get(mark..).unwrap_or_default();
        if memchr::memchr(b'#', behind).is_some() {
            return Err(Refusal::bad("the request target has a fragment"));
        }
        Ok(Self { uri: (path, mark), query: Some((mark + 1, target.len())) })
    }
}

/// Whether this is `host [ ":" port ]`, without user information; `port`: whether there must be one.
pub(crate) fn is_authority(text: &[u8], port: bool) -> bool {
    let (host_is_good, rest) = match text {
        [b'[', behind @ ..] => {
            match memchr::memchr(b']', behind).and_then(|end| behind.split_at_checked(end)) {
                Some((address, [b']', rest @ ..])) => (is_ipv6(address), rest),
                _ => return false,
            }
        }
        _ => {
            let end = memchr::memchr(b':', text).unwrap_or(text.len());
            let (name, rest) = text.split_at_checked(end).unwrap_or_default();
            (is_registered_name(name), rest)
        }
    };
    host_is_good
        && match rest {
            [] => !port,
            [b':', digits @ ..] => is_port(digits) && !(port && digits.is_empty()),
            _ => false,
        }
}

/// Where the path begins in `http://authority/path`.
fn absolute(target: &[u8]) -> Result<usize, Refusal> {
    const WRONG: Refusal =
        Refusal::bad("the request target is neither a path nor an http:// or https:// URI");
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
        })
        .ok_or(WRONG)?
        .len();
    let rest = target.get(scheme..).unwrap_or_default();
    let length = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = rest.get(..length).unwrap_or_default();
    if matches!(authority, [] | [b':', ..]) || !is_authority(authority, false) {
        return Err(Refusal::bad("the request target's authority is not a host with an optional port"));
    }
    Ok(scheme + length)
}

fn is_registered_name(name: &[u8]) -> bool {
    let mut escapes = memchr::memchr_iter(b'%', name).map(|at| name.get(at + 1..at + 3).unwrap_or_default());
    name.iter().all(|byte| token::is_host_byte(*byte))
        && escapes.all(|digits| digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit))
}

fn is_ipv6(address: &[u8]) -> bool {
    str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Digits up to 65535, or nothing (RFC 3986 §3.2.3).
fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0_u32, |port, digit| port * 10 + u32::from(digit - b'0')) <= 65_535
}
