//! Values with parameters: `form-data; name="a"; filename=b` (RFC 9110 §5.6.6).

use crate::http::token;

/// Not a value with parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoParameters;

/// A value, and its parameters by their names in small letters.
pub(super) type Parameters<'a> = (&'a [u8], Vec<(String, Vec<u8>)>);

/// Takes it apart. A value without quotes may have any bytes but semicolons, since clients forget the quotes.
pub(super) fn parameters(text: &[u8]) -> Result<Parameters<'_>, NoParameters> {
    let end = memchr::memchr(b';', text).unwrap_or(text.len());
    let (value, mut rest) = text.split_at(end);
    let mut found = Vec::new();
    while let [b';', behind @ ..] = rest {
        let behind = token::trim(behind);
        if behind.is_empty() || behind.starts_with(b";") {
            rest = behind; // RFC 9110 §5.6.6: one may be empty
            continue;
        }
        let at = memchr::memchr(b'=', behind).ok_or(NoParameters)?;
        let (name, value) = behind.split_at(at);
        let name = token::trim(name);
        if !token::is_token(name) {
            return Err(NoParameters);
        }
        let (value, behind) = parameter_value(token::trim(value.get(1..).unwrap_or_default()))?;
        found.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value));
        rest = token::trim(behind);
    }
    if rest.is_empty() { Ok((token::trim(value), found)) } else { Err(NoParameters) }
}

/// The value, and what is behind it.
fn parameter_value(text: &[u8]) -> Result<(Vec<u8>, &[u8]), NoParameters> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = memchr::memchr(b';', text).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Ok((token::trim(value).to_vec(), rest));
    };
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        match rest {
            [] => return Err(NoParameters),
            [b'"', behind @ ..] => return Ok((value, behind)),
            // Of any other character it is no escape: browsers have sent the paths of Windows as they are.
            [b'\\', escaped @ (b'"' | b'\\'), behind @ ..] | [escaped, behind @ ..] => {
                value.push(*escaped);
                rest = behind;
            }
        }
    }
}

/// The text of an extended parameter, `UTF-8''%e2%82%ac` (RFC 8187 §3.2.1), if it is one in UTF-8.
pub(super) fn extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    let (charset, _language, text) = (parts.next()?, parts.next()?, parts.next()?);
    let decoded = percent_encoding::percent_decode(text).collect::<Vec<u8>>();
    charset.eq_ignore_ascii_case(b"utf-8").then(|| String::from_utf8(decoded).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_apart() {
        type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
        let table: &[Case] = &[
            ("a", "a", &[]),
            ("", "", &[]),
            (" a ; ", "a", &[]),
            ("a;;b=c;", "a", &[("b", "c")]),
            ("a; B = c ; d=\"\"", "a", &[("b", "c"), ("d", "")]),
            (r#"a; b="x;y=\"z\"""#, "a", &[("b", r#"x;y="z""#)]),
            (r#"a; b="C:\dir\file\\""#, "a", &[("b", r"C:\dir\file\")]),
            ("a; b=c=d", "a", &[("b", "c=d")]),
            ("a; b=x y", "a", &[("b", "x y")]),
            ("a; b=\"ü\"", "a", &[("b", "ü")]),
        ];
        for (text, value, expected) in table {
            let (found, parameters) = parameters(text.as_bytes()).unwrap();
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect();
            assert_eq!((found, parameters), (value.as_bytes(), expected), "{text}");
        }
        for text in ["a; b", "a; =c", "a; b c=d", "a; b=\"c", "a; b=\"c\\\"", "a; b=\"c\"d", "a; b=\"c\" d"] {
            assert_eq!(parameters(text.as_bytes()), Err(NoParameters), "{text}");
        }
    }

    #[test]
    fn extended_values_are_decoded() {
        let table = [
            ("UTF-8''%e2%82%ac", Some("€")),
            ("utf-8'en'a%20b'c", Some("a b'c")),
            ("UTF-8''", Some("")),
            ("UTF-8''%ff", None),
            ("ISO-8859-1''%e4", None),
            ("UTF-8'a", None),
            ("a", None),
        ];
        for (value, expected) in table {
            assert_eq!(extended(value.as_bytes()).as_deref(), expected, "{value}");
        }
    }
}
