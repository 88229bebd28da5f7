//! Requests that ask for the connection itself (rules D2 and D6).

use http::header::UPGRADE;
use http::{Method, Request, StatusCode};
use hyper::upgrade::OnUpgrade;

/// Whether a request asks for the connection, and what that can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It does not.
    No,
    /// By an `Upgrade` field, and a 101 grants it.
    Upgrade,
    /// By CONNECT, and a 2xx grants it as well (RFC 9110 §9.3.6).
    Connect,
    /// After the stop request.
    TooLate,
}

impl Asked {
    /// What this request asks for. An offer that comes after the stop request is taken off it.
    pub(crate) fn by<B>(request: &mut Request<B>, stopping: bool) -> Self {
        // hyper puts it there where the protocol allows an upgrade.
        if request.extensions().get::<OnUpgrade>().is_none() {
            Self::No
        } else if stopping && is_mere_offer(request) {
            request.extensions_mut().remove::<OnUpgrade>();
            Self::No
        } else if stopping {
            Self::TooLate
        } else if request.method() == Method::CONNECT {
            Self::Connect
        } else {
            Self::Upgrade
        }
    }

    /// The answer in the program's place (D2).
    pub(crate) fn refusal(self) -> Option<StatusCode> {
        (self == Self::TooLate).then_some(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Whether a response with this status hands the connection over.
    pub(crate) fn is_granted_by(self, status: StatusCode) -> bool {
        match self {
            Self::No | Self::TooLate => false,
            Self::Upgrade => status == StatusCode::SWITCHING_PROTOCOLS,
            Self::Connect => status == StatusCode::SWITCHING_PROTOCOLS || status.is_success(),
        }
    }
}

/// Whether a request that asks for an upgrade is as well answered without: `h2c`, which clients such as curl offer beside
/// an ordinary request (RFC 9110 §7.8 lets a server ignore it).
fn is_mere_offer<B>(request: &Request<B>) -> bool {
    let mut protocols = request.headers().get_all(UPGRADE).iter().peekable();
    request.method() != Method::CONNECT
        && protocols.peek().is_some()
        && protocols
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .all(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d2_an_offer_of_http_2_is_no_request_for_an_upgrade() {
        let table = [
            ("GET", "h2c", true),
            ("GET", "H2C , h2c", true),
            ("GET", "websocket", false),
            ("GET", "h2c, websocket", false),
            ("GET", "", false),
            ("CONNECT", "h2c", false),
        ];
        for (method, protocols, expected) in table {
            let request = Request::builder().method(method).header(UPGRADE, protocols).body(()).unwrap();
            assert_eq!(is_mere_offer(&request), expected, "{method} {protocols:?}");
        }
        assert!(!is_mere_offer(&Request::new(())));
    }

    #[test]
    fn d6_what_grants_a_connection() {
        use Asked::{Connect, No, TooLate, Upgrade};
        let table = [
            (No, 101, false),
            (TooLate, 101, false),
            (Upgrade, 101, true),
            (Upgrade, 200, false),
            (Connect, 101, true),
            (Connect, 200, true),
            (Connect, 204, true),
            (Connect, 407, false),
        ];
        for (asked, status, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(asked.is_granted_by(status), expected, "{asked:?} {status}");
        }
    }
}
