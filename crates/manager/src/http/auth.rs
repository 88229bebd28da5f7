//! Who asks: `Authorization` (RFC 9110 §11.6.2), Basic (RFC 7617) and Bearer (RFC 6750 §2.1).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Request;

/// Padded when written, as it comes when read: clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a name and a password cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// What is behind the first colon would be taken for the password.
    #[error("the user's name has a colon, which would end it (RFC 7617 §2); choose another name")]
    Colon,
    /// Not allowed by RFC 7617 §2.
    #[error("the user's name or the password has a control character (RFC 7617 §2); leave it out")]
    Control,
}

/// The value of `Authorization` for this user, in UTF-8.
///
/// It is no secret to anybody on the way: use it on TLS, or within one machine.
///
/// # Errors
///
/// A colon in the user's name, and control characters, cannot be sent.
///
/// # Examples
///
/// ```
/// use exeunt_manager::http::basic_auth;
///
/// assert_eq!(basic_auth("Aladdin", "open sesame")?, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
/// # Ok::<(), exeunt_manager::http::CredentialsError>(())
/// ```
pub fn basic_auth(user: &str, password: &str) -> Result<String, CredentialsError> {
    if user.contains(':') {
        return Err(CredentialsError::Colon);
    }
    if [user, password].iter().any(|text| text.contains(char::is_control)) {
        return Err(CredentialsError::Control);
    }
    Ok(format!("Basic {}", BASE64.encode(format!("{user}:{password}"))))
}

/// Who asks.
impl Request {
    /// The user and the password of `Authorization: Basic`. None if it has none that can be read: no such field, or two;
    /// another scheme; not Base64, not UTF-8, no colon, or a control character.
    ///
    /// Compare the password in constant time (the crate `subtle` does), with a hash of it for preference (`argon2`), and for
    /// unknown users too. The answer to everybody else is a 401 that says how to ask:
    ///
    /// ```
    /// use exeunt_manager::{Event, Manager};
    ///
    /// const CHALLENGE: (&str, &str) = ("WWW-Authenticate", "Basic realm=\"reports\", charset=\"UTF-8\"");
    ///
    /// # fn is_known(user: &str, password: &str) -> bool { (user, password) == ("me", "secret") }
    /// let manager = Manager::new(|conn, event| {
    ///     let Event::HttpMessage(request) = event else { return };
    ///     match request.basic_auth() {
    ///         Some((user, password)) if is_known(&user, &password) => {
    ///             conn.reply(200, &[], format!("hello {user}\n"));
    ///         }
    ///         _ => conn.reply(401, &[CHALLENGE], "who are you?\n"),
    ///     }
    /// });
    /// ```
    ///
    /// A body that only a known user may send is best refused in `HttpHeaders`, before it comes.
    #[must_use]
    pub fn basic_auth(&self) -> Option<(String, String)> {
        let decoded = BASE64.decode(self.credentials("Basic")?).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':').filter(|_| !text.contains(char::is_control))?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// The token of `Authorization: Bearer`. None if there is no such field, or two, or if it is of another scheme.
    #[must_use]
    pub fn bearer_token(&self) -> Option<&str> {
        self.credentials("Bearer").filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    /// What is behind the scheme's name, which may be in any case, and a blank; not empty.
    fn credentials(&self, scheme: &str) -> Option<&str> {
        let mut fields = self.headers().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let (Some((_, value)), None) = (fields.next(), fields.next()) else { return None };
        let (name, credentials) = str::from_utf8(value).ok()?.split_once(' ')?;
        let credentials = credentials.trim_start_matches(' ');
        (name.eq_ignore_ascii_case(scheme) && !credentials.is_empty()).then_some(credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeadParser;
    use bytes::Bytes;

    fn asked(fields: &[&str]) -> Request {
        let fields: String = fields.iter().map(|value| format!("Authorization: {value}\r\n")).collect();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = HeadParser::new().parse(text.as_bytes(), 4096).unwrap().unwrap();
        Request::new(text.into(), head, Bytes::new())
    }

    #[test]
    fn what_is_written_is_read() {
        for (user, password) in [("a", "b"), ("", ""), ("Jürgen", "päss:wörd:"), ("a b", "ab"), ("a", "€")]
        {
            let value = basic_auth(user, password).unwrap();
            let expected = Some((user.to_owned(), password.to_owned()));
            assert_eq!(asked(&[&value]).basic_auth(), expected, "{value}");
            assert_eq!(asked(&[value.trim_end_matches('=')]).basic_auth(), expected, "without padding");
            assert_eq!(asked(&[&value.replace("Basic ", "bASIC   ")]).basic_auth(), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        let good = basic_auth("a", "b").unwrap();
        let table: &[&[&str]] = &[
            &[],
            &[&good, &good],
            &[""],
            &["Basic"],
            &["Basic "],
            &["Bearer YTpi"],
            &["BasicYTpi"],
            &["Basic YTpi YTpi"],
            &["Basic YT*i"],
            &["Basic YWI="],     // no colon
            &["Basic YTr/"],     // not UTF-8
            &["Basic YTpiCg=="], // ends with a line feed
            &["Basic YTpiAA=="], // and with NUL
        ];
        for fields in table {
            assert_eq!(asked(fields).basic_auth(), None, "{fields:?}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        assert_eq!(basic_auth("a:b", ""), Err(CredentialsError::Colon));
        assert_eq!(basic_auth("a\n", ""), Err(CredentialsError::Control));
        assert_eq!(basic_auth("a", "\0"), Err(CredentialsError::Control));
    }

    #[test]
    fn tokens_are_found() {
        assert_eq!(asked(&["Bearer mF_9.B5f-4.1JqM"]).bearer_token(), Some("mF_9.B5f-4.1JqM"));
        assert_eq!(asked(&["bearer a+/="]).bearer_token(), Some("a+/="));
        for fields in [&[][..], &["Basic YTpi"], &["Bearer"], &["Bearer a b"], &["Bearer a", "Bearer a"]] {
            assert_eq!(asked(fields).bearer_token(), None, "{fields:?}");
        }
    }
}
