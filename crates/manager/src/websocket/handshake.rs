//! The opening handshake (RFC 6455 §4).

use super::UpgradeError;
use crate::http::{Request, Response, Version, members};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

/// The answer's `Sec-WebSocket-Accept`.
///
/// # Errors
///
/// What the request lacks (§4.2.1).
pub(crate) fn accepts(request: &Request) -> Result<String, &'static str> {
    if request.method() != "GET" {
        return Err("its method is not GET");
    }
    if request.version() != Version::Http11 {
        return Err("it is not HTTP/1.1");
    }
    if !lists(request.headers(), "Upgrade", "websocket") {
        return Err("it does not say `Upgrade: websocket`");
    }
    if !lists(request.headers(), "Connection", "upgrade") {
        return Err("it does not say `Connection: Upgrade`");
    }
    if only(request.headers(), "Sec-WebSocket-Version") != Some(b"13") {
        return Err("it does not say `Sec-WebSocket-Version: 13`");
    }
    let key = only(request.headers(), "Sec-WebSocket-Key").filter(|key| is_key(key));
    key.map(derive_accept_key).ok_or("its `Sec-WebSocket-Key` is not 16 bytes in base64")
}

/// What a client sends, and what of the answer depends on it.
pub(crate) struct Hope {
    key: String,
    /// The subprotocols that the program offers.
    offers: Vec<String>,
}

impl Hope {
    /// Of a request with these headers of the program's.
    pub(crate) fn new(headers: &[(&str, &str)]) -> Self {
        let offers = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(PROTOCOL));
        let offers = offers.flat_map(|(_, value)| members(value.as_bytes()));
        let offers = offers.map(|offer| String::from_utf8_lossy(offer).into_owned()).collect();
        Self { key: generate_key(), offers }
    }

    /// The headers that ask for a WebSocket (§4.1).
    pub(crate) fn headers(&self) -> [(&str, &str); 4] {
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", &self.key),
            ("Sec-WebSocket-Version", "13"),
        ]
    }

    /// Whether a 101 gives what was asked for (§4.1, at its end).
    ///
    /// # Errors
    ///
    /// What it says or lacks.
    pub(crate) fn is_granted(&self, response: &Response) -> Result<(), &'static str> {
        if !lists(response.headers(), "Upgrade", "websocket") {
            return Err("the answer does not say `Upgrade: websocket`");
        }
        if !lists(response.headers(), "Connection", "upgrade") {
            return Err("the answer does not say `Connection: Upgrade`");
        }
        let accept = derive_accept_key(self.key.as_bytes());
        if only(response.headers(), "Sec-WebSocket-Accept") != Some(accept.as_bytes()) {
            return Err("the answer's `Sec-WebSocket-Accept` is not that of our key");
        }
        if response.header_bytes("Sec-WebSocket-Extensions").is_some() {
            return Err("the answer has an extension that was not offered");
        }
        let offered = |chosen| self.offers.iter().any(|offer| offer.as_bytes() == chosen);
        match (response.header_bytes(PROTOCOL), only(response.headers(), PROTOCOL)) {
            (None, _) => Ok(()),
            (Some(_), Some(chosen)) if offered(chosen) => Ok(()),
            (Some(_), Some(_)) => Err("the answer has a subprotocol that was not offered"),
            (Some(_), None) => Err("the answer has more than one subprotocol"),
        }
    }
}

const PROTOCOL: &str = "Sec-WebSocket-Protocol";

/// Whether the program's fields may stand in a handshake. No extension may be agreed upon: none is understood.
///
/// # Errors
///
/// [`UpgradeError::Reserved`].
pub(crate) fn check_fields(headers: &[(&str, &str)]) -> Result<(), UpgradeError> {
    const OURS: [&str; 8] = [
        "Connection",
        "Upgrade",
        "Content-Length",
        "Transfer-Encoding",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
    ];
    match headers.iter().find(|(name, _)| OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))) {
        Some((name, _)) => Err(UpgradeError::Reserved { name: (*name).to_owned() }),
        None => Ok(()),
    }
}

fn lists<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>, name: &str, wanted: &str) -> bool {
    let fields = headers.filter(|(other, _)| other.eq_ignore_ascii_case(name));
    fields.flat_map(|(_, value)| members(value)).any(|member| member.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The field of that name, if there is one and no other.
fn only<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>, name: &str) -> Option<&'a [u8]> {
    let mut fields = headers.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let first = fields.next()?;
    fields.next().is_none().then_some(first)
}

/// Some clients leave bits behind the sixteenth byte.
fn is_key(key: &[u8]) -> bool {
    const LENIENT: GeneralPurpose =
        GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    matches!(LENIENT.decode_slice(key, &mut [0; 18]), Ok(16))
}
