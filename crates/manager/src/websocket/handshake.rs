//! The opening handshake (RFC 6455 §4).

use super::UpgradeError;
use crate::http::{Request, Version, members};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
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
    if !lists(request, "Upgrade", "websocket") {
        return Err("it does not say `Upgrade: websocket`");
    }
    if !lists(request, "Connection", "upgrade") {
        return Err("it does not say `Connection: Upgrade`");
    }
    if request.header("Sec-WebSocket-Version") != Some("13") {
        return Err("it does not say `Sec-WebSocket-Version: 13`");
    }
    let key = request.header_bytes("Sec-WebSocket-Key").filter(|key| is_key(key));
    key.map(derive_accept_key).ok_or("its `Sec-WebSocket-Key` is not 16 bytes in base64")
}

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

fn lists(request: &Request, name: &str, wanted: &str) -> bool {
    let fields = request.headers().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    fields.flat_map(|(_, value)| members(value)).any(|member| member.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Some clients leave bits behind the sixteenth byte.
fn is_key(key: &[u8]) -> bool {
    const LENIENT: GeneralPurpose =
        GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    matches!(LENIENT.decode_slice(key, &mut [0; 18]), Ok(16))
}
